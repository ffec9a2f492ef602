//! Creation of a task: bundle, shim, container. A failed creation leaves nothing behind.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::snapshots::Mount;
use gantry_api::tasks::{CreateTask, Stdio};
use gantry_failpoint::failpoint;
use gantry_proto::containerd::events::{TaskCreate, TaskIo};
use gantry_proto::containerd::task::v3 as pb;
use gantry_proto::containerd::types;
use gantry_types::{Namespace, identifier};
use prost_types::Any;
use tokio::net::unix::pipe::Receiver;

use super::remove::last_words;
use super::{Key, Tasks};
use crate::apparmor;
use crate::bundle::{self, Bundle};
use crate::error::Error;
use crate::shim::bootstrap::Bootstrap;
use crate::shim::client::Client;
use crate::shim::helper::Helper;
use crate::shim::{binary, log};
use crate::strays;
use crate::task::Task;
use crate::task::process::{Phase, Process};

impl Tasks {
    /// Creates a task: bundle, shim, container. Returns the pid of init.
    pub async fn create(self: &Arc<Self>, namespace: &Namespace, request: CreateTask) -> Result<u32, Error> {
        let id = request.container.to_string();
        let container = self.containers.get(namespace, &request.container)?.container;
        let key = (namespace.to_string(), id.clone());
        let _lock = self.locks.lock(key.clone()).await;
        if self.find(&key).is_some() {
            return Err(Error::TaskExists(id));
        }
        let _making = self.making(&key);
        // A container of a sandbox is created in the sandbox's shim.
        let shared = match container.sandbox.as_str() {
            "" => None,
            sandbox => Some(self.sandbox_shim(&key.0, sandbox)?),
        };
        let runtime = container.runtime;
        let wanted = if request.runtime_path.is_empty() { &runtime.name } else { &request.runtime_path };
        let binary = self.places.search.resolve(wanted)?;
        let spec = container.spec.value;
        if self.apparmor {
            apparmor::require(&spec).await?;
        }
        let bundle = Bundle::create(&self.places.bundles, &key.0, &id, &spec, &binary)?;
        let helper = self.helper(&key, binary, &bundle);
        let options = request.options.clone().or(runtime.options);
        match self.launch(bundle.clone(), helper.clone(), shared, options, request).await {
            Ok(task) => {
                let pid = task.init().pid();
                self.register(key, task);
                failpoint!("tasks.create.registered", infallible);
                Ok(pid)
            }
            Err(error) => {
                discard(&bundle, &helper).await;
                Err(error)
            }
        }
    }

    /// How to reach the shim of a sandbox.
    fn sandbox_shim(&self, namespace: &str, sandbox: &str) -> Result<Bootstrap, Error> {
        identifier::validate(sandbox)?;
        let folder = Bundle::folder_of(&self.places.sandboxes, namespace, sandbox);
        bundle::bootstrap_in(&folder)?.ok_or_else(|| Error::SandboxAway(sandbox.to_owned()))
    }

    /// The runs of the shim's binary for a task.
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
        shared: Option<Bootstrap>,
        options: Option<Any>,
        request: CreateTask,
    ) -> Result<Task, Error> {
        failpoint!("tasks.create.bundled");
        let log = if shared.is_some() { None } else { self.log_of(&helper)? };
        let bootstrap = match shared {
            Some(bootstrap) => bootstrap,
            None => helper.start(options.as_ref()).await?,
        };
        failpoint!("tasks.create.launched");
        bundle.write_bootstrap(&bootstrap)?;
        let client = Client::new(&bootstrap, &helper.namespace, &helper.id);
        let rootfs: Vec<types::Mount> = request.rootfs.into_iter().map(mount).collect();
        let Stdio { stdin, stdout, stderr, terminal } = request.stdio;
        let created = client
            .create(pb::CreateTaskRequest {
                id: helper.id.clone(),
                bundle: helper.bundle.to_string_lossy().into_owned(),
                rootfs: rootfs.clone(),
                terminal,
                stdin: stdin.clone(),
                stdout: stdout.clone(),
                stderr: stderr.clone(),
                options,
                ..Default::default()
            })
            .await?;
        failpoint!("tasks.create.made");
        let event = TaskCreate {
            container_id: helper.id.clone(),
            bundle: helper.bundle.to_string_lossy().into_owned(),
            rootfs,
            io: Some(TaskIo { stdin, stdout, stderr, terminal }),
            checkpoint: String::new(),
            pid: created.pid,
        };
        let init = Process::new("", created.pid, Phase::Created);
        let task = Task::new(bundle, helper, client, init, self.publisher.clone());
        self.follow_log(&task, log);
        task.tell_created(event);
        Ok(task)
    }

    /// The log of a shim written by others; our shim needs no reader.
    pub fn log_of(&self, helper: &Helper) -> Result<Option<Receiver>, Error> {
        if binary::is_ours(&helper.binary) { Ok(None) } else { log::open(&helper.bundle).map(Some) }
    }

    /// Reads the log of a task's shim while the task exists.
    pub fn follow_log(&self, task: &Task, log: Option<Receiver>) {
        let Some(log) = log else { return };
        let (id, removed, stop) = (task.id().to_owned(), task.removed().clone(), self.stop.clone());
        self.tracker.spawn(async move {
            stop.run_until_cancelled(log::follow(log, id, removed)).await;
        });
    }
}

fn mount(mount: Mount) -> types::Mount {
    types::Mount { r#type: mount.fs_type, source: mount.source, target: mount.target, options: mount.options }
}

/// Undoes a failed creation.
async fn discard(bundle: &Bundle, helper: &Helper) {
    if let Ok(Some(bootstrap)) = bundle.bootstrap() {
        let shim = Client::new(&bootstrap, &helper.namespace, &helper.id);
        // The shim may have no container or be dead. The helper below cleans up in each case.
        let _ = shim.delete("").await;
        let _ = shim.shutdown().await;
        last_words(helper).await;
        // A hung shim would keep a container of which no task knows.
        if shim.is_there().await {
            strays::kill_shims_in(bundle.folder()).await;
        }
    } else {
        // The start was interrupted: the shim may run without an address, or only its socket exist.
        strays::kill_shims_in(bundle.folder()).await;
        last_words(helper).await;
    }
    if let Err(error) = bundle.remove() {
        tracing::warn!(
            container = helper.id,
            error = gantry_rpc::chain(&error),
            "bundle of a failed creation stays"
        );
    }
}
