//! The calls of clients: each verb with the parts of the engine that it uses.

use std::sync::Arc;

use gantry_api::engine::volumes::Usage;
use gantry_api::engine::{
    self as api, AttachPoint, AttachSpec, Change, CommitSpec, Condition, CreateSpec, Created,
    EndpointSettings, ExecSpec, Filter, Info, ListQuery, Listing, LogQuery, Opened, PathStat, Pruned,
    PutSpec, RemoveSpec, Sample, StopSpec, Top, Update, Volume, VolumeSpec, Window,
};
use gantry_rooted::Root;
use gantry_rpc::paced::Slot;

use crate::archive::serve::{Getting, Putting};
use crate::container::attach::{self, Attachment};
use crate::container::wait::{self, Waiting};
use crate::container::{
    Container, changes, commit, create, kill, list, pause, prune, rename, resize, stats, top, update,
};
use crate::engine::Engine;
use crate::error::Result;
use crate::exec::Exec;
use crate::info;
use crate::logs::follow;
use crate::peers::Peers;
use crate::strays::check::Told;
use crate::volumes::serve;

impl Engine {
    /// Creates a container, which is durable when this returns.
    pub async fn create(&self, request: CreateSpec) -> Result<Created> {
        create::create(&self.plans, &self.making, &self.events, request).await
    }

    /// Starts a container; returns `false` if it runs already.
    pub async fn start(&self, name: &str) -> Result<bool> {
        self.runs.start(name).await
    }

    /// Stops a container if it runs, and then starts it.
    pub async fn restart(&self, request: &StopSpec) -> Result<()> {
        kill::restart(&self.containers, &self.peers.tasks, &self.events, &self.runs, request).await
    }

    /// Removes a container, or a link's name of one.
    pub async fn remove(&self, request: &RemoveSpec) -> Result<()> {
        if request.link {
            return self.files.remove_link(&request.container).await;
        }
        self.removal.remove(request).await
    }

    /// Removes containers that do not run. Returns their ids and the bytes that were freed.
    pub async fn prune(&self, filters: &[Filter]) -> Result<Pruned> {
        prune::prune(&self.containers, &self.peers.snapshots, &self.removal, &self.events, filters).await
    }

    /// Finds objects without an owner and missing objects. With `repair`, repairs what can be repaired without loss.
    pub(crate) async fn check(&self, repair: bool) -> Result<Vec<Told>> {
        self.strays.check(repair).await
    }

    /// Announces a client that attaches. The first value is what the client needs at once.
    pub fn attach(&self, open: &AttachSpec) -> Result<(Opened, Attachment)> {
        attach::attach(&self.containers, &self.peers.shims, &self.events, open)
    }

    /// Makes an image of a container; the answer is its id.
    pub async fn commit(&self, request: CommitSpec) -> Result<String> {
        let Peers { images, tasks, .. } = &self.peers;
        commit::commit(&self.containers, images, tasks, &self.events, request).await
    }

    /// Connects a container to a network; at once if the container runs.
    pub async fn connect(&self, name: &str, network: &str, settings: EndpointSettings) -> Result<()> {
        self.connections.connect(name, network, settings).await
    }

    /// Disconnects a container from a network; at once if the container runs.
    pub async fn disconnect(&self, name: &str, network: &str, force: bool) -> Result<()> {
        self.connections.disconnect(name, network, force).await
    }

    /// Lists what a container has changed relative to its image, sorted by path.
    pub async fn changes(&self, name: &str) -> Result<Vec<Change>> {
        changes::changes(&self.containers, &self.peers.snapshots, name).await
    }

    /// Adds an exec to the tasks service. Afterwards the shim accepts attachments to it.
    pub async fn add_exec(&self, id: &str) -> Result<(Arc<Container>, Arc<Exec>)> {
        self.execs.add(id).await
    }

    /// Starts the process of an exec that was added to the tasks service.
    pub async fn start_exec(&self, container: &Arc<Container>, exec: &Arc<Exec>) -> Result<u32> {
        self.execs.start(container, exec).await
    }

    /// Where a client attaches to an exec that was added to the tasks service.
    pub fn exec_point(&self, container: &Container, exec: &Exec) -> AttachPoint {
        self.execs.point(container, exec)
    }

    /// Changes the size of an exec's terminal. Waits for a limited time if the exec is not started yet.
    pub async fn resize_exec(&self, id: &str, size: Window) -> Result<()> {
        self.execs.resize(id, size).await
    }

    /// An exec as clients see it. If the tasks service says that it has ended, it has ended.
    pub async fn get_exec(&self, id: &str) -> Result<api::Exec> {
        self.execs.get(id).await
    }

    /// Returns one container, with the sizes of its root if `size` is set.
    pub async fn get(&self, name: &str, size: bool) -> Result<api::Container> {
        self.views.get(name, size).await
    }

    /// Sends a signal to a running container. If the signal is SIGKILL, the container has ended when this returns, as
    /// with Docker.
    pub async fn kill(&self, name: &str, signal: &str) -> Result<()> {
        kill::kill(&self.containers, &self.peers.tasks, &self.events, name, signal).await
    }

    /// The containers that match, newest first; or the answer that the client's list is still valid.
    pub async fn list(&self, request: &ListQuery) -> Result<Listing> {
        list::list(&self.containers, &self.peers.images, &self.peers.snapshots, request).await
    }

    /// Opens a container's log where the client wants to begin. The first value says whether the container has a
    /// terminal: its lines are then sent without frames.
    pub async fn open_log(&self, request: &LogQuery) -> Result<(bool, follow::Opened)> {
        self.logs.open(&self.containers, request).await
    }

    /// Freezes a running container.
    pub async fn pause(&self, name: &str) -> Result<()> {
        pause::pause(&self.containers, &self.peers.tasks, &self.events, name).await
    }

    /// Renames a container.
    pub async fn rename(&self, container: &str, name: &str) -> Result<()> {
        rename::rename(&self.containers, &self.peers.networks, &self.events, container, name).await
    }

    /// Changes the size of a running container's terminal.
    pub async fn resize(&self, name: &str, size: Window) -> Result<()> {
        resize::resize(&self.containers, &self.peers.tasks, &self.events, name, size).await
    }

    /// Takes one sample of a container's usage; `None` if it does not run.
    pub(crate) async fn sample(&self, container: &Container) -> Result<Option<Sample>> {
        stats::sample(&self.peers.tasks, container).await
    }

    /// Stops a container; returns `false` if it does not run.
    pub async fn stop(&self, request: &StopSpec) -> Result<bool> {
        kill::stop(&self.containers, &self.peers.tasks, &self.events, request).await
    }

    /// Lists processes as `ps` does with these arguments.
    pub async fn top(&self, name: &str, arguments: &str) -> Result<Top> {
        top::top(&self.containers, &self.peers.tasks, &self.events, name, arguments).await
    }

    /// Thaws a frozen container.
    pub async fn unpause(&self, name: &str) -> Result<()> {
        pause::unpause(&self.containers, &self.peers.tasks, &self.events, name).await
    }

    /// Changes what the request sets to a value other than zero. Returns warnings for the user.
    pub async fn update(&self, name: &str, asked: Update) -> Result<Vec<String>> {
        update::update(&self.containers, &self.peers.tasks, &self.events, &self.about.facts, name, asked)
            .await
    }

    /// Begins a wait. For a container that was removed not long ago the wait is over at once.
    pub fn wait(&self, name: &str, condition: Condition) -> Result<Waiting> {
        wait::wait(&self.containers, name, condition)
    }

    /// The counts, and the facts about this machine.
    pub(crate) fn info(&self) -> Info {
        info::info(&self.containers, &self.volumes, &self.logs, &self.about)
    }

    /// Describes a path in a container.
    pub async fn archive_stat(&self, name: &str, path: &str) -> Result<PathStat> {
        self.archives.stat(name, path).await
    }

    /// Describes a path in a container, and returns what sending it needs.
    pub async fn archive_get(&self, name: &str, path: &str) -> Result<(PathStat, Getting)> {
        self.archives.get(name, path).await
    }

    /// Checks that a tar can be unpacked at a path in a container.
    pub async fn archive_put(&self, request: &PutSpec) -> Result<(Putting, Slot)> {
        self.archives.put(request).await
    }

    /// The whole root file system of a container.
    pub async fn export(&self, name: &str) -> Result<Root> {
        self.archives.export(name).await
    }

    /// Creates an exec at a user's request; returns its id.
    pub async fn create_exec(&self, request: ExecSpec) -> Result<String> {
        self.execs.create(&self.places, request).await
    }

    /// Creates a volume, or returns the existing one.
    pub async fn make_volume(&self, request: VolumeSpec) -> Result<Volume> {
        serve::make(&self.volumes, &self.events, request).await
    }

    /// Returns one volume.
    pub async fn get_volume(&self, name: &str) -> Result<Volume> {
        serve::get(&self.volumes, name).await
    }

    /// The volumes that match, including those of plugins.
    pub async fn list_volumes(&self, filters: &[Filter], usage: Usage) -> Result<Vec<Volume>> {
        serve::list(&self.volumes, &self.containers, filters, usage).await
    }

    /// Removes a volume. A volume that does not exist is an error only without `force`.
    pub async fn unmake_volume(&self, name: &str, force: bool) -> Result<()> {
        serve::remove(&self.volumes, &self.containers, &self.events, name, force).await
    }

    /// Removes volumes that no container has.
    pub async fn prune_volumes(&self, filters: &[Filter]) -> Result<Pruned> {
        serve::prune(&self.volumes, &self.containers, &self.events, filters).await
    }
}
