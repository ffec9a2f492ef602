//! Implements the interface of execs.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::execs::{self, Inspect, Manage, Start, StartSpec};
use gantry_api::engine::{AttachPoint, ExecSpec, Window};
use gantry_rpc::carry;
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::exec::Exec;

/// How long a client has to connect before the process starts without it.
const PATIENCE: Duration = Duration::from_secs(10);

impl Inspect for Engine {
    async fn exec(&self, id: &str) -> Result<gantry_api::engine::Exec> {
        self.get_exec(id).await
    }
}

impl Manage for Engine {
    async fn create_exec(&self, spec: ExecSpec) -> Result<String> {
        Engine::create_exec(self, spec).await
    }

    async fn resize_exec(&self, id: &str, size: Window) -> Result<()> {
        Engine::resize_exec(self, id, size).await
    }
}

/// A start in progress.
pub struct Starting {
    exec: Arc<Exec>,
    point: Option<AttachPoint>,
    /// Tells the start that the client is connected.
    caller: Option<oneshot::Sender<()>>,
    outcome: Outcome,
}

/// The state of a start.
enum Outcome {
    /// Not known yet.
    Awaited(oneshot::Receiver<Result<u32>>),
    /// The process runs or has run, with this process id.
    Started(u32),
}

impl Start for Engine {
    type Starting = Starting;

    async fn start_exec(&self, spec: StartSpec) -> Result<Starting> {
        let (container, exec) = self.add_exec(&spec.id).await?;
        if spec.detach {
            let outcome = Outcome::Started(Engine::start_exec(self, &container, &exec).await?);
            return Ok(Starting { exec, point: None, caller: None, outcome });
        }
        let point = Some(self.exec_point(&container, &exec));
        let (caller, connected) = oneshot::channel();
        let (told, outcome) = oneshot::channel();
        let (engine, started) = (self.clone(), Arc::clone(&exec));
        carry::beside(async move {
            // If the client has gone, the process starts all the same, as in Docker.
            let _ = tokio::time::timeout(PATIENCE, connected).await;
            if spec.size.width > 0 && spec.size.height > 0 {
                // A failure is ignored: a terminal of the wrong size is better than none.
                let _ = Engine::resize_exec(&engine, &spec.id, spec.size).await;
            }
            let _ = told.send(Engine::start_exec(&engine, &container, &started).await);
        });
        Ok(Starting { exec, point, caller: Some(caller), outcome: Outcome::Awaited(outcome) })
    }
}

impl execs::Starting for Starting {
    type Error = Error;

    async fn point(&mut self) -> Result<Option<AttachPoint>> {
        Ok(self.point.clone())
    }

    async fn connected(&mut self) -> Result<()> {
        if let Some(caller) = self.caller.take() {
            // The start may no longer wait for it.
            let _ = caller.send(());
        }
        Ok(())
    }

    async fn started(&mut self) -> Result<u32> {
        let pid = match &mut self.outcome {
            Outcome::Started(pid) => *pid,
            Outcome::Awaited(outcome) => {
                let cut = |_| Error::Broken("the exec's start ended early".to_owned());
                outcome.await.map_err(cut)??
            }
        };
        self.outcome = Outcome::Started(pid);
        Ok(pid)
    }

    async fn ended(&mut self) -> Result<()> {
        self.exec.ended().await;
        Ok(())
    }
}
