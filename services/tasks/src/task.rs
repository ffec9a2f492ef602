//! A live task: its shim, its processes, and the events of its life.
//!
//! Events of one task appear in containerd's order: create, start, (exec-added,
//! exec-started, exit of the exec), …, exit of init, delete; each once.

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

/// The status of a process whose shim died before it could say.
pub const KILLED: u32 = 137;

/// How long the exit of init waits for those of the execs that it takes along.
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
    /// A task whose shim has been reached and whose init process is as given.
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

    /// Adds a process without an event: for recovery.
    pub fn adopt(&self, process: Process) -> Arc<Process> {
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

    /// Publishes the creation.
    pub fn tell_created(&self, event: TaskCreate) {
        self.publish("/tasks/create", &event, Step::Create);
    }

    /// Publishes the start of a process.
    pub fn tell_started(&self, process: &Process) {
        let (container_id, exec_id, pid) = (self.id.clone(), process.exec().to_owned(), process.pid());
        let step = Step::Start(exec_id.clone());
        if exec_id.is_empty() {
            self.publish("/tasks/start", &TaskStart { container_id, pid }, step);
        } else {
            self.publish("/tasks/exec-started", &TaskExecStarted { container_id, exec_id, pid }, step);
        }
    }

    /// Publishes the addition of an exec.
    pub fn tell_exec_added(&self, exec: &str) {
        let event = TaskExecAdded { container_id: self.id.clone(), exec_id: exec.to_owned() };
        self.publish("/tasks/exec-added", &event, Step::Exec(exec.to_owned()));
    }

    /// Starts a process; its pid.
    pub async fn start(&self, exec: &str) -> Result<u32, Error> {
        let process = self.process(exec)?;
        // In any other phase the shim says what is wrong.
        if !process.begin_start() {
            return self.client.start(exec).await;
        }
        self.bundle.journal().did(&Step::Start(exec.to_owned()));
        failpoint!("tasks.start.noted", infallible);
        let started = self.client.start(exec).await;
        if let Ok(pid) = started {
            failpoint!("tasks.start.started", infallible);
            process.set_pid(pid);
            self.tell_started(&process);
        }
        process.end_start(started.is_ok());
        started
    }

    /// Adds an exec.
    pub async fn exec(&self, request: api::ExecProcessRequest) -> Result<(), Error> {
        let exec = request.exec_id.clone();
        gantry_types::identifier::validate(&exec)?;
        // Takes the name first: of two who want it, one gets it.
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

    /// Removes an exec that has ended or was never started.
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

    /// Waits for the end of a process and publishes it.
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

    /// Publishes the end of a process, once, after its start, and init's after the execs'.
    /// Returns when that is done, by whoever does it.
    pub async fn finish(&self, process: &Process, exit: Exit) {
        process.settled().await;
        if !process.claim_exit() {
            process.ended().await;
            return;
        }
        failpoint!("tasks.exit.seen", infallible);
        if process.exec().is_empty() {
            self.bundle.journal().ended(process.pid(), &exit);
            failpoint!("tasks.exit.noted", infallible);
            self.execs_first().await;
            // Also when it was not init that was killed. Usually the shim has told of it when it was.
            if self.bundle.was_oom_killed() && !self.oom_told.swap(true, Ordering::Relaxed) {
                let event = TaskOom { container_id: self.id.clone() };
                self.publisher.publish(&self.namespace, "/tasks/oom", &event, Then::Nothing);
            }
        }
        self.tell_exited(process, &exit);
        process.set_exited(exit);
    }

    /// Publishes what the shim tells of want of memory.
    pub fn take_oom(&self, envelope: Envelope) {
        // What comes after the end is known by then.
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
        // An exec that outlives init (it was in the host's pid namespace) is reported when it ends.
        let _ = tokio::time::timeout(EXECS_FIRST, all).await;
    }

    /// Ends every process that a dead shim left without an exit, init as given, execs as killed.
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

    /// Sets the bundle aside and publishes the removal.
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

/// The event of a task's removal.
pub fn deleted(id: &str, pid: u32, exit: &Exit) -> TaskDelete {
    TaskDelete {
        container_id: id.to_owned(),
        pid,
        exit_status: exit.status,
        exited_at: exit.at,
        id: String::new(),
    }
}

/// An exit that nobody saw: killed, now.
pub fn killed_now() -> Exit {
    Exit { status: KILLED, at: Some(SystemTime::now().into()) }
}
