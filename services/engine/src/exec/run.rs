//! Runs execs: adds them to the tasks service, starts their processes, waits for their end.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::{AttachPoint, Status, Window};
use gantry_failpoint::failpoint;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::make::{paused, told};
use super::{Exec, Execs, State};
use crate::container::Container;
use crate::error::{Error, Result};
use crate::peers::{Exit, Task};
use crate::{retry, spec, time};

/// How long a resize waits for the exec to be started.
const START_PATIENCE: Duration = Duration::from_secs(10);

impl Execs {
    /// Adds an exec to the tasks service. Afterwards the shim accepts attachments to it.
    pub async fn add(&self, id: &str) -> Result<(Arc<Container>, Arc<Exec>)> {
        let (container, exec) = self.find(id)?;
        container.running_pid()?;
        if container.status() == Status::Paused {
            return Err(paused(container.id()));
        }
        let record = container.record();
        let variables = self.containers.link_variables(&record);
        let process = spec::exec_process(&record, &self.facts, &variables, &exec.spec)?;
        exec.take()?;
        // Every failure from here on is recorded as the exec's end.
        match self.tasks.add_exec(container.task(), &exec.id, &process, &exec.stdio()).await {
            Ok(()) => Ok((container, exec)),
            Err(error) => Err(self.failed(&container, &exec, error).await),
        }
    }

    /// Starts the process of an exec that was added to the tasks service.
    pub async fn start(&self, container: &Arc<Container>, exec: &Arc<Exec>) -> Result<u32> {
        failpoint!("engine.exec.added", infallible);
        self.publish(container, exec, &told("exec_start", &exec.spec.cmd), None);
        let pid = match self.tasks.start(&exec.process()).await {
            Ok(pid) => pid,
            Err(error) => {
                let _ = self.tasks.delete_exec(container.task(), &exec.id).await;
                return Err(self.failed(container, exec, error).await);
            }
        };
        failpoint!("engine.exec.started", infallible);
        exec.runs(pid);
        self.monitor(container, exec);
        Ok(pid)
    }

    /// Waits in the background for the end of an exec.
    pub(super) fn monitor(&self, container: &Arc<Container>, exec: &Arc<Exec>) {
        let (execs, container, exec) = (self.clone(), Arc::clone(container), Arc::clone(exec));
        self.context.spawn("wait for an exec", async move {
            let exit = loop {
                match execs.tasks.wait(&exec.process()).await {
                    Ok(exit) => break exit,
                    Err(error) if error.peer_code() == Some(tonic::Code::NotFound) => {
                        if !container.life().has_process() {
                            break Exit { code: 137, at: time::now() };
                        }
                        match execs.tasks.get(&exec.process()).await {
                            Ok(Task::Stopped(exit)) => break exit,
                            Ok(Task::Absent) => break Exit { code: 255, at: time::now() },
                            _ => {}
                        }
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(retry::PAUSE).await;
            };
            execs.ended(&container, &exec, exit).await;
            failpoint!("engine.exec.ended", infallible);
            if let Err(error) = execs.tasks.delete_exec(container.task(), &exec.id).await {
                tracing::debug!(exec = %exec.id, error = %gantry_rpc::chain(&error), "ended exec stays with tasks");
            }
        });
    }

    /// Takes in the end of an exec that ran.
    pub(super) async fn ended(&self, container: &Container, exec: &Exec, exit: Exit) {
        if self.record_end(container, exec, exit.code).await {
            self.publish(container, exec, "exec_die", Some(exit.code));
        }
    }

    /// Records a failed start. No event is sent, because no process has ended.
    async fn failed(&self, container: &Container, exec: &Exec, error: Error) -> Error {
        let code = match &error {
            Error::StartFailed { exit_code, .. } => *exit_code,
            _ => 128,
        };
        self.record_end(container, exec, code).await;
        match error {
            Error::StartFailed { message, exit_code } => Error::ExecFailed { message, exit_code },
            other => other,
        }
    }

    /// Starts an exec. Returns its output, in the frames of Docker's multiplexed stream.
    ///
    /// A caller that drops this before its end does not know whether the exec runs: the tasks service goes on with a
    /// start, and nobody here would watch it.
    pub(crate) async fn start_attached(&self, exec: &Arc<Exec>) -> Result<UnixStream> {
        let (container, exec) = self.add(exec.id()).await?;
        let stream = match self.shims.attach_output(container.id(), exec.id()).await {
            Ok(stream) => stream,
            Err(error) => {
                let _ = self.tasks.delete_exec(container.task(), &exec.id).await;
                return Err(self.failed(&container, &exec, error).await);
            }
        };
        self.start(&container, &exec).await?;
        Ok(stream)
    }

    /// Reads the output of a started exec to its end, without framing and up to a length. Returns the exit code.
    pub(crate) async fn captured(
        &self,
        exec: &Exec,
        mut stream: UnixStream,
        output: &mut Vec<u8>,
        most: usize,
    ) -> i32 {
        let mut head = [0; 8];
        while stream.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
            let mut payload = (&mut stream).take(u64::from(length));
            let mut bytes = Vec::new();
            if payload.read_to_end(&mut bytes).await.is_err() {
                break;
            }
            let room = most.saturating_sub(output.len()).min(bytes.len());
            output.extend_from_slice(&bytes[..room]);
        }
        exec.ended().await
    }

    /// Where a client attaches to an exec that was added to the tasks service.
    pub fn point(&self, container: &Container, exec: &Exec) -> AttachPoint {
        AttachPoint {
            socket: self.shims.attach_socket(container.id()).display().to_string(),
            exec_id: exec.id.to_string(),
            tty: exec.spec.tty,
            // An exec's stdin always closes when its client closes its half of the connection.
            stdin_once: true,
        }
    }

    /// Changes the size of an exec's terminal. Waits for a limited time if the exec is not started yet.
    pub async fn resize(&self, id: &str, size: Window) -> Result<()> {
        let (_, exec) = self.find(id)?;
        let mut watch = exec.state.subscribe();
        let started = watch.wait_for(|state| *state != State::Made);
        match tokio::time::timeout(START_PATIENCE, started).await {
            Ok(Ok(state)) if state.is_running() => {}
            Ok(_) => return Err(Error::ExecGone(id.to_owned())),
            Err(_) => return Err(Error::ExecNotStarted),
        }
        self.tasks.resize(&exec.process(), size.width, size.height).await
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::engine::ExecSpec;

    use super::super::Kept;
    use super::*;
    use crate::stage::Stage;

    fn execs(stage: &Stage) -> Execs {
        let facts = gantry_spec::Facts::detect();
        Execs::new(&stage.containers, &stage.peers, &stage.events, &facts, &stage.context())
    }

    fn spec() -> ExecSpec {
        ExecSpec { cmd: vec!["sleep".to_owned()], ..ExecSpec::default() }
    }

    #[tokio::test]
    async fn an_exec_runs_to_its_end_once() {
        let stage = Stage::new();
        let container = stage.running("web").await;
        let execs = execs(&stage);
        let exec = execs.make(&container, spec(), Kept::Durable).await.expect("made");
        execs.add(exec.id()).await.expect("added");
        let pid = execs.start(&container, &exec).await.expect("started");
        assert_eq!(execs.get(exec.id()).await.expect("known").pid, pid);
        execs.add(exec.id()).await.map(drop).expect_err("it runs");
        stage.tasks.end(&gantry_types::Namespace::moby(), &exec.process(), 3);
        assert_eq!(exec.ended().await, 3);
        let told = stage.told();
        assert_eq!(&told[..2], ["exec_create: sleep ", "exec_start: sleep "]);
    }

    #[tokio::test]
    async fn an_exec_that_tasks_did_not_hear_of_has_ended() {
        let mut stage = Stage::new();
        let container = stage.running("web").await;
        stage.lose_tasks();
        let execs = execs(&stage);
        let exec = execs.make(&container, spec(), Kept::Durable).await.expect("made");
        let error = execs.add(exec.id()).await.map(drop).expect_err("tasks is away");
        assert!(error.is_passing(), "{error}");
        let written = stage.containers.store.execs().await.expect("readable");
        assert_eq!(written.iter().map(|exec| exec.exit_code).collect::<Vec<_>>(), [Some(128)]);
        assert_eq!(stage.told(), ["exec_create: sleep "], "what never ran does not die");
    }
}
