//! `containerd.runtime.sandbox.v1.Sandbox`: a shim that several containers share.
//!
//! ```text
//! created ──start──> ready ──stop──> stopped ──shutdown──> gone, and the shim exits
//!    └──────────────────────stop───────^
//! ```
//!
//! A sandbox has no process of its own: its pid is the shim's, and it ends when a client stops it. The shim creates
//! the sandbox's containers like any others; they end with the sandbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gantry_proto::containerd::runtime::sandbox::v1 as pb;
use gantry_proto::containerd::runtime::sandbox::v1::sandbox_server::Sandbox as Api;
use gantry_proto::containerd::types;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::task::check_id;
use super::{Shim, convert};
use crate::error::Error;
use crate::process::Phase;
use crate::signal::Signal;

type Answer<T> = Result<Response<T>, Status>;

/// How long containers may take to end when the caller names no time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sandbox of a shim.
#[derive(Debug)]
pub struct Sandbox {
    id: String,
    life: watch::Sender<Life>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Created,
    Ready(SystemTime),
    Stopped { since: Option<SystemTime>, at: SystemTime },
}

impl Shim {
    fn known(&self, id: &str) -> Result<Arc<Sandbox>, Error> {
        self.sandbox()
            .clone()
            .filter(|sandbox| sandbox.id == id)
            .ok_or_else(|| Error::NoSandbox(id.to_owned()))
    }

    /// Kills the containers of the sandbox, and waits for their end.
    async fn end_containers(&self, patience: Duration) -> Result<(), Error> {
        let containers: Vec<_> = self.containers().values().flatten().cloned().collect();
        let kill = Signal::from_number(9).expect("SIGKILL is a signal");
        for container in &containers {
            match container.kill("", kill, true) {
                Ok(()) | Err(Error::AlreadyFinished | Error::NoContainer(_)) => {}
                Err(error) => return Err(error),
            }
        }
        for container in containers {
            let init = container.init();
            if !matches!(init.phase(), Phase::Stopped { .. }) {
                let ended = tokio::time::timeout(patience, init.wait()).await;
                ended.map_err(|_| Error::Busy("its containers do not end"))?;
            }
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Api for Shim {
    async fn create_sandbox(
        &self,
        request: Request<pb::CreateSandboxRequest>,
    ) -> Answer<pb::CreateSandboxResponse> {
        let request = request.into_inner();
        check_id(&request.sandbox_id)?;
        if !request.rootfs.is_empty() {
            return Err(Error::Unsupported("a root file system of a sandbox's own").into());
        }
        let mut sandbox = self.sandbox();
        if let Some(known) = &*sandbox {
            return Err(Error::SandboxExists(known.id.clone()).into());
        }
        let life = watch::Sender::new(Life::Created);
        *sandbox = Some(Arc::new(Sandbox { id: request.sandbox_id, life }));
        Ok(Response::new(pb::CreateSandboxResponse {}))
    }

    async fn start_sandbox(
        &self,
        request: Request<pb::StartSandboxRequest>,
    ) -> Answer<pb::StartSandboxResponse> {
        let sandbox = self.known(&request.get_ref().sandbox_id)?;
        let now = SystemTime::now();
        let started = sandbox.life.send_if_modified(|life| {
            let fresh = *life == Life::Created;
            if fresh {
                *life = Life::Ready(now);
            }
            fresh
        });
        if !started {
            return Err(Error::WrongState { verb: "start", state: "started" }.into());
        }
        Ok(Response::new(pb::StartSandboxResponse {
            pid: std::process::id(),
            created_at: Some(convert::timestamp(now)),
            ..Default::default()
        }))
    }

    async fn platform(&self, request: Request<pb::PlatformRequest>) -> Answer<pb::PlatformResponse> {
        self.known(&request.get_ref().sandbox_id)?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let platform =
            types::Platform { os: "linux".into(), architecture: architecture.into(), ..Default::default() };
        Ok(Response::new(pb::PlatformResponse { platform: Some(platform) }))
    }

    async fn stop_sandbox(
        &self,
        request: Request<pb::StopSandboxRequest>,
    ) -> Answer<pb::StopSandboxResponse> {
        let request = request.into_inner();
        let sandbox = self.known(&request.sandbox_id)?;
        let patience = match request.timeout_secs {
            0 => PATIENCE,
            seconds => Duration::from_secs(seconds.into()),
        };
        self.end_containers(patience).await?;
        sandbox.life.send_if_modified(|life| {
            let since = match *life {
                Life::Created => None,
                Life::Ready(since) => Some(since),
                Life::Stopped { .. } => return false,
            };
            *life = Life::Stopped { since, at: SystemTime::now() };
            true
        });
        Ok(Response::new(pb::StopSandboxResponse {}))
    }

    async fn wait_sandbox(
        &self,
        request: Request<pb::WaitSandboxRequest>,
    ) -> Answer<pb::WaitSandboxResponse> {
        let sandbox = self.known(&request.get_ref().sandbox_id)?;
        let mut life = sandbox.life.subscribe();
        let ended = life.wait_for(|life| matches!(life, Life::Stopped { .. })).await;
        let ended = ended.map(|life| *life).unwrap_or(Life::Created);
        let at = match ended {
            Life::Stopped { at, .. } => at,
            Life::Created | Life::Ready(_) => SystemTime::now(),
        };
        Ok(Response::new(pb::WaitSandboxResponse { exit_status: 0, exited_at: Some(convert::timestamp(at)) }))
    }

    async fn sandbox_status(
        &self,
        request: Request<pb::SandboxStatusRequest>,
    ) -> Answer<pb::SandboxStatusResponse> {
        let request = request.into_inner();
        let sandbox = self.known(&request.sandbox_id)?;
        let life = *sandbox.life.borrow();
        let (state, created, exited) = match life {
            Life::Created => ("SANDBOX_NOTREADY", None, None),
            Life::Ready(since) => ("SANDBOX_READY", Some(since), None),
            Life::Stopped { since, at } => ("SANDBOX_NOTREADY", since, Some(at)),
        };
        let mut info = HashMap::new();
        if request.verbose {
            let mut containers: Vec<String> = self.containers().keys().cloned().collect();
            containers.sort();
            info.insert("containers".to_owned(), containers.join(","));
        }
        Ok(Response::new(pb::SandboxStatusResponse {
            sandbox_id: request.sandbox_id,
            pid: if matches!(life, Life::Ready(_)) { std::process::id() } else { 0 },
            state: state.into(),
            info,
            created_at: created.map(convert::timestamp),
            exited_at: exited.map(convert::timestamp),
            extra: None,
        }))
    }

    async fn ping_sandbox(&self, request: Request<pb::PingRequest>) -> Answer<pb::PingResponse> {
        self.known(&request.get_ref().sandbox_id)?;
        Ok(Response::new(pb::PingResponse {}))
    }

    async fn shutdown_sandbox(
        &self,
        request: Request<pb::ShutdownSandboxRequest>,
    ) -> Answer<pb::ShutdownSandboxResponse> {
        self.known(&request.get_ref().sandbox_id)?;
        if !self.containers().is_empty() {
            return Err(Error::Busy("there are containers in it").into());
        }
        *self.sandbox() = None;
        self.stop();
        Ok(Response::new(pb::ShutdownSandboxResponse {}))
    }

    async fn sandbox_metrics(
        &self,
        request: Request<pb::SandboxMetricsRequest>,
    ) -> Answer<pb::SandboxMetricsResponse> {
        self.known(&request.get_ref().sandbox_id)?;
        Err(Error::Unsupported("the metrics of a sandbox, which has no process of its own,").into())
    }
}
