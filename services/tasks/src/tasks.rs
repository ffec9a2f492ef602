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
use gantry_proto::containerd::types::{RuntimeInfo, RuntimeRequest};
use gantry_types::Namespace;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::containers::Containers;
use crate::error::Error;
use crate::events::Publisher;
use crate::shim::binary::SearchPath;
use crate::shim::helper::Helper;
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
