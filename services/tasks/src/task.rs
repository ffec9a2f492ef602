//! A live task: its shim, its processes, and the events of its life.
//!
//! The events of one task appear in containerd's order, each once: create, start, (exec-added, exec-started, exit of
//! the exec), …, exit of init, delete.

pub mod process;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use gantry_failpoint::failpoint;
use gantry_proto::containerd::events::{
    TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskOom, TaskPaused, TaskResumed,
    TaskStart,
};
use gantry_proto::containerd::task::v3 as api;
use gantry_proto::containerd::types::Envelope;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::bundle::Bundle;
use crate::error::Error;
use crate::events::{Publisher, Then};
use crate::journal::Step;
use crate::shim::client::{Client, Failure};
use crate::shim::helper::Helper;
use process::{Exit, Phase, Process};

/// The exit status of a process whose shim died before it reported one.
pub const KILLED: u32 = 137;

/// How long the exit of init waits for the exits of the execs that end with it.
const EXECS_FIRST: Duration = Duration::from_millis(500);

/// How a watch over a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// The process's exit is published, or it was removed.
    Done,
    /// The shim is dead.
    ShimLost,
}

/// A live task.
#[derive(Debug)]
pub struct Task {
    namespace: String,
    id: String,
    bundle: Bundle,
    helper: Helper,
    client: Client,
    init: Arc<Process>,
    // Guards the map only.
    execs: Mutex<BTreeMap<String, Arc<Process>>>,
    publisher: Publisher,
    oom_told: AtomicBool,
    /// Cancelled when the task is removed.
    removed: CancellationToken,
}

impl Task {
    /// A task whose shim answers, with the given init process.
    pub fn new(bundle: Bundle, helper: Helper, client: Client, init: Process, publisher: Publisher) -> Task {
        let (namespace, id) = (helper.namespace.clone(), helper.id.clone());
        Task {
            namespace,
            id,
            bundle,
            helper,
            client,
            init: Arc::new(init),
            execs: Mutex::default(),
            publisher,
            oom_told: AtomicBool::new(false),
            removed: CancellationToken::new(),
        }
    }

    /// Cancelled when the task is removed.
    pub fn removed(&self) -> &CancellationToken {
        &self.removed
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The containerd namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The shim.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The runs of the shim's binary.
    pub fn helper(&self) -> &Helper {
        &self.helper
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The init process.
    pub fn init(&self) -> &Arc<Process> {
        &self.init
    }

    /// A process by exec id; empty means init.
    pub fn process(&self, exec: &str) -> Result<Arc<Process>, Error> {
        if exec.is_empty() {
            return Ok(self.init.clone());
        }
        self.execs.lock().get(exec).cloned().ok_or_else(|| self.no_process(exec))
    }

    /// Adds a process without publishing an event; recovery uses it.
    pub fn restore(&self, process: Process) -> Arc<Process> {
        let process = Arc::new(process);
        self.execs.lock().insert(process.exec().to_owned(), process.clone());
        process
    }

    fn no_process(&self, exec: &str) -> Error {
        Error::ProcessNotFound { task: self.id.clone(), exec: exec.to_owned() }
    }

    fn publish<M: prost::Name>(&self, topic: &str, event: &M, step: Step) {
        self.publisher.publish(
            &self.namespace,
            topic,
            event,
            Then::Note(self.bundle.journal().clone(), step),
        );
    }

    /// Publishes the create event.
    pub fn tell_created(&self, event: TaskCreate) {
        self.publish("/tasks/create", &event, Step::Create);
    }

    /// Publishes the start event of a process.
    pub fn tell_started(&self, process: &Process) {
        let (container_id, exec_id, pid) = (self.id.clone(), process.exec().to_owned(), process.pid());
        let step = Step::Start(exec_id.clone());
        if exec_id.is_empty() {
            self.publish("/tasks/start", &TaskStart { container_id, pid }, step);
        } else {
            self.publish("/tasks/exec-started", &TaskExecStarted { container_id, exec_id, pid }, step);
        }
    }

    /// Publishes the exec-added event.
    pub fn tell_exec_added(&self, exec: &str) {
        let event = TaskExecAdded { container_id: self.id.clone(), exec_id: exec.to_owned() };
        self.publish("/tasks/exec-added", &event, Step::Exec(exec.to_owned()));
    }

    /// Starts a process. Returns the pid.
    pub async fn start(&self, process: &Process) -> Result<u32, Error> {
        let exec = process.exec();
        // In any other phase the shim returns the error.
        if !process.begin_start() {
            return self.client.start(exec).await;
        }
        self.bundle.journal().did(&Step::Start(exec.to_owned()));
        failpoint!("tasks.start.noted", infallible);
        let started = self.client.start(exec).await;
        if let Ok(pid) = started {
            failpoint!("tasks.start.started", infallible);
            process.set_pid(pid);
            self.tell_started(process);
        }
        process.end_start(started.is_ok());
        started
    }

    /// Adds an exec.
    pub async fn exec(&self, request: api::ExecProcessRequest) -> Result<(), Error> {
        let exec = request.exec_id.clone();
        gantry_types::identifier::validate(&exec)?;
        // Reserves the name first: of two callers that add the same exec, one succeeds.
        match self.execs.lock().entry(exec.clone()) {
            Entry::Occupied(_) => return Err(Error::ProcessExists { task: self.id.clone(), exec }),
            Entry::Vacant(free) => free.insert(Arc::new(Process::new(&exec, 0, Phase::Created))),
        };
        self.bundle.journal().did(&Step::Exec(exec.clone()));
        if let Err(error) = self.client.exec(request).await {
            self.execs.lock().remove(&exec);
            self.bundle.journal().did(&Step::ExecGone(exec));
            return Err(error);
        }
        failpoint!("tasks.exec.added", infallible);
        self.tell_exec_added(&exec);
        Ok(())
    }

    /// Removes an exec that has ended or was not started.
    pub async fn delete_exec(&self, exec: &str) -> Result<api::DeleteResponse, Error> {
        let process = self.process(exec)?;
        let answer = self.client.delete(exec).await?;
        if process.settled().await == Phase::Created {
            process.set_gone();
        } else {
            self.finish(&process, Exit { status: answer.exit_status, at: answer.exited_at }).await;
        }
        self.execs.lock().remove(exec);
        self.bundle.journal().did(&Step::ExecGone(exec.to_owned()));
        Ok(answer)
    }

    /// Freezes all processes.
    pub async fn pause(&self) -> Result<(), Error> {
        self.client.pause().await?;
        let event = TaskPaused { container_id: self.id.clone() };
        self.publisher.publish(&self.namespace, "/tasks/paused", &event, Then::Nothing);
        Ok(())
    }

    /// Thaws all processes.
    pub async fn resume(&self) -> Result<(), Error> {
        self.client.resume().await?;
        let event = TaskResumed { container_id: self.id.clone() };
        self.publisher.publish(&self.namespace, "/tasks/resumed", &event, Then::Nothing);
        Ok(())
    }

    /// Waits for a process's exit and publishes it.
    pub async fn watch(&self, process: &Process) -> Watched {
        let mut pause = Duration::from_millis(20);
        loop {
            match self.client.wait(process.exec()).await {
                Ok(answer) => {
                    self.finish(process, Exit { status: answer.exit_status, at: answer.exited_at }).await;
                    return Watched::Done;
                }
                Err(Failure::Answered(status)) if status.code() == tonic::Code::NotFound => {
                    return Watched::Done;
                }
                Err(Failure::Answered(status)) => {
                    tracing::warn!(
                        container = self.id,
                        exec = process.exec(),
                        error = status.message(),
                        "wait failed"
                    );
                }
                Err(Failure::Away(_)) if !self.client.is_there().await => return Watched::ShimLost,
                Err(Failure::Away(reason)) => {
                    tracing::debug!(
                        container = self.id,
                        error = reason,
                        "lost sight of the shim for a moment"
                    );
                }
            }
            if let Phase::Exited(_) | Phase::Gone = process.phase() {
                return Watched::Done;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Publishes a process's exit once: after its start, and init's exit after those of the execs. The exit of an exec
    /// that was not started is told only to those who wait for it. Returns when that is done, even by another caller.
    pub async fn finish(&self, process: &Process, exit: Exit) {
        let before = process.settled().await;
        if !process.claim_exit() {
            process.ended().await;
            return;
        }
        failpoint!("tasks.exit.seen", infallible);
        if process.exec().is_empty() {
            self.bundle.journal().ended(process.pid(), &exit);
            failpoint!("tasks.exit.noted", infallible);
            self.execs_first().await;
            // The kernel may have killed a process other than init. Usually the shim has published that at the time.
            if self.bundle.was_oom_killed() && !self.oom_told.swap(true, Ordering::Relaxed) {
                let event = TaskOom { container_id: self.id.clone() };
                self.publisher.publish(&self.namespace, "/tasks/oom", &event, Then::Nothing);
            }
        }
        if process.exec().is_empty() || before == Phase::Running {
            self.tell_exited(process, &exit);
        }
        process.set_exited(exit);
    }

    /// Publishes an out-of-memory event of the shim.
    pub fn take_oom(&self, envelope: Envelope) {
        // After init's exit, [`Task::finish`] has published it.
        if !self.oom_told.swap(true, Ordering::Relaxed) || !self.init.has_ended() {
            self.publisher.forward(envelope);
        }
    }

    fn tell_exited(&self, process: &Process, exit: &Exit) {
        let exec = process.exec();
        let event = TaskExit {
            container_id: self.id.clone(),
            id: if exec.is_empty() { self.id.clone() } else { exec.to_owned() },
            pid: process.pid(),
            exit_status: exit.status,
            exited_at: exit.at,
        };
        self.publish("/tasks/exit", &event, Step::Exit(exec.to_owned()));
    }

    async fn execs_first(&self) {
        let running: Vec<_> =
            self.execs.lock().values().filter(|exec| exec.phase() == Phase::Running).cloned().collect();
        let all = futures::future::join_all(running.iter().map(|exec| exec.ended()));
        // An exec that outlives init, because it is in the host's PID namespace, is published when it ends.
        let _ = tokio::time::timeout(EXECS_FIRST, all).await;
    }

    /// Publishes the exit of every process that a dead shim left without one: init's as given, the execs' as killed.
    pub async fn finish_all(&self, exit: Exit) {
        let execs: Vec<_> = self.execs.lock().values().cloned().collect();
        for exec in execs {
            if exec.settled().await == Phase::Running {
                self.finish(&exec, Exit { status: KILLED, at: exit.at }).await;
            } else {
                exec.set_gone();
            }
        }
        self.finish(&self.init, exit).await;
    }

    /// Sets the bundle aside and publishes the delete event.
    pub fn tell_deleted(&self, exit: &Exit) {
        self.removed.cancel();
        for exec in self.execs.lock().values() {
            exec.set_gone();
        }
        self.bundle.journal().ended(self.init.pid(), exit);
        let event = deleted(&self.id, self.init.pid(), exit);
        let then = match self.bundle.set_aside() {
            Ok(aside) => Then::Remove(aside),
            Err(error) => {
                tracing::warn!(
                    container = self.id,
                    error = gantry_rpc::chain(&error),
                    "bundle stays where it is"
                );
                Then::Remove(self.bundle.clone())
            }
        };
        self.publisher.publish(&self.namespace, "/tasks/delete", &event, then);
    }
}

/// The delete event of a task.
pub fn deleted(id: &str, pid: u32, exit: &Exit) -> TaskDelete {
    TaskDelete {
        container_id: id.to_owned(),
        pid,
        exit_status: exit.status,
        exited_at: exit.at,
        id: String::new(),
    }
}

/// The exit of a process that died unseen: killed, now.
pub fn killed_now() -> Exit {
    Exit { status: KILLED, at: Some(SystemTime::now().into()) }
}
