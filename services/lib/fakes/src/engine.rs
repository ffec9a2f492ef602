//! A fake of the engine, whose containers run no real processes.

mod archives;
mod attach;
mod container;
mod containers;
mod events;
mod execs;
mod files;
mod list;
mod logs;
mod names;
mod run;
mod state;
mod wait;

use std::path::Path;
use std::sync::Arc;

use gantry_api::Promise;
use gantry_api::engine::containers::data::serve::connection;
use gantry_api::engine::{self as api, CreateSpec, Event};
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, watch};
use tonic::service::Routes;

pub use self::attach::Attached;
use self::state::State;
use crate::serving::{self, Serving};
use crate::{Program, Refused, Volumes};

/// Number of events that a subscriber may be behind.
const QUEUE: usize = 1024;

/// A fake engine. Clones share their state.
///
/// A process runs until it is stopped or the test ends it, unless its [`Program`] says otherwise. The test provides
/// the input of a process that reads. A container has the files of its image (directories and `/etc/passwd` only) and
/// those that clients put there; it has no mounts and no ports, and its networks are names only.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Notifies of each change.
    changed: watch::Sender<()>,
    live: broadcast::Sender<Event>,
    volumes: Volumes,
    /// Clients that have connected to the attach socket and that the test has not taken yet.
    arrivals: mpsc::UnboundedSender<Attached>,
    attached: tokio::sync::Mutex<mpsc::UnboundedReceiver<Attached>>,
}

impl Default for Engine {
    /// With the image `busybox`, whose command is `sh`, and the networks `bridge`, `host` and `none`.
    fn default() -> Self {
        let (arrivals, attached) = mpsc::unbounded_channel();
        Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: watch::Sender::default(),
            live: broadcast::channel(QUEUE).0,
            volumes: Volumes::default(),
            arrivals,
            attached: tokio::sync::Mutex::new(attached),
        }))
    }
}

impl Engine {
    /// The gRPC services of the engine.
    pub fn routes(&self) -> Routes {
        self.0
            .volumes
            .routes()
            .add_service(api::containers::server::service(self.clone()))
            .add_service(api::execs::server::service(self.clone()))
            .add_service(api::system::server::service(self.clone()))
    }

    /// Serves the engine on its sockets in `run`, with one attach socket for all its processes.
    ///
    /// # Panics
    ///
    /// When the sockets cannot be made.
    pub fn serve(&self, run: &Path) -> Serving {
        let attach = run.join("attach.sock");
        self.edit(|state| state.attach = attach.clone());
        let (data, attached) = (self.clone(), self.clone());
        serving::routes(&run.join("engine.sock"), self.routes())
            .and(serving::data(&run.join("engine-data.sock"), move |stream| connection(stream, data.clone())))
            .and(serving::data(&attach, move |stream| attach::take(attached.clone(), stream)))
    }

    /// The engine's volumes, which no container has.
    pub fn volumes(&self) -> &Volumes {
        &self.0.volumes
    }

    /// Sets what the program with these arguments, joined by spaces, does from now on.
    pub fn install(&self, arguments: &str, program: Program) {
        self.edit(|state| state.programs.insert(arguments.to_owned(), program));
    }

    /// Creates a network to which containers can be connected.
    pub fn network(&self, name: &str) {
        self.edit(|state| state.networks.insert(name.to_owned()));
    }

    /// The request that a container was created from.
    ///
    /// # Panics
    ///
    /// When there is no such container.
    pub fn spec(&self, name: &str) -> CreateSpec {
        self.edit(|state| state.find(name).expect("a container").spec.clone())
    }

    /// Ends a container's process with an exit code.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn end(&self, name: &str, code: i32) {
        self.edit(|state| {
            let container = state.find(name).expect("a container");
            assert!(container.has_process(), "{name} runs");
            let id = container.id.clone();
            state.end(&id, code, &self.0.live);
        });
    }

    /// Ends the process of an exec with an exit code.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn end_exec(&self, id: &str, code: i32) {
        self.edit(|state| {
            assert!(state.exec(id).expect("an exec").view.running, "{id} runs");
            state.end_exec(id, code, &self.0.live);
        });
    }

    /// Whether the process of an exec runs.
    ///
    /// # Panics
    ///
    /// When there is no such exec.
    pub fn runs(&self, id: &str) -> bool {
        self.edit(|state| state.exec(id).expect("an exec").view.running)
    }

    /// Adds a line to the output of a container's process.
    ///
    /// # Panics
    ///
    /// When there is no such container.
    pub fn print(&self, name: &str, line: &str) {
        self.edit(|state| {
            let printed = logs::Line::now(line);
            state.find(name).expect("a container").printed.push(printed);
        });
    }

    /// Number of complete container lists that were sent.
    pub fn listed(&self) -> usize {
        self.edit(|state| state.listed)
    }

    /// Number of waits in progress.
    pub fn waiting(&self) -> usize {
        self.edit(|state| state.waiting)
    }

    /// Number of logs that are being sent.
    pub fn telling(&self) -> usize {
        self.edit(|state| state.telling)
    }

    /// Number of archives that are being received.
    pub fn taking(&self) -> usize {
        self.edit(|state| state.taking)
    }

    /// Whether a client attaches to the container and is not connected yet.
    ///
    /// # Panics
    ///
    /// When there is no such container.
    pub fn is_awaited(&self, name: &str) -> bool {
        self.edit(|state| state.find(name).expect("a container").attaching > 0)
    }

    /// Returns the next client that has connected to the attach socket.
    ///
    /// # Panics
    ///
    /// Never: the engine itself holds the other end.
    pub async fn attached(&self) -> Attached {
        self.0.attached.lock().await.recv().await.expect("the engine is there")
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        let edited = edit(&mut self.0.state.lock());
        self.0.changed.send_replace(());
        edited
    }

    /// Waits until `look` finds something in the state.
    async fn until<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changed = self.0.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if let Some(found) = look(&mut self.0.state.lock()) {
                return found;
            }
            changed.changed().await.expect("the engine is there");
        }
    }
}

impl Promise for Engine {
    type Error = Refused;
}
