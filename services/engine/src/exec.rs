//! Execs: further processes in running containers.
//!
//! ```text
//! made ──start──▶ started ──exit──▶ ended
//!                    └── could not be started ──▶ ended (126, 127, 128)
//! ```
//!
//! [`make`] creates execs, [`run`] starts them and waits for their end, [`remember`] records their outcome and
//! deletes it later. The output goes only to the shim's attach socket.

mod make;
mod remember;
mod run;
mod user;

use gantry_api::engine as api;
use gantry_api::engine::ExecSpec;
use gantry_daemon::Context;
use gantry_spec::Facts;
use gantry_types::{ContainerId, ExecId, ProcessId};
use tokio::sync::watch;

pub use self::remember::Known;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::{Peers, Shims, Stdio, Tasks};
use crate::record::ExecRecord;
use crate::{names, time};

/// Creates and runs execs. Cheap to clone.
#[derive(Clone)]
pub struct Execs {
    containers: Containers,
    tasks: Tasks,
    shims: Shims,
    events: Events,
    facts: Facts,
    context: Context,
}

impl Execs {
    /// The execs of the given containers. Tasks that wait for their ends run as long as the service of `context`.
    pub fn new(
        containers: &Containers,
        peers: &Peers,
        events: &Events,
        facts: &Facts,
        context: &Context,
    ) -> Execs {
        Execs {
            containers: containers.clone(),
            tasks: peers.tasks.clone(),
            shims: peers.shims.clone(),
            events: events.clone(),
            facts: facts.clone(),
            context: context.clone(),
        }
    }
}

/// Whether an exec survives a restart of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The exec is recorded in the database.
    Durable,
    /// The exec is only in this engine's memory.
    InMemory,
    /// The exec is a health probe's: it is only in this engine's memory, and its events are marked as a probe's.
    ForProbe,
}

/// An exec.
pub struct Exec {
    id: ExecId,
    container: ContainerId,
    spec: ExecSpec,
    kept: Kept,
    /// Time at which this engine created or loaded the exec, nanoseconds since 1970.
    made_at: i64,
    state: watch::Sender<State>,
}

/// The phase of an exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The exec can be started.
    Made,
    /// The exec is being started, or runs.
    Started {
        /// Process id; 0 until it runs.
        pid: u32,
    },
    /// The exec has ended, or its start failed.
    Ended {
        /// The exit code.
        code: i32,
        /// Time of the end, nanoseconds since 1970.
        at: i64,
    },
}

impl State {
    fn exit_code(self) -> Option<i32> {
        match self {
            State::Ended { code, .. } => Some(code),
            State::Made | State::Started { .. } => None,
        }
    }

    fn pid(self) -> u32 {
        match self {
            State::Started { pid } => pid,
            State::Made | State::Ended { .. } => 0,
        }
    }

    fn is_running(self) -> bool {
        matches!(self, State::Started { .. })
    }
}

impl Exec {
    fn new(container: &ContainerId, spec: ExecSpec, kept: Kept) -> Result<Exec> {
        Ok(Exec {
            id: names::new_id().parse()?,
            container: container.clone(),
            spec,
            kept,
            made_at: time::now(),
            state: watch::channel(State::Made).0,
        })
    }

    /// Restores an exec from its record.
    ///
    /// # Errors
    ///
    /// The record's id, or its container's id, is not valid.
    pub fn restore(record: ExecRecord) -> Result<Exec> {
        let state = match record.exit_code {
            Some(code) => State::Ended { code, at: time::now() },
            None if record.started => State::Started { pid: record.pid },
            None => State::Made,
        };
        Ok(Exec {
            id: record.id.parse()?,
            container: record.container.parse()?,
            spec: record.spec,
            kept: Kept::Durable,
            made_at: time::now(),
            state: watch::channel(state).0,
        })
    }

    /// 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The process id by which the tasks service knows the exec.
    pub fn process(&self) -> ProcessId {
        ProcessId::exec(&self.container, &self.id)
    }

    /// Whether the process runs or is being started.
    pub fn is_running(&self) -> bool {
        self.state.borrow().is_running()
    }

    /// Waits for the end and returns the exit code.
    pub async fn ended(&self) -> i32 {
        let mut watch = self.state.subscribe();
        let state = watch.wait_for(|state| state.exit_code().is_some()).await;
        state.ok().and_then(|state| state.exit_code()).unwrap_or(255)
    }

    /// Reserves the exec for one caller that starts it.
    ///
    /// # Errors
    ///
    /// `Conflict` if another caller has started it before.
    fn take(&self) -> Result<()> {
        let mut before = State::Made;
        self.state.send_if_modified(|state| {
            before = *state;
            if before == State::Made {
                *state = State::Started { pid: 0 };
            }
            before == State::Made
        });
        match before {
            State::Made => Ok(()),
            State::Started { .. } => {
                Err(Error::Conflict(format!("exec command {} is already running", self.id)))
            }
            State::Ended { .. } => Err(Error::Conflict(format!("exec command {} has already run", self.id))),
        }
    }

    /// Records that the process runs.
    fn runs(&self, pid: u32) {
        self.state.send_if_modified(|state| {
            let goes_on = state.exit_code().is_none();
            if goes_on {
                *state = State::Started { pid };
            }
            goes_on
        });
    }

    /// Records the end; returns `false` if it was recorded before.
    fn end(&self, code: i32) -> bool {
        self.state.send_if_modified(|state| {
            let first = state.exit_code().is_none();
            if first {
                *state = State::Ended { code, at: time::now() };
            }
            first
        })
    }

    fn record(&self) -> ExecRecord {
        let state = *self.state.borrow();
        ExecRecord {
            id: self.id.to_string(),
            container: self.container.to_string(),
            spec: self.spec.clone(),
            started: state != State::Made,
            pid: state.pid(),
            exit_code: state.exit_code(),
        }
    }

    fn view(&self) -> api::Exec {
        let state = *self.state.borrow();
        api::Exec {
            id: self.id.to_string(),
            container_id: self.container.to_string(),
            running: state.is_running(),
            exit_code: state.exit_code(),
            pid: state.pid(),
            spec: self.spec.clone(),
            can_remove: false,
        }
    }

    fn stdio(&self) -> Stdio {
        Stdio { log: "none:".to_owned(), stdin: self.spec.attach_stdin, terminal: self.spec.tty }
    }
}
