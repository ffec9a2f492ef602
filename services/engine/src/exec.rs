//! Execs: further processes in running containers.
//!
//! ```text
//! made ──start──▶ running ──exit──▶ ended
//!         └── could not be started ──▶ ended (126, 127, 128)
//! ```
//!
//! An exec is written down when it is made and when it ends, so that its exit code can be asked for after a restart of the
//! engine; ended ones are forgotten after a while. Output goes to the shim's attach socket only.

mod user;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine as api;
use gantry_api::engine::{AttachPoint, ExecSpec, Status, Window};
use gantry_failpoint::failpoint;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use crate::archive::place::Purpose;
use crate::container::Container;
use crate::container::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::peers::{Exit, Stdio, Task};
use crate::record::ExecRecord;
use crate::{names, spec, time};

/// How long an ended exec can be asked about.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How long somebody who gives a terminal its size waits for it to be started.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// Between attempts to reach tasks.
const RETRY: Duration = Duration::from_millis(200);

/// Whether an exec outlives the engine's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is written down.
    Durable,
    /// It is only of use to this process.
    InMemory,
    /// So is a health probe's.
    ForProbe,
}

/// An exec.
pub struct Exec {
    id: String,
    container: String,
    spec: ExecSpec,
    kept: Kept,
    state: watch::Sender<ExecState>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ExecState {
    started: bool,
    pid: u32,
    exit_code: Option<i32>,
    /// Nanoseconds since 1970.
    ended_at: i64,
}

impl Exec {
    /// An exec as it is recorded.
    pub fn restore(record: ExecRecord) -> Exec {
        let state = ExecState {
            started: record.started,
            pid: record.pid,
            exit_code: record.exit_code,
            ended_at: if record.exit_code.is_some() { time::now() } else { 0 },
        };
        Exec {
            id: record.id,
            container: record.container,
            spec: record.spec,
            kept: Kept::Durable,
            state: watch::channel(state).0,
        }
    }

    /// 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether its process runs.
    pub fn is_running(&self) -> bool {
        let state = self.state.borrow();
        state.started && state.exit_code.is_none()
    }

    /// Its exit code, once it has ended.
    pub async fn ended(&self) -> i32 {
        let mut watch = self.state.subscribe();
        let state = watch.wait_for(|state| state.exit_code.is_some()).await;
        state.ok().and_then(|state| state.exit_code).unwrap_or(255)
    }

    fn record(&self) -> ExecRecord {
        let state = *self.state.borrow();
        ExecRecord {
            id: self.id.clone(),
            container: self.container.clone(),
            spec: self.spec.clone(),
            started: state.started,
            pid: state.pid,
            exit_code: state.exit_code,
        }
    }

    fn view(&self) -> api::Exec {
        let state = *self.state.borrow();
        api::Exec {
            id: self.id.clone(),
            container_id: self.container.clone(),
            running: state.started && state.exit_code.is_none(),
            exit_code: state.exit_code,
            pid: state.pid,
            spec: self.spec.clone(),
            can_remove: false,
        }
    }

    fn stdio(&self) -> Stdio {
        Stdio { log: "none:".to_owned(), stdin: self.spec.attach_stdin, terminal: self.spec.tty }
    }
}

impl Engine {
    /// Makes an exec at a user's request.
    pub async fn create_exec(&self, request: ExecSpec) -> Result<String> {
        let container = self.index.find(&request.container)?;
        if request.cmd.is_empty() {
            return Err(Error::Invalid("No exec command specified".to_owned()));
        }
        if container.status() == Status::Paused {
            return Err(Error::Conflict(format!(
                "Container {} is paused, unpause the container before exec",
                request.container
            )));
        }
        container.running_pid()?;
        if user::needs_files(&request.user)? {
            let place = self.place(&container, "/", Purpose::Read).await?;
            let user = request.user.clone();
            blocking(move || user::check(&user, &place.view)).await?;
        }
        let exec = self.make_exec(&container, request, Kept::Durable).await?;
        Ok(exec.id.clone())
    }

    /// Makes an exec; nothing is told to tasks yet.
    pub(crate) async fn make_exec(
        &self,
        container: &Arc<Container>,
        spec: ExecSpec,
        kept: Kept,
    ) -> Result<Arc<Exec>> {
        self.forget_old_execs(container).await;
        let mut exec = Exec {
            id: names::new_id(),
            container: container.id().to_owned(),
            spec,
            kept,
            state: watch::channel(ExecState::default()).0,
        };
        if kept == Kept::Durable {
            match self.store.put_exec(&exec.record()).await {
                // A full disk is looked at, and cleaned, from inside.
                Err(error) if error.is_disk_full() => exec.kept = Kept::InMemory,
                written => written?,
            }
        }
        failpoint!("engine.exec.recorded");
        let exec = Arc::new(exec);
        container.execs.lock().insert(exec.id.clone(), Arc::clone(&exec));
        self.publish_exec(container, &exec, &told("exec_create", &exec.spec.cmd), None);
        Ok(exec)
    }

    /// An exec and its container, by the exec's id.
    pub(crate) fn find_exec(&self, id: &str) -> Result<(Arc<Container>, Arc<Exec>)> {
        for container in self.index.all() {
            let found = container.execs.lock().get(id).cloned();
            if let Some(exec) = found {
                return Ok((container, exec));
            }
        }
        Err(Error::NoSuchExec(id.to_owned()))
    }

    /// An exec as callers see it. One that tasks knows to have ended has ended.
    pub async fn get_exec(&self, id: &str) -> Result<api::Exec> {
        let (container, exec) = self.find_exec(id)?;
        if exec.is_running()
            && let Ok(Task::Stopped(exit)) = self.peers.task(container.id(), id).await
        {
            self.exec_ended(&container, &exec, exit).await;
        }
        Ok(exec.view())
    }

    /// Tells tasks of an exec; afterwards the shim takes attachments for it.
    pub async fn add_exec(&self, id: &str) -> Result<(Arc<Container>, Arc<Exec>)> {
        let (container, exec) = self.find_exec(id)?;
        container.running_pid()?;
        if container.status() == Status::Paused {
            return Err(Error::Conflict(format!(
                "Container {} is paused, unpause the container before exec",
                container.id()
            )));
        }
        let mut before = ExecState::default();
        exec.state.send_if_modified(|state| {
            before = std::mem::replace(state, ExecState { started: true, ..*state });
            !before.started
        });
        match before {
            ExecState { started: false, exit_code: None, .. } => {}
            ExecState { exit_code: None, .. } => {
                return Err(Error::Conflict(format!("exec command {id} is already running")));
            }
            _ => return Err(Error::Conflict(format!("exec command {id} has already run"))),
        }
        let record = container.record();
        let variables = self.link_variables(&record);
        let process = spec::exec_process(&record, &self.facts, &variables, &exec.spec)?;
        match self.peers.add_exec(container.id(), id, &process, &exec.stdio()).await {
            Ok(()) => Ok((container, exec)),
            Err(error) => Err(self.exec_failed(&exec, error).await),
        }
    }

    /// Starts the process of an exec that tasks knows.
    pub async fn start_exec(&self, container: &Arc<Container>, exec: &Arc<Exec>) -> Result<u32> {
        failpoint!("engine.exec.added", infallible);
        self.publish_exec(container, exec, &told("exec_start", &exec.spec.cmd), None);
        let pid = match self.peers.start_task(container.id(), &exec.id).await {
            Ok(pid) => pid,
            Err(error) => {
                let _ = self.peers.delete_exec(container.id(), &exec.id).await;
                return Err(self.exec_failed(exec, error).await);
            }
        };
        failpoint!("engine.exec.started", infallible);
        exec.state.send_modify(|state| state.pid = pid);
        self.monitor_exec(container, exec);
        Ok(pid)
    }

    /// Finds out what has become of execs whose end is not recorded, and watches those that were started. That they
    /// were is not written down: tasks knows it.
    pub(crate) async fn adopt_execs(&self, container: &Arc<Container>) -> Result<()> {
        let open = |exec: &&Arc<Exec>| {
            let state = exec.state.borrow();
            !state.started && state.exit_code.is_none()
        };
        let open: Vec<Arc<Exec>> = container.execs.lock().values().filter(open).cloned().collect();
        for exec in open {
            let pid = match self.peers.task(container.id(), &exec.id).await? {
                Task::Running(pid) | Task::Paused(pid) => pid,
                Task::Stopped(_) => 0,
                // Whoever was about to start it has heard of no success, and may start it again.
                Task::Created if exec.state.borrow().started => continue,
                Task::Created => {
                    self.peers.delete_exec(container.id(), &exec.id).await?;
                    continue;
                }
                Task::Absent => continue,
            };
            exec.state.send_modify(|state| {
                state.started = true;
                state.pid = pid;
            });
            self.monitor_exec(container, &exec);
        }
        Ok(())
    }

    /// Waits in the background for an exec to end.
    pub(crate) fn monitor_exec(&self, container: &Arc<Container>, exec: &Arc<Exec>) {
        let (engine, container, exec) = (self.clone(), Arc::clone(container), Arc::clone(exec));
        self.spawn("wait for an exec", async move {
            let exit = loop {
                match engine.peers.wait_task(container.id(), &exec.id).await {
                    Ok(exit) => break exit,
                    Err(status) if status.code() == tonic::Code::NotFound => {
                        if !container.life().has_process() {
                            break Exit { code: 137, at: time::now() };
                        }
                        match engine.peers.task(container.id(), &exec.id).await {
                            Ok(Task::Stopped(exit)) => break exit,
                            Ok(Task::Absent) => break Exit { code: 255, at: time::now() },
                            _ => {}
                        }
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(RETRY).await;
            };
            engine.exec_ended(&container, &exec, exit).await;
            failpoint!("engine.exec.ended", infallible);
            if let Err(error) = engine.peers.delete_exec(container.id(), &exec.id).await {
                tracing::debug!(exec = %exec.id, error = %gantry_rpc::chain(&error), "ended exec stays with tasks");
            }
        });
    }

    async fn exec_ended(&self, container: &Container, exec: &Exec, exit: Exit) {
        if self.record_end(exec, exit.code).await {
            self.publish_exec(container, exec, "exec_die", Some(exit.code));
        }
    }

    /// Whether it was this that ended it.
    async fn record_end(&self, exec: &Exec, code: i32) -> bool {
        let first = exec.state.send_if_modified(|state| {
            let first = state.exit_code.is_none();
            if first {
                state.exit_code = Some(code);
                state.ended_at = time::now();
                state.pid = 0;
            }
            first
        });
        if first
            && exec.kept == Kept::Durable
            && let Err(error) = self.store.put_exec(&exec.record()).await
        {
            tracing::warn!(exec = %exec.id, error = %gantry_rpc::chain(&error), "exit code not recorded");
        }
        first
    }

    /// What never ran does not die: nobody is told.
    async fn exec_failed(&self, exec: &Exec, error: Error) -> Error {
        let code = match &error {
            Error::StartFailed { exit_code, .. } => *exit_code,
            _ => 128,
        };
        self.record_end(exec, code).await;
        match error {
            Error::StartFailed { message, exit_code } => Error::ExecFailed { message, exit_code },
            other => other,
        }
    }

    /// Runs an exec to its end and takes its output, framing removed, up to a length; the answer is its exit code.
    pub(crate) async fn run_captured(
        &self,
        exec: &Arc<Exec>,
        output: &mut Vec<u8>,
        most: usize,
    ) -> Result<i32> {
        let (container, exec) = self.add_exec(exec.id()).await?;
        let mut stream = self.peers.attach_output(container.id(), &exec.id).await?;
        self.start_exec(&container, &exec).await?;
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
        Ok(exec.ended().await)
    }

    /// Forgets what is written down about the execs of a run that has ended; their exit codes can still be asked for.
    pub(crate) async fn forget_execs(&self, container: &Container) {
        let durable: Vec<String> = {
            let execs = container.execs.lock();
            execs.values().filter(|exec| exec.kept == Kept::Durable).map(|exec| exec.id.clone()).collect()
        };
        if let Err(error) = self.store.delete_execs(&durable).await {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "execs not forgotten");
        }
    }

    async fn forget_old_execs(&self, container: &Container) {
        let old: Vec<Arc<Exec>> = {
            let mut execs = container.execs.lock();
            let is_old = |exec: &Arc<Exec>| {
                let state = exec.state.borrow();
                state.exit_code.is_some() && time::elapsed(state.ended_at) > REMEMBERED
            };
            let old: Vec<Arc<Exec>> = execs.values().filter(|exec| is_old(exec)).cloned().collect();
            for exec in &old {
                execs.remove(&exec.id);
            }
            old
        };
        let ids: Vec<String> =
            old.iter().filter(|exec| exec.kept == Kept::Durable).map(|exec| exec.id.clone()).collect();
        if let Err(error) = self.store.delete_execs(&ids).await {
            tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "old execs not forgotten");
        }
    }

    fn publish_exec(&self, container: &Container, exec: &Exec, action: &str, exit: Option<i32>) {
        let mut more = BTreeMap::from([("execID".to_owned(), exec.id.clone())]);
        if let Some(code) = exit {
            more.insert("exitCode".to_owned(), code.to_string());
        }
        match exec.kept {
            Kept::ForProbe => {
                self.events.publish_probe(action, container.id(), Self::attributes(container, more))
            }
            Kept::Durable | Kept::InMemory => self.publish_container(container, action, more),
        }
    }

    /// Where to attach to an exec that tasks knows.
    pub fn exec_point(&self, container: &Container, exec: &Exec) -> AttachPoint {
        AttachPoint {
            socket: self.peers.attach_socket(container.id()).display().to_string(),
            exec_id: exec.id.clone(),
            tty: exec.spec.tty,
            // The end of the client's input is always the end of an exec's.
            stdin_once: true,
        }
    }

    /// Changes the size of an exec's terminal; one that is not started yet is waited for, for a while.
    pub async fn resize_exec(&self, id: &str, size: Window) -> Result<()> {
        let (container, exec) = self.find_exec(id)?;
        let mut watch = exec.state.subscribe();
        let started = watch.wait_for(|state| state.started);
        match tokio::time::timeout(START_PATIENCE, started).await {
            Ok(Ok(state)) if state.exit_code.is_none() => {}
            Ok(_) => return Err(Error::ExecGone(id.to_owned())),
            Err(_) => return Err(Error::ExecNotStarted),
        }
        self.peers.resize(container.id(), &exec.id, size.width, size.height).await
    }
}
/// An exec's event: with its program and, behind a blank, its arguments, of which there may be none.
fn told(action: &str, cmd: &[String]) -> String {
    let (program, arguments) =
        cmd.split_first().map_or(("", &[][..]), |(program, rest)| (program.as_str(), rest));
    format!("{action}: {program} {}", arguments.join(" "))
}
