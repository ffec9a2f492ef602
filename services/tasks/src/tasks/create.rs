//! Making a task: bundle, shim, container. What fails leaves nothing behind.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_failpoint::failpoint;
use gantry_proto::containerd::events::{TaskCreate, TaskIo};
use gantry_proto::containerd::services::tasks::v1::CreateTaskRequest;
use gantry_proto::containerd::task::v3 as api;
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
    /// Makes a task: bundle, shim, container. Its pid.
    pub async fn create(
        self: &Arc<Self>,
        namespace: &Namespace,
        request: CreateTaskRequest,
    ) -> Result<u32, Error> {
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
        let _making = self.making(&key);
        // A container of a sandbox is made in the sandbox's shim.
        let shared = match container.sandbox.as_str() {
            "" => None,
            sandbox => Some(self.sandbox_shim(&key.0, sandbox)?),
        };
        let runtime = container.runtime.unwrap_or_default();
        let wanted = if request.runtime_path.is_empty() { &runtime.name } else { &request.runtime_path };
        let binary = self.places.search.resolve(wanted)?;
        let spec = container.spec.unwrap_or_default().value;
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

    /// Where the shim of a sandbox is.
    fn sandbox_shim(&self, namespace: &str, sandbox: &str) -> Result<Bootstrap, Error> {
        identifier::validate(sandbox)?;
        let folder = Bundle::folder_of(&self.places.sandboxes, namespace, sandbox);
        bundle::bootstrap_in(&folder)?.ok_or_else(|| Error::SandboxAway(sandbox.to_owned()))
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
        shared: Option<Bootstrap>,
        options: Option<Any>,
        request: CreateTaskRequest,
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
        failpoint!("tasks.create.made");
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
        self.follow_log(&task, log);
        task.tell_created(event);
        Ok(task)
    }

    /// The log of a shim that wants one read.
    pub fn log_of(&self, helper: &Helper) -> Result<Option<Receiver>, Error> {
        if binary::is_ours(&helper.binary) { Ok(None) } else { log::open(&helper.bundle).map(Some) }
    }

    /// Reads the log of a task's shim as long as the task is there.
    pub fn follow_log(&self, task: &Task, log: Option<Receiver>) {
        let Some(log) = log else { return };
        let (id, removed, stop) = (task.id().to_owned(), task.removed().clone(), self.stop.clone());
        self.tracker.spawn(async move {
            stop.run_until_cancelled(log::follow(log, id, removed)).await;
        });
    }
}

/// Undoes a failed creation.
async fn discard(bundle: &Bundle, helper: &Helper) {
    if let Ok(Some(bootstrap)) = bundle.bootstrap() {
        let shim = Client::new(&bootstrap, &helper.namespace, &helper.id);
        // It may refuse, having no container, or be dead; the helper below does the rest.
        let _ = shim.delete("").await;
        let _ = shim.shutdown().await;
        last_words(helper).await;
        // One that hangs would go on with a container of which nobody knows.
        if shim.is_there().await {
            strays::kill_shims_in(bundle.folder()).await;
        }
    }
    if let Err(error) = bundle.remove() {
        tracing::warn!(
            container = helper.id,
            error = gantry_rpc::chain(&error),
            "bundle of a failed creation stays"
        );
    }
}
