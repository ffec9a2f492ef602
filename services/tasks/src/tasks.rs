//! The live tasks of all namespaces: made, found, removed.
//!
//! Making and removing a task hold that task's lock, until the old shim is gone:
//! a new task of the same name never meets the old one's socket. What happens
//! to a task in between needs no lock here: the shim decides.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_disk::{KeyedGuard, KeyedLocks};
use gantry_proto::containerd::events::{TaskCreate, TaskIo};
use gantry_proto::containerd::services::tasks::v1::CreateTaskRequest;
use gantry_proto::containerd::task::v3 as api;
use gantry_types::Namespace;
use parking_lot::RwLock;
use prost_types::Any;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bundle::Bundle;
use crate::containers::Containers;
use crate::error::Error;
use crate::events::Publisher;
use crate::shim::binary::SearchPath;
use crate::shim::client::Client;
use crate::shim::helper::Helper;
use crate::task::process::{Exit, Phase, Process};
use crate::task::{self, Task, Watched};

/// How long a shim may take to go after its task was removed.
const FAREWELL: Duration = Duration::from_secs(5);

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
    locks: KeyedLocks<Key>,
    // Guards the map only.
    live: RwLock<BTreeMap<Key, Arc<Task>>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new(places: Places, containers: Containers, publisher: Publisher, stop: CancellationToken) -> Arc<Tasks> {
        Arc::new(Tasks {
            places,
            containers,
            publisher,
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
        match self.tracker.spawn(work).await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Waits for everything that was begun.
    pub async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
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

    /// Makes a task: bundle, shim, container. Its pid.
    pub async fn create(self: &Arc<Self>, namespace: &Namespace, request: CreateTaskRequest) -> Result<u32, Error> {
        if request.checkpoint.is_some() {
            return Err(Error::Unsupported("restoring a checkpoint"));
        }
        if !request.task_api_address.is_empty() {
            return Err(Error::Unsupported("a task in somebody else's sandbox"));
        }
        let id = request.container_id.clone();
        let container = self.containers.get(namespace, &id)?;
        let key = (namespace.to_string(), id.clone());
        let _lock = self.locks.lock(key.clone()).await;
        if self.find(&key).is_some() {
            return Err(Error::TaskExists(id));
        }
        let runtime = container.runtime.unwrap_or_default();
        let wanted = if request.runtime_path.is_empty() { &runtime.name } else { &request.runtime_path };
        let binary = self.places.search.resolve(wanted)?;
        let spec = container.spec.unwrap_or_default().value;
        let bundle = Bundle::create(&self.places.bundles, &key.0, &id, &spec, &binary)?;
        let helper = self.helper(&key, binary, &bundle);
        let options = request.options.clone().or(runtime.options);
        match self.launch(bundle.clone(), helper.clone(), options, request).await {
            Ok(task) => {
                let pid = task.init().pid();
                self.register(key, task);
                Ok(pid)
            }
            Err(error) => {
                discard(&bundle, &helper).await;
                Err(error)
            }
        }
    }

    /// The helper for a task's shim.
    pub fn helper(&self, key: &Key, binary: PathBuf, bundle: &Bundle) -> Helper {
        Helper {
            binary,
            namespace: key.0.clone(),
            id: key.1.clone(),
            bundle: bundle.folder().to_owned(),
            front: self.places.front.clone(),
        }
    }

    async fn launch(
        &self,
        bundle: Bundle,
        helper: Helper,
        options: Option<Any>,
        request: CreateTaskRequest,
    ) -> Result<Task, Error> {
        let bootstrap = helper.start(options.as_ref()).await?;
        bundle.write_bootstrap(&bootstrap)?;
        let client = Client::new(&bootstrap, &helper.namespace, &helper.id);
        let created = client
            .create(api::CreateTaskRequest {
                id: request.container_id.clone(),
                bundle: helper.bundle.to_string_lossy().into_owned(),
                rootfs: request.rootfs.clone(),
                terminal: request.terminal,
                stdin: request.stdin.clone(),
                stdout: request.stdout.clone(),
                stderr: request.stderr.clone(),
                options,
                ..Default::default()
            })
            .await?;
        let event = TaskCreate {
            container_id: request.container_id,
            bundle: helper.bundle.to_string_lossy().into_owned(),
            rootfs: request.rootfs,
            io: Some(TaskIo {
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
                terminal: request.terminal,
            }),
            checkpoint: String::new(),
            pid: created.pid,
        };
        let init = Process::new("", created.pid, Phase::Created);
        let task = Task::new(bundle, helper, client, init, self.publisher.clone());
        task.tell_created(event);
        Ok(task)
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

    /// Starts a process; its pid.
    pub async fn start(self: &Arc<Self>, task: Arc<Task>, exec: &str) -> Result<u32, Error> {
        let pid = task.start(exec).await?;
        if !exec.is_empty() {
            let process = task.process(exec)?;
            self.watch(task, process);
        }
        Ok(pid)
    }

    /// Removes a task that has ended, or was never started.
    pub async fn delete(self: &Arc<Self>, namespace: &Namespace, id: &str) -> Result<api::DeleteResponse, Error> {
        let key = (namespace.to_string(), id.to_owned());
        let lock = self.locks.lock(key.clone()).await;
        let task = self.find(&key).ok_or_else(|| Error::TaskNotFound(id.to_owned()))?;
        let answer = match task.client().delete("").await {
            Ok(answer) => answer,
            Err(Error::ShimAway { .. }) if !task.client().is_there().await => {
                let exit = self.bury_locked(&key, &task).await;
                return Ok(answer(&task, &exit));
            }
            Err(error) => return Err(error),
        };
        let exit = Exit { status: answer.exit_status, at: answer.exited_at };
        task.finish(task.init(), exit.clone()).await;
        self.live.write().remove(&key);
        task.tell_deleted(&exit);
        // The lock goes with the shim.
        let shared = self.shares_shim(&task);
        self.tracker.spawn(async move {
            if shared {
                // It stays for the others; an error means that it is gone.
                let _ = task.client().shutdown().await;
            } else {
                farewell(&task).await;
            }
            drop(lock);
        });
        Ok(answer)
    }

    /// Whether another task's container is in the same shim.
    fn shares_shim(&self, task: &Task) -> bool {
        self.live.read().values().any(|other| other.client().socket() == task.client().socket())
    }

    /// Cleans up after a shim that died.
    pub async fn bury(self: &Arc<Self>, task: &Arc<Task>) {
        let key = (task.namespace().to_owned(), task.id().to_owned());
        let _lock = self.locks.lock(key.clone()).await;
        if self.find(&key).is_some_and(|current| Arc::ptr_eq(&current, task)) {
            self.bury_locked(&key, task).await;
        }
    }

    async fn bury_locked(self: &Arc<Self>, key: &Key, task: &Arc<Task>) -> Exit {
        let exit = last_words(task.helper()).await;
        tracing::warn!(container = key.1, namespace = key.0, status = exit.status, "a shim died; its task is removed");
        let exit = match task.init().phase() {
            Phase::Exited(known) => known,
            _ => exit,
        };
        task.finish_all(exit.clone()).await;
        self.live.write().remove(key);
        task.tell_deleted(&exit);
        exit
    }
}

fn answer(task: &Task, exit: &Exit) -> api::DeleteResponse {
    api::DeleteResponse { pid: task.init().pid(), exit_status: exit.status, exited_at: exit.at }
}

/// Runs `shim delete`, and says how init ended as far as anybody knows.
pub async fn last_words(helper: &Helper) -> Exit {
    match helper.delete().await {
        Ok(answer) => Exit { status: answer.exit_status, at: answer.exited_at.or_else(|| task::killed_now().at) },
        Err(error) => {
            tracing::warn!(container = helper.id, error = gantry_rpc::chain(&error), "clean-up after a dead shim failed");
            task::killed_now()
        }
    }
}

/// Undoes a failed creation.
async fn discard(bundle: &Bundle, helper: &Helper) {
    if bundle.bootstrap().is_some() {
        let shim = bundle.bootstrap().map(|bootstrap| Client::new(&bootstrap, &helper.namespace, &helper.id));
        if let Some(shim) = shim {
            // It may refuse, having no container, or be dead; the helper below does the rest.
            let _ = shim.delete("").await;
            let _ = shim.shutdown().await;
        }
        last_words(helper).await;
    }
    if let Err(error) = bundle.remove() {
        tracing::warn!(container = helper.id, error = gantry_rpc::chain(&error), "bundle of a failed creation stays");
    }
}

/// Tells the shim to go and waits until nobody listens any more.
async fn farewell(task: &Task) {
    let client = task.client();
    let gone = async {
        // An error means that it is gone already.
        let _ = client.shutdown().await;
        let mut pause = Duration::from_millis(1);
        while client.is_there().await {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    };
    if tokio::time::timeout(FAREWELL, gone).await.is_err() {
        tracing::warn!(container = task.id(), "the shim of a removed task does not go");
    }
}
