//! The live tasks of all namespaces: created, found, removed.
//!
//! The creation and the removal of a task hold the task's lock until the old shim is gone, so that a new task of the
//! same name never finds the old shim's socket. Between creation and removal no lock is needed: the shim decides.

mod create;
mod handle;
mod remove;

pub use handle::Handle;
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

use crate::containers::Containers;
use crate::error::Error;
use crate::events::Publisher;
use crate::shim::binary::SearchPath;
use crate::shim::helper::Helper;
use crate::shim::ttrpc::events::TakeOom;
use crate::strays;
use crate::task::process::Process;
use crate::task::{Task, Watched};

/// How long the end of the service waits for calls under way.
const LAST_STEPS: Duration = Duration::from_secs(2);

/// A task's name: namespace and container id.
pub type Key = (String, String);

/// The paths that tasks need.
#[derive(Debug, Clone)]
pub struct Places {
    /// The directory of bundles.
    pub bundles: PathBuf,
    /// The directory of sandboxes' bundles.
    pub sandboxes: PathBuf,
    /// The front socket, which shims get as an argument.
    pub front: PathBuf,
    /// Where the service looks for shim binaries.
    pub search: SearchPath,
}

/// The live tasks. Shared by `Arc`.
pub struct Tasks {
    places: Places,
    containers: Containers,
    publisher: Publisher,
    /// Whether this host confines containers by AppArmor.
    apparmor: bool,
    locks: KeyedLocks<Key>,
    // Guards the map only. Tasks that are being created; the token is cancelled when a creation ends.
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

    /// The paths that tasks need.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The container records.
    pub fn containers(&self) -> &Containers {
        &self.containers
    }

    /// The publisher of events.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Waits a short time for calls under way. A kill of the service would not wait either.
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

    /// The lock of a task's creation and removal, if it is free.
    pub fn try_lock(&self, key: &Key) -> Option<KeyedGuard<Key>> {
        self.locks.try_lock(key.clone())
    }

    /// Waits until the creation of a task has succeeded or failed.
    async fn made(&self, key: &Key) {
        let making = self.making.lock().get(key).cloned();
        if let Some(making) = making {
            making.cancelled().await;
        }
    }

    /// A live task; waits for one that is being created. (A client whose FIFOs the shim has opened assumes that its
    /// task exists, and asks once.)
    pub async fn get_made(&self, namespace: &Namespace, id: &str) -> Result<Arc<Task>, Error> {
        self.made(&(namespace.to_string(), id.to_owned())).await;
        self.get(namespace, id)
    }

    /// Every live task.
    pub fn all(&self) -> Vec<Arc<Task>> {
        self.live.read().values().cloned().collect()
    }

    /// Adds a task and watches its init process.
    pub fn register(self: &Arc<Self>, key: Key, task: Task) {
        let task = Arc::new(task);
        self.live.write().insert(key, task.clone());
        self.watch(task.clone(), task.init().clone());
    }

    /// Ends a shim that did not answer, unless it is dead already: kills it with its container. Leaves a shim alone that
    /// holds containers of other tasks. Returns whether the shim is dead.
    pub async fn end_silent(&self, task: &Task) -> bool {
        if task.client().is_dead().await {
            return true;
        }
        if self.shares_shim(task) {
            return false;
        }
        tracing::warn!(container = task.id(), "a shim that does not answer is killed, with its container");
        strays::kill_shims_in(task.bundle().folder()).await;
        task.client().is_dead().await
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

    /// What a runtime's binary says about the runtime.
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

    /// Starts a process. Returns the pid.
    pub async fn start(self: &Arc<Self>, task: Arc<Task>, exec: &str) -> Result<u32, Error> {
        let process = task.process(exec)?;
        let started = task.start(&process).await;
        // An exec whose start failed has ended too, because clients may wait for its end.
        if !exec.is_empty() && process.claim_watch() {
            self.watch(task, process);
        }
        started
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

/// Marks a task as being created until it is dropped.
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
