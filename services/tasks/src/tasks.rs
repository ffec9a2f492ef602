//! The live tasks of all namespaces: made, found, removed.
//!
//! Making and removing a task hold that task's lock, until the old shim is gone:
//! a new task of the same name never meets the old one's socket. What happens
//! to a task in between needs no lock here: the shim decides.

mod create;
mod remove;

pub use remove::last_words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_disk::{KeyedGuard, KeyedLocks};
use gantry_proto::containerd::events::TaskOom;
use gantry_proto::containerd::types::{Envelope, RuntimeInfo, RuntimeRequest};
use gantry_types::Namespace;
use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::containers::Containers;
use crate::error::Error;
use crate::events::Publisher;
use crate::shim::binary::SearchPath;
use crate::shim::helper::Helper;
use crate::shim::ttrpc::events::TakeOom;
use crate::strays;
use crate::task::process::Process;
use crate::task::{Task, Watched};

/// How long the service's end waits for steps under way.
const LAST_STEPS: Duration = Duration::from_secs(2);

/// A task's name: namespace and container id.
pub type Key = (String, String);

/// Where things are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The directory of bundles.
    pub bundles: PathBuf,
    /// The directory of sandboxes' bundles.
    pub sandboxes: PathBuf,
    /// The front socket, told to shims.
    pub front: PathBuf,
    /// Where shim binaries are looked for.
    pub search: SearchPath,
}

/// The live tasks. Shared by `Arc`.
pub struct Tasks {
    places: Places,
    containers: Containers,
    publisher: Publisher,
    /// Whether containers are confined by AppArmor here.
    apparmor: bool,
    locks: KeyedLocks<Key>,
    // Guards the map only. What is being made, until it is cancelled.
    making: Mutex<BTreeMap<Key, CancellationToken>>,
    // Guards the map only.
    live: RwLock<BTreeMap<Key, Arc<Task>>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new(
        places: Places,
        containers: Containers,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> Arc<Tasks> {
        Arc::new(Tasks {
            places,
            containers,
            publisher,
            apparmor: gantry_host::apparmor::is_supported(),
            locks: KeyedLocks::new(),
            making: Mutex::default(),
            live: RwLock::default(),
            tracker: TaskTracker::new(),
            stop,
        })
    }

    /// Where things are.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The container records.
    pub fn containers(&self) -> &Containers {
        &self.containers
    }

    /// The way to publish.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Runs `work` to its end even when the caller goes away: a step half done is nobody's.
    pub async fn to_the_end<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.tracker.spawn(work.in_current_span()).await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Waits for what was begun, but not long: a kill is not waited for either.
    pub async fn finish(&self) {
        self.tracker.close();
        if tokio::time::timeout(LAST_STEPS, self.tracker.wait()).await.is_err() {
            tracing::warn!("some work on tasks was cut; the next start picks it up");
        }
    }

    /// A live task.
    pub fn get(&self, namespace: &Namespace, id: &str) -> Result<Arc<Task>, Error> {
        self.find(&(namespace.to_string(), id.to_owned())).ok_or_else(|| Error::TaskNotFound(id.to_owned()))
    }

    /// A live task, by key.
    pub fn find(&self, key: &Key) -> Option<Arc<Task>> {
        self.live.read().get(key).cloned()
    }

    /// The live tasks of a namespace.
    pub fn list(&self, namespace: &str) -> Vec<Arc<Task>> {
        let first = (namespace.to_owned(), String::new());
        let live = self.live.read();
        live.range(first..).take_while(|(key, _)| key.0 == namespace).map(|(_, task)| task.clone()).collect()
    }

    /// The lock under which a task is made and removed, if nobody holds it.
    pub fn try_lock(&self, key: &Key) -> Option<KeyedGuard<Key>> {
        self.locks.try_lock(key.clone())
    }

    /// Waits until a task that is being made can be found, or is given up.
    async fn made(&self, key: &Key) {
        let making = self.making.lock().get(key).cloned();
        if let Some(making) = making {
            making.cancelled().await;
        }
    }

    /// A live task; one that is being made is waited for. (A client whose FIFOs the shim has opened takes its task
    /// for one that it can talk about, and asks once.)
    pub async fn get_made(&self, namespace: &Namespace, id: &str) -> Result<Arc<Task>, Error> {
        self.made(&(namespace.to_string(), id.to_owned())).await;
        self.get(namespace, id)
    }

    /// Every live task.
    pub fn all(&self) -> Vec<Arc<Task>> {
        self.live.read().values().cloned().collect()
    }

    /// Makes a task known and watches its init process.
    pub fn register(self: &Arc<Self>, key: Key, task: Task) {
        let task = Arc::new(task);
        self.live.write().insert(key, task.clone());
        self.watch(task.clone(), task.init().clone());
    }

    /// Ends a shim that does not answer, with its container: whoever watches its processes learns of their end. One that
    /// others' containers are in stays.
    pub async fn end_hung(&self, task: &Task) {
        if self.shares_shim(task) {
            return;
        }
        tracing::warn!(container = task.id(), "a shim that does not answer is killed, with its container");
        strays::kill_shims_in(task.bundle().folder()).await;
    }

    /// Watches a process of a task until it ends.
    pub fn watch(self: &Arc<Self>, task: Arc<Task>, process: Arc<Process>) {
        let tasks = self.clone();
        self.tracker.spawn(async move {
            let watched = tasks.stop.run_until_cancelled(task.watch(&process)).await;
            if watched == Some(Watched::ShimLost) {
                tasks.bury(&task).await;
            }
        });
    }

    /// What a runtime says of itself.
    pub async fn runtime_info(&self, asked: &RuntimeRequest) -> Result<RuntimeInfo, Error> {
        let helper = Helper {
            binary: self.places.search.resolve(&asked.runtime_path)?,
            namespace: String::new(),
            id: asked.runtime_path.clone(),
            bundle: PathBuf::from("/"),
            front: self.places.front.clone(),
        };
        helper.info(asked.options.as_ref()).await
    }

    /// Starts a process; its pid.
    pub async fn start(self: &Arc<Self>, task: Arc<Task>, exec: &str) -> Result<u32, Error> {
        let pid = task.start(exec).await?;
        if !exec.is_empty() {
            let process = task.process(exec)?;
            self.watch(task, process);
        }
        Ok(pid)
    }
}

impl TakeOom for Arc<Tasks> {
    fn take_oom(&self, envelope: Envelope) {
        let event = envelope.event.as_ref().and_then(gantry_proto::unpack::<TaskOom>);
        let Some(Ok(event)) = event else { return };
        match self.find(&(envelope.namespace.clone(), event.container_id)) {
            Some(task) => task.take_oom(envelope),
            None => self.publisher.forward(envelope),
        }
    }
}

/// A task that is being made, as long as this lives.
struct Making<'a> {
    tasks: &'a Tasks,
    key: Key,
    done: CancellationToken,
}

impl Tasks {
    fn making(&self, key: &Key) -> Making<'_> {
        let done = CancellationToken::new();
        self.making.lock().insert(key.clone(), done.clone());
        Making { tasks: self, key: key.clone(), done }
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.tasks.making.lock().remove(&self.key);
        self.done.cancel();
    }
}
