//! Parts of an engine for unit tests: real records in a temporary directory, and fakes of its peers on sockets.

mod faults;
mod parts;

use std::path::Path;
use std::sync::Arc;

use gantry_api::tasks::records::{self, Manage as _};
use gantry_daemon::{Context, Roots};
use gantry_fakes::Serving;
use gantry_types::Namespace;

pub(crate) use self::faults::Faults;
pub(crate) use self::parts::{Parts, VOLUME};
use crate::container::Container;
use crate::container::life::{Life, Phase, Running};
use crate::containers::Containers;
use crate::events::Events;
use crate::names;
use crate::paths::Paths;
use crate::peers::{Peers, Stdio};
use crate::record::{Record, Stage as Making};
use crate::store::Store;

/// Parts of an engine.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    serving: Option<Serving>,
    _others: [Serving; 2],
    pub(crate) containers: Containers,
    pub(crate) events: Events,
    pub(crate) peers: Peers,
    /// The fake of the tasks service.
    pub(crate) tasks: gantry_fakes::Tasks,
    /// The fake of the network service.
    pub(crate) network: gantry_fakes::Network,
    /// The fake of the snapshots service.
    pub(crate) snapshots: gantry_fakes::Snapshots,
    /// What goes wrong with calls to the fakes.
    pub(crate) faults: Faults,
}

impl Stage {
    /// Parts without a container. The peers are tasks, network and snapshots.
    pub(crate) fn new() -> Stage {
        let folder = tempfile::Builder::new().tempdir_in("/dev/shm").expect("a folder");
        let store = Store::open(&folder.path().join("db"), &[]).expect("opened");
        let (tasks, network) = (gantry_fakes::Tasks::default(), gantry_fakes::Network::default());
        let snapshots = gantry_fakes::Snapshots::default();
        let faults = Faults::default();
        let serve = |name, routes| faults.serve(&folder.path().join(name), routes);
        Stage {
            serving: Some(serve("tasks.sock", tasks.routes())),
            _others: [serve("network.sock", network.routes()), serve("snapshots.sock", snapshots.routes())],
            network,
            snapshots,
            containers: Containers::new(store),
            events: Events::default(),
            peers: peers(folder.path()),
            tasks,
            faults,
            folder,
        }
    }

    /// A service whose work in the background ends with the test.
    pub(crate) fn context(&self) -> Context {
        let (state, run) = (self.folder.path().join("state"), self.folder.path().to_owned());
        Context::for_test("engine", Roots { state, run })
    }

    /// The folder of records and sockets.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The engine's paths.
    pub(crate) fn paths(&self) -> Paths {
        Paths::new(self.folder.path().to_owned())
    }

    /// Ends the tasks service.
    pub(crate) fn lose_tasks(&mut self) {
        self.serving = None;
        std::fs::remove_file(self.folder.path().join("tasks.sock")).expect("its socket");
    }

    /// A container that was created and not started.
    pub(crate) async fn made(&self, name: &str) -> Arc<Container> {
        self.add(name, Life::default()).await
    }

    /// A container that runs, with a process in the fake.
    pub(crate) async fn running(&self, name: &str) -> Arc<Container> {
        let running = Running { pid: std::process::id(), ..Running::default() };
        let container = self.add(name, Life::at(Phase::Running(running), Default::default())).await;
        let spec = br#"{"process":{"args":["sleep"]}}"#.to_vec();
        let spec = prost_types::Any { type_url: String::new(), value: spec };
        let recorded = records::Container::new(container.task(), "io.containerd.gantry.v2", spec);
        self.tasks.create_record(&Namespace::moby(), recorded).await.expect("recorded");
        let stdio = Stdio { log: "none:".to_owned(), stdin: false, terminal: false };
        self.peers.tasks.create(container.task(), Vec::new(), &stdio).await.expect("made");
        self.peers.tasks.start(&container.init()).await.expect("started");
        container
    }

    async fn add(&self, name: &str, life: Life) -> Arc<Container> {
        let id = names::new_id();
        let name = self.containers.index.reserve(name, &id).expect("a free name");
        let record = Record { id, name, stage: Making::Ready, ..Record::default() };
        self.containers.store.put(&record, &life.recorded()).await.expect("written");
        let container = Container::new(record, life, self.containers.index.generation()).expect("valid");
        let container = Arc::new(container);
        self.containers.index.insert(Arc::clone(&container));
        container
    }

    /// The actions of all container events, oldest first.
    pub(crate) fn told(&self) -> Vec<String> {
        let (past, _) = self.events.subscribe(Some(0));
        past.iter().map(|event| event.action.clone()).collect()
    }

    /// Waits until deletions are carried out that nobody has waited for. A later write returns after them.
    pub(crate) async fn flush(&self) {
        let later = crate::record::VolumeRecord { name: "later".to_owned(), ..Default::default() };
        self.containers.store.put_volumes(&[later]).await.expect("written");
    }

    /// What other services and the disk have of containers: ids of tasks' processes, network namespaces, roots,
    /// records, directories.
    pub(crate) fn parts_of_containers(&self) -> Vec<String> {
        let mut parts: Vec<String> =
            self.tasks.processes().iter().map(|one| format!("process {one}")).collect();
        parts.extend(self.network.attached().iter().map(|netns| format!("netns {}", netns.id)));
        parts.extend(self.snapshots.names().iter().map(|root| format!("root {root}")));
        parts.extend(self.tasks.recorded().iter().map(|container| format!("record {}", container.id)));
        parts
    }

    /// A container's record and life as the database has them.
    pub(crate) async fn written(&self, container: &Container) -> (Record, Life) {
        let all = self.containers.store.containers().await.expect("readable");
        all.into_iter().find(|(record, _)| record.id == container.id()).expect("it is written down")
    }
}

fn peers(run: &Path) -> Peers {
    Peers::new(&gantry_api::Peers::new(run), run)
}
