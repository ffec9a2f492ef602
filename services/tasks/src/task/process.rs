//! One process of a task: the init process or an exec.
//!
//! ```text
//! Created ──> Starting ──> Running ──> Exited
//!    │ ^          │                       ^
//!    │ └──────────┘ (start failed)        │
//!    └─────────────────────────────────── ┘  (init killed before its start; an exec whose start failed)
//! any ──> Gone (deleted)
//! ```
//!
//! The shim decides the state. This is what publishing needs: each exit is published once, and never before the
//! start.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use prost_types::Timestamp;
use tokio::sync::watch;

/// How a process ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Exit {
    /// Its exit status; 128 and the signal's number when it was killed.
    pub status: u32,
    /// When.
    pub at: Option<Timestamp>,
}

/// The phase of a process.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Created, not started.
    Created,
    /// The shim is starting it.
    Starting,
    /// It runs, or is paused.
    Running,
    /// The process has ended. Its exit was published, if its start was.
    Exited(Exit),
    /// The process was removed without having run.
    Gone,
}

/// A process of a task.
#[derive(Debug)]
pub struct Process {
    exec: String,
    pid: AtomicU32,
    ended: AtomicBool,
    watched: AtomicBool,
    phase: watch::Sender<Phase>,
}

impl Process {
    /// A process in the given phase; `exec` is empty for init.
    pub fn new(exec: &str, pid: u32, phase: Phase) -> Process {
        let ended = AtomicBool::new(matches!(phase, Phase::Exited(_)));
        Process {
            exec: exec.to_owned(),
            pid: AtomicU32::new(pid),
            ended,
            watched: AtomicBool::new(false),
            phase: watch::Sender::new(phase),
        }
    }

    /// The exec id; empty for init.
    pub fn exec(&self) -> &str {
        &self.exec
    }

    /// The pid, 0 before the start of an exec.
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Moves from Created to Starting. Returns `false` in any other phase.
    pub fn begin_start(&self) -> bool {
        self.phase.send_if_modified(|phase| {
            let may = *phase == Phase::Created;
            if may {
                *phase = Phase::Starting;
            }
            may
        })
    }

    /// Sets the pid, which is known from the start on.
    pub fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// Ends the phase Starting.
    pub fn end_start(&self, started: bool) {
        self.phase.send_if_modified(|phase| {
            let starting = *phase == Phase::Starting;
            if starting {
                *phase = if started { Phase::Running } else { Phase::Created };
            }
            starting
        });
    }

    /// Returns true to exactly one caller, which publishes the exit.
    pub fn claim_exit(&self) -> bool {
        !self.ended.swap(true, Ordering::AcqRel)
    }

    /// True for the one caller that starts the watch for the exit.
    pub fn claim_watch(&self) -> bool {
        !self.watched.swap(true, Ordering::AcqRel)
    }

    /// Whether the exit is published or about to be.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Sets the exit, and wakes every waiting caller.
    pub fn set_exited(&self, exit: Exit) {
        self.phase.send_replace(Phase::Exited(exit));
    }

    /// Wakes every waiting caller: there will be no exit.
    pub fn set_gone(&self) {
        self.phase.send_if_modified(|phase| {
            let waiting = !matches!(phase, Phase::Exited(_));
            if waiting {
                *phase = Phase::Gone;
            }
            waiting
        });
    }

    /// Waits until no start is under way. Returns the phase.
    pub async fn settled(&self) -> Phase {
        self.wait_for(|phase| *phase != Phase::Starting).await
    }

    /// Waits for the exit; `None` when the process was removed without one.
    pub async fn ended(&self) -> Option<Exit> {
        match self.wait_for(|phase| matches!(phase, Phase::Exited(_) | Phase::Gone)).await {
            Phase::Exited(exit) => Some(exit),
            _ => None,
        }
    }

    async fn wait_for(&self, is_it: impl FnMut(&Phase) -> bool) -> Phase {
        let mut receiver = self.phase.subscribe();
        let phase = receiver.wait_for(is_it).await.expect("the sender lives as long as self");
        phase.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_exit_waits_for_the_start_that_it_ends() {
        let process = Process::new("", 1, Phase::Created);
        assert!(process.begin_start() && !process.begin_start());
        assert!(futures::FutureExt::now_or_never(process.settled()).is_none());
        process.set_pid(7);
        process.end_start(true);
        assert_eq!((process.settled().await, process.pid()), (Phase::Running, 7));
        assert!(process.claim_exit() && !process.claim_exit());
        let exit = Exit { status: 3, at: None };
        process.set_exited(exit.clone());
        process.set_gone();
        assert_eq!(process.ended().await, Some(exit));
    }
}
