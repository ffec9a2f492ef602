//! Execs of the fake engine.

use std::time::Duration;

use gantry_api::engine::execs::{self as api, Inspect, Manage, Start, StartSpec};
use gantry_api::engine::{self, AttachPoint, ExecSpec, Window};
use gantry_rpc::Code;

use super::Engine;
use super::container::{Exec, Phase};
use super::names::new_id;
use super::state::conflict;
use crate::{Program, Refused};

/// How long to wait for a client to connect, and for a start.
const PATIENCE: Duration = Duration::from_secs(10);

impl Inspect for Engine {
    async fn exec(&self, id: &str) -> Result<engine::Exec, Refused> {
        self.edit(|state| state.exec(id).map(|exec| exec.view.clone()))
    }
}

impl Manage for Engine {
    async fn create_exec(&self, spec: ExecSpec) -> Result<String, Refused> {
        self.edit(|state| {
            state.find(&spec.container)?;
            if spec.cmd.is_empty() {
                return Err(Refused::new(Code::InvalidArgument, &spec.container, "a process of nothing"));
            }
            let container = state.running(&spec.container)?;
            if container.phase == Phase::Paused {
                return conflict(&spec.container, "it is paused");
            }
            let (id, of) = (new_id(), container.id.clone());
            let command = spec.cmd.join(" ");
            container.execs.insert(id.clone(), Exec::new(&id, &of, spec));
            let more = [("execID", id.clone())];
            state.tell_more(&of, &format!("exec_create: {command}"), &more, &self.0.live);
            Ok(id)
        })
    }

    async fn resize_exec(&self, id: &str, _: Window) -> Result<(), Refused> {
        let started = self.until(|state| match state.exec(id) {
            Ok(exec) if exec.view.exit_code.is_some() => {
                Some(Err(Refused::new(Code::NotFound, id, "it has ended")))
            }
            Ok(exec) => exec.started.then_some(Ok(())),
            Err(missing) => Some(Err(missing)),
        });
        let late = |_| Refused::new(Code::Internal, id, "nobody starts it");
        tokio::time::timeout(PATIENCE, started).await.map_err(late)?
    }
}

/// A start in progress. If it is dropped, the process runs all the same.
#[derive(Debug)]
pub struct Starting {
    engine: Engine,
    id: String,
    point: Option<AttachPoint>,
    outcome: Option<Result<u32, Refused>>,
}

impl Start for Engine {
    type Starting = Starting;

    async fn start_exec(&self, spec: StartSpec) -> Result<Starting, Refused> {
        let point = self.edit(|state| {
            let exec = state.exec(&spec.id)?;
            let (of, started, ended) =
                (exec.view.container_id.clone(), exec.started, exec.view.exit_code.is_some());
            let tty = exec.view.spec.tty;
            if state.running(&of)?.phase == Phase::Paused {
                return conflict(&of, "it is paused");
            }
            if started || ended {
                return conflict(&spec.id, "it was started before");
            }
            state.exec(&spec.id)?.started = true;
            let socket = state.attach.display().to_string();
            Ok(AttachPoint { socket, exec_id: spec.id.clone(), tty, stdin_once: true })
        })?;
        let point = (!spec.detach).then_some(point);
        let mut starting = Starting { engine: self.clone(), id: spec.id, point, outcome: None };
        if spec.detach {
            starting.run();
            if let Some(Err(refused)) = &starting.outcome {
                return Err(refused.clone());
            }
        }
        Ok(starting)
    }
}

impl Starting {
    /// Starts the process, once.
    fn run(&mut self) {
        if self.outcome.is_some() {
            return;
        }
        let live = &self.engine.0.live;
        self.outcome = Some(self.engine.edit(|state| {
            let exec = state.exec(&self.id)?;
            let (command, of) = (exec.view.spec.cmd.clone(), exec.view.container_id.clone());
            let told = format!("exec_start: {}", command.join(" "));
            state.tell_more(&of, &told, &[("execID", self.id.clone())], live);
            let program = match state.program(&command) {
                Ok(program) => program,
                Err((code, refused)) => {
                    // A failed start sends no event, because no process has ended.
                    state.exec(&self.id)?.view.exit_code = Some(code);
                    return Err(refused);
                }
            };
            let exec = state.exec(&self.id)?;
            exec.view.running = true;
            exec.view.pid = std::process::id();
            if let Program::Ends(code) = program {
                state.end_exec(&self.id, i32::try_from(code).unwrap_or(255), live);
            }
            Ok(std::process::id())
        }));
    }
}

impl api::Starting for Starting {
    type Error = Refused;

    async fn point(&mut self) -> Result<Option<AttachPoint>, Refused> {
        Ok(self.point.clone())
    }

    async fn connected(&mut self) -> Result<(), Refused> {
        self.run();
        Ok(())
    }

    async fn started(&mut self) -> Result<u32, Refused> {
        if self.outcome.is_none() {
            tokio::time::sleep(PATIENCE).await;
            self.run();
        }
        self.outcome.clone().expect("it was run")
    }

    async fn ended(&mut self) -> Result<(), Refused> {
        let ended = |exec: &mut Exec| exec.view.exit_code.is_some();
        self.engine.until(|state| state.exec(&self.id).map_or(true, ended).then_some(())).await;
        Ok(())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.run();
    }
}
