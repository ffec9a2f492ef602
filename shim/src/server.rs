//! The shim's gRPC services on one socket: containerd's task service in versions 2 and 3
//! (the same messages under two names), its sandbox service and `gantry.shim.v1`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::container::{self, Container, Tools};
use crate::error::{Error, Result};
use crate::mounts;
use sandbox::Sandbox;

mod convert;
mod inspect;
mod metrics;
mod sandbox;
mod task;
mod task_v2;
pub mod ttrpc;

/// The containers of the shim. Cheap to clone.
#[derive(Clone)]
pub struct Shim {
    inner: Arc<Inner>,
}

struct Inner {
    tools: Tools,
    // Guards the map; never held across an await. `None`: the container is being created.
    containers: Mutex<HashMap<String, Option<Arc<Container>>>>,
    // Guards the sandbox's handle.
    sandbox: Mutex<Option<Arc<Sandbox>>>,
    stop: watch::Sender<bool>,
}

impl Shim {
    /// A shim without containers.
    pub fn new(tools: Tools) -> Self {
        Self {
            inner: Arc::new(Inner {
                tools,
                containers: Mutex::default(),
                sandbox: Mutex::default(),
                stop: watch::Sender::new(false),
            }),
        }
    }

    /// The gRPC services.
    pub fn routes(&self) -> tonic::service::Routes {
        use gantry_proto::containerd::runtime::sandbox::v1::sandbox_server::SandboxServer;
        use gantry_proto::containerd::task::{v2, v3};
        use gantry_proto::gantry::shim::v1::shim_server::ShimServer;
        tonic::service::Routes::new(v3::task_server::TaskServer::new(self.clone()))
            .add_service(v2::task_server::TaskServer::new(task_v2::Version2(self.clone())))
            .add_service(SandboxServer::new(self.clone()))
            .add_service(ShimServer::new(self.clone()))
    }

    /// Resolves when a client has shut the shim down.
    pub async fn stopped(&self) {
        let mut stop = self.inner.stop.subscribe();
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Ends a shim that has had neither a container nor a sandbox for `patience`: its daemon has died between
    /// starting and using it.
    pub async fn end_when_idle(self, patience: Duration) {
        let mut was_idle = false;
        loop {
            tokio::time::sleep(patience / 2).await;
            let is_idle = self.is_unused();
            if is_idle && was_idle {
                return self.stop();
            }
            was_idle = is_idle;
        }
    }

    /// Creates the container whose id is reserved in the map. Returns the pid of the init.
    async fn make(&self, request: container::Request) -> Result<i32> {
        let id = request.id.clone();
        let own = std::env::current_dir().ok().zip(request.bundle.canonicalize().ok());
        let own = own.is_some_and(|(own, bundle)| own == bundle);
        let isolated = if own { Ok(()) } else { mounts::isolate(&request.bundle) };
        let created = match isolated {
            Ok(()) => Container::create(self.inner.tools.clone(), request).await,
            Err(error) => Err(error),
        };
        match created {
            Ok(container) => {
                let pid = container.init().phase().pid();
                self.containers().insert(id, Some(container));
                Ok(pid)
            }
            Err(error) => {
                self.containers().remove(&id);
                Err(error)
            }
        }
    }

    /// Whether the shim has a container, or is creating one.
    pub fn has_containers(&self) -> bool {
        !self.containers().is_empty()
    }

    /// Whether the shim has neither a container nor a sandbox.
    fn is_unused(&self) -> bool {
        self.containers().is_empty() && self.sandbox().is_none()
    }

    fn sandbox(&self) -> MutexGuard<'_, Option<Arc<Sandbox>>> {
        self.inner.sandbox.lock()
    }

    fn stop(&self) {
        self.inner.stop.send_replace(true);
    }

    fn container(&self, id: &str) -> Result<Arc<Container>> {
        let found = self.containers().get(id).cloned().flatten();
        found.ok_or_else(|| Error::NoContainer(id.to_string()))
    }

    fn containers(&self) -> MutexGuard<'_, HashMap<String, Option<Arc<Container>>>> {
        self.inner.containers.lock()
    }
}
