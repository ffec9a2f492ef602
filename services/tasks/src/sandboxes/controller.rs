//! Running sandboxes, each in a shim that serves containerd's sandbox API.
//!
//! ```text
//! run/sandboxes/<namespace>/<id>/    like a task's bundle: config.json, bootstrap.json, shim-binary
//! ```
//!
//! A shim outlives this service. At the start the controller takes over the shims that answer, and removes what the
//! others have left. The creation and the removal of a sandbox hold the sandbox's lock; between them the shim decides
//! what happens to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_disk::KeyedLocks;
use gantry_proto::containerd::events::{SandboxCreate, SandboxExit, SandboxStart};
use gantry_proto::containerd::runtime::sandbox::v1 as api;
use gantry_proto::containerd::services::sandbox::v1 as pb;
use gantry_types::Namespace;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Code;
use tracing::Instrument;

use super::Sandboxes;
use crate::bundle::{self, Bundle};
use crate::error::Error;
use crate::events::{Publisher, Then};
use crate::shim::bootstrap::Bootstrap;
use crate::shim::client::Client;
use crate::shim::helper::Helper;
use crate::strays;
use crate::tasks::{Key, Places, last_words};

/// How long a shim may take to exit after its shutdown.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long containers may take to end when the caller names no time. The shim's answer may take as long again.
const STOP: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);

/// The sandboxes that run. Shared by `Arc`.
pub struct Controller {
    places: Places,
    records: Sandboxes,
    publisher: Publisher,
    locks: KeyedLocks<Key>,
    // Guards the map only.
    live: RwLock<BTreeMap<Key, Arc<Live>>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// A running sandbox and its shim.
struct Live {
    bundle: Bundle,
    helper: Helper,
    bootstrap: Bootstrap,
    client: Client,
}

impl Controller {
    /// No sandboxes yet.
    pub fn new(
        places: Places,
        records: Sandboxes,
        publisher: Publisher,
        stop: CancellationToken,
    ) -> Arc<Controller> {
        Arc::new(Controller {
            places,
            records,
            publisher,
            locks: KeyedLocks::new(),
            live: RwLock::default(),
            tracker: TaskTracker::new(),
            stop,
        })
    }

    /// Takes over the sandboxes whose shims answer, and removes what the others have left.
    pub async fn recover(self: &Arc<Self>) -> Result<(), Error> {
        for found in bundle::scan(&self.places.sandboxes)? {
            let (namespace, id) = (found.namespace.clone(), found.id.clone());
            if let Err(error) = self.recover_one(found).await {
                let error = gantry_rpc::chain(&error);
                tracing::warn!(namespace, sandbox = id, error, "sandbox not recovered");
            }
        }
        Ok(())
    }

    async fn recover_one(self: &Arc<Self>, found: bundle::Found) -> Result<(), Error> {
        let bundle = Bundle::open(found.folder)?;
        let key: Key = (found.namespace, found.id);
        let helper = self.helper(&key, bundle.shim_binary().unwrap_or_default(), &bundle);
        let Some(bootstrap) = bundle.bootstrap()? else {
            return strays::clear(&bundle, &helper).await;
        };
        let client = Client::new(&bootstrap, &key.0, &key.1);
        if !client.is_there().await {
            last_words(&helper).await;
            self.tell_exit(&key, api::WaitSandboxResponse { exit_status: KILLED, ..Default::default() });
            return bundle.remove();
        }
        let status = api::SandboxStatusRequest { sandbox_id: key.1.clone(), verbose: false };
        let status: Result<api::SandboxStatusResponse, Error> =
            client.sandbox("SandboxStatus", status, ANSWER).await;
        if status.as_ref().is_err_and(is_unknown) {
            // The creation or the removal of the sandbox was interrupted.
            return strays::clear(&bundle, &helper).await;
        }
        let live = Arc::new(Live { bundle, helper, bootstrap, client });
        self.live.write().insert(key.clone(), live.clone());
        // A shim that does not answer now is watched all the same: the end of its sandbox has to be told.
        if status.as_ref().map_or(true, |status| status.exited_at.is_none() && status.created_at.is_some()) {
            self.watch(key, live);
        }
        status.map(drop)
    }

    /// Runs `work` to its end even when the caller cancels: no other call would finish an interrupted step.
    pub async fn to_the_end<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.tracker.spawn(work.in_current_span()).await {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn find(&self, namespace: &Namespace, id: &str) -> Result<Arc<Live>, Error> {
        let key = (namespace.to_string(), id.to_owned());
        self.live.read().get(&key).cloned().ok_or_else(|| Error::SandboxNotFound(id.to_owned()))
    }

    fn helper(&self, key: &Key, binary: std::path::PathBuf, bundle: &Bundle) -> Helper {
        Helper {
            binary,
            namespace: key.0.clone(),
            id: key.1.clone(),
            bundle: bundle.folder().to_owned(),
            front: self.places.front.clone(),
        }
    }

    /// Starts a sandbox's shim and creates the sandbox in it.
    pub async fn create(
        self: &Arc<Self>,
        namespace: &Namespace,
        request: pb::ControllerCreateRequest,
    ) -> Result<(), Error> {
        let id = request.sandbox_id.clone();
        gantry_types::identifier::validate(&id)?;
        let key = (namespace.to_string(), id.clone());
        let _lock = self.locks.lock(key.clone()).await;
        if self.live.read().contains_key(&key) {
            return Err(Error::SandboxExists(id));
        }
        let record = match request.sandbox.clone() {
            Some(record) => record,
            None => self.records.get(namespace, &id)?,
        };
        let runtime = record.runtime.unwrap_or_default();
        let binary = self.places.search.resolve(&runtime.name)?;
        let spec = record.spec.unwrap_or_default().value;
        let bundle = Bundle::create(&self.places.sandboxes, &key.0, &id, &spec, &binary)?;
        let helper = self.helper(&key, binary, &bundle);
        let options = request.options.clone().or(runtime.options);
        match self.launch(&bundle, &helper, options, request).await {
            Ok((bootstrap, client)) => {
                let live = Arc::new(Live { bundle, helper, bootstrap, client });
                self.live.write().insert(key.clone(), live);
                let event = SandboxCreate { sandbox_id: id };
                self.publisher.publish(&key.0, "/sandboxes/create", &event, Then::Nothing);
                Ok(())
            }
            Err(error) => {
                if let Err(left) = strays::clear(&bundle, &helper).await {
                    let left = gantry_rpc::chain(&left);
                    tracing::warn!(sandbox = id, error = left, "bundle of a failed sandbox stays");
                }
                Err(error)
            }
        }
    }

    async fn launch(
        &self,
        bundle: &Bundle,
        helper: &Helper,
        options: Option<prost_types::Any>,
        request: pb::ControllerCreateRequest,
    ) -> Result<(Bootstrap, Client), Error> {
        let bootstrap = helper.start(options.as_ref()).await?;
        bundle.write_bootstrap(&bootstrap)?;
        let client = Client::new(&bootstrap, &helper.namespace, &helper.id);
        let create = api::CreateSandboxRequest {
            sandbox_id: request.sandbox_id,
            bundle_path: helper.bundle.to_string_lossy().into_owned(),
            rootfs: request.rootfs,
            options,
            netns_path: request.netns_path,
            annotations: request.annotations,
        };
        let _: api::CreateSandboxResponse = client.sandbox("CreateSandbox", create, ANSWER).await?;
        Ok((bootstrap, client))
    }

    /// Starts a sandbox. Creates it first, from its record, when it is not created.
    pub async fn start(
        self: &Arc<Self>,
        namespace: &Namespace,
        id: &str,
    ) -> Result<pb::ControllerStartResponse, Error> {
        let live = match self.find(namespace, id) {
            Ok(live) => live,
            Err(_) => {
                let request = pb::ControllerCreateRequest { sandbox_id: id.to_owned(), ..Default::default() };
                self.create(namespace, request).await?;
                self.find(namespace, id)?
            }
        };
        let request = api::StartSandboxRequest { sandbox_id: id.to_owned() };
        let started: api::StartSandboxResponse = live.client.sandbox("StartSandbox", request, ANSWER).await?;
        let key = (namespace.to_string(), id.to_owned());
        let event = SandboxStart { sandbox_id: id.to_owned() };
        self.publisher.publish(&key.0, "/sandboxes/start", &event, Then::Nothing);
        self.watch(key, live.clone());
        let labels = self.records.get(namespace, id).map(|record| record.labels).unwrap_or_default();
        Ok(pb::ControllerStartResponse {
            sandbox_id: id.to_owned(),
            pid: started.pid,
            created_at: started.created_at,
            labels,
            address: live.bootstrap.address.clone(),
            version: u32::try_from(live.bootstrap.version).unwrap_or_default(),
            spec: started.spec,
        })
    }

    /// Waits for a sandbox's end and publishes it.
    fn watch(self: &Arc<Self>, key: Key, live: Arc<Live>) {
        let controller = self.clone();
        self.tracker.spawn(async move {
            let ended = controller.stop.run_until_cancelled(wait(&live, &key.1)).await;
            match ended {
                None => {}
                Some(Ok(exit)) => controller.tell_exit(&key, exit),
                Some(Err(_)) => controller.bury(&key, &live).await,
            }
        });
    }

    /// Cleans up after a shim that died.
    async fn bury(&self, key: &Key, live: &Arc<Live>) {
        let _lock = self.locks.lock(key.clone()).await;
        self.bury_locked(key, live).await;
    }

    async fn bury_locked(&self, key: &Key, live: &Arc<Live>) {
        if !self.live.read().get(key).is_some_and(|known| Arc::ptr_eq(known, live)) {
            return;
        }
        last_words(&live.helper).await;
        self.tell_exit(key, api::WaitSandboxResponse { exit_status: KILLED, ..Default::default() });
        self.live.write().remove(key);
        if let Err(error) = live.bundle.remove() {
            let error = gantry_rpc::chain(&error);
            tracing::warn!(sandbox = key.1, error, "bundle of a dead sandbox stays");
        }
        tracing::warn!(namespace = key.0, sandbox = key.1, "a sandbox's shim died");
    }

    fn tell_exit(&self, key: &Key, exit: api::WaitSandboxResponse) {
        let exited_at = exit.exited_at.or_else(|| Some(std::time::SystemTime::now().into()));
        let event = SandboxExit { sandbox_id: key.1.clone(), exit_status: exit.exit_status, exited_at };
        self.publisher.publish(&key.0, "/sandboxes/exit", &event, Then::Nothing);
    }

    /// The platform of a sandbox.
    pub async fn platform(
        &self,
        namespace: &Namespace,
        id: &str,
    ) -> Result<pb::ControllerPlatformResponse, Error> {
        let request = api::PlatformRequest { sandbox_id: id.to_owned() };
        let live = self.find(namespace, id)?;
        let answer: api::PlatformResponse = live.client.sandbox("Platform", request, ANSWER).await?;
        Ok(pb::ControllerPlatformResponse { platform: answer.platform })
    }

    /// Ends a sandbox and its containers. A sandbox that does not exist has ended.
    pub async fn stop(&self, namespace: &Namespace, id: &str, timeout_secs: u32) -> Result<(), Error> {
        let Ok(live) = self.find(namespace, id) else { return Ok(()) };
        let request = api::StopSandboxRequest { sandbox_id: id.to_owned(), timeout_secs };
        let limit = STOP.max(Duration::from_secs(timeout_secs.into())) + ANSWER;
        match live.client.sandbox::<_, api::StopSandboxResponse>("StopSandbox", request, limit).await {
            Err(error) if !is_unknown(&error) && !matches!(error, Error::ShimAway { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits for the end of a sandbox.
    pub async fn wait(&self, namespace: &Namespace, id: &str) -> Result<pb::ControllerWaitResponse, Error> {
        let exit = wait(&*self.find(namespace, id)?, id).await?;
        Ok(pb::ControllerWaitResponse { exit_status: exit.exit_status, exited_at: exit.exited_at })
    }

    /// The status of a sandbox. One that does not exist has ended, as with containerd.
    pub async fn status(
        &self,
        namespace: &Namespace,
        id: &str,
        verbose: bool,
    ) -> Result<pb::ControllerStatusResponse, Error> {
        let Ok(live) = self.find(namespace, id) else {
            let (sandbox_id, exited_at) = (id.to_owned(), Some(std::time::SystemTime::now().into()));
            return Ok(pb::ControllerStatusResponse { sandbox_id, exited_at, ..Default::default() });
        };
        let request = api::SandboxStatusRequest { sandbox_id: id.to_owned(), verbose };
        let status: api::SandboxStatusResponse =
            live.client.sandbox("SandboxStatus", request, ANSWER).await?;
        Ok(pb::ControllerStatusResponse {
            sandbox_id: status.sandbox_id,
            pid: status.pid,
            state: status.state,
            info: status.info,
            created_at: status.created_at,
            exited_at: status.exited_at,
            extra: status.extra,
            address: live.bootstrap.address.clone(),
            version: u32::try_from(live.bootstrap.version).unwrap_or_default(),
        })
    }

    /// Removes a sandbox with its shim. Ends its containers first, and cleans up after them.
    pub async fn shutdown(&self, namespace: &Namespace, id: &str) -> Result<(), Error> {
        let key = (namespace.to_string(), id.to_owned());
        let _lock = self.locks.lock(key.clone()).await;
        let live = self.find(namespace, id)?;
        let stop = api::StopSandboxRequest { sandbox_id: id.to_owned(), timeout_secs: 0 };
        match live.client.sandbox::<_, api::StopSandboxResponse>("StopSandbox", stop, STOP + ANSWER).await {
            Err(Error::ShimAway { .. }) => {
                // A shim that hangs would go on with its containers when nobody knows of the sandbox any more.
                if live.client.is_there().await {
                    strays::kill_shims_in(live.bundle.folder()).await;
                }
                self.bury_locked(&key, &live).await;
                return Ok(());
            }
            stopped => drop(stopped?),
        }
        let request = api::ShutdownSandboxRequest { sandbox_id: id.to_owned() };
        let shut: Result<api::ShutdownSandboxResponse, Error> =
            live.client.sandbox("ShutdownSandbox", request, ANSWER).await;
        match shut {
            // The tasks of its containers were not deleted. The service cleans up after them as after the tasks of
            // any dead shim.
            Err(Error::Shim { status }) if status.code() == Code::FailedPrecondition => {
                strays::kill_shims_in(live.bundle.folder()).await;
            }
            shut => drop(shut?),
        }
        self.live.write().remove(&key);
        let gone = async {
            while live.client.is_there().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(FAREWELL, gone).await.is_err() {
            tracing::warn!(sandbox = id, "the shim of a removed sandbox does not go");
        }
        live.bundle.remove()
    }

    /// The counters of a sandbox.
    pub async fn metrics(
        &self,
        namespace: &Namespace,
        id: &str,
    ) -> Result<pb::ControllerMetricsResponse, Error> {
        let live = self.find(namespace, id)?;
        let request = api::SandboxMetricsRequest { sandbox_id: id.to_owned() };
        let answer: api::SandboxMetricsResponse =
            live.client.sandbox("SandboxMetrics", request, ANSWER).await?;
        Ok(pb::ControllerMetricsResponse { metrics: answer.metrics })
    }
}

/// The exit status of a killed sandbox.
const KILLED: u32 = 137;

/// Whether a shim answers that it has no such sandbox.
fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Shim { status } if status.code() == Code::NotFound)
}

async fn wait(live: &Live, id: &str) -> Result<api::WaitSandboxResponse, Error> {
    live.client.sandbox_ended(api::WaitSandboxRequest { sandbox_id: id.to_owned() }).await
}
