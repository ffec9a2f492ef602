//! One process of a container, the init or an exec.
//!
//! ```text
//! Added ──start──▶ Running ──exit──▶ Stopped          (an exec)
//!        Created ──start──▶ Running ──exit──▶ Stopped  (the init)
//! ```
//!
//! A process in `Created` may end without having run: killed, or because its creation was undone.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::reaper::Exit;
use crate::signal::Signal;
use crate::stdio::{Stdio, Wanted};

/// The phase of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// An exec that was added and not started.
    Added,
    /// An init that waits for its start.
    Created {
        pid: i32,
    },
    Running {
        pid: i32,
    },
    Stopped {
        pid: i32,
        exit: Exit,
    },
}

impl Phase {
    /// The pid; 0 without a process.
    pub fn pid(self) -> i32 {
        match self {
            Self::Added => 0,
            Self::Created { pid } | Self::Running { pid } | Self::Stopped { pid, .. } => pid,
        }
    }

    /// The phase's name, for error messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added | Self::Created { .. } => "created",
            Self::Running { .. } => "running",
            Self::Stopped { .. } => "stopped",
        }
    }
}

/// A process and its stdio.
pub struct Process {
    /// The exec id; empty for the init.
    pub id: String,
    /// The stdio that the client asked for.
    pub wanted: Wanted,
    /// The open stdio.
    pub stdio: Arc<Stdio>,
    phase: watch::Sender<Phase>,
    exit_told: AtomicBool,
    // Never held across an await.
    pidfd: Mutex<Option<OwnedFd>>,
}

impl Process {
    /// A process that was not made yet.
    pub fn new(id: String, wanted: Wanted, stdio: Arc<Stdio>) -> Self {
        Self {
            id,
            wanted,
            stdio,
            phase: watch::Sender::new(Phase::Added),
            exit_told: AtomicBool::new(false),
            pidfd: Mutex::new(None),
        }
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Records that the process was made, with its pid.
    pub fn exists(&self, pid: i32) {
        // A process that is gone has no pidfd; its exit is on its way.
        let opened = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        *self.pidfd.lock() = opened;
        self.phase.send_replace(Phase::Created { pid });
    }

    /// Records that the program runs. Does nothing when the process has ended meanwhile.
    pub fn runs(&self) {
        self.phase.send_if_modified(|phase| match *phase {
            Phase::Created { pid } => {
                *phase = Phase::Running { pid };
                true
            }
            _ => false,
        });
    }

    /// Records the exit. Output that was written before it is still delivered.
    pub fn ended(&self, exit: Exit) {
        self.stop(exit, Phase::pid);
    }

    /// Records that the start failed. The process then never had a pid, even if it was made before its output could
    /// be connected.
    pub fn failed(&self, exit: Exit) {
        self.stop(exit, |_| 0);
    }

    fn stop(&self, exit: Exit, pid: impl FnOnce(Phase) -> i32) {
        self.stdio.hub().last();
        self.phase.send_if_modified(|phase| match *phase {
            Phase::Stopped { .. } => false,
            before => {
                *phase = Phase::Stopped { pid: pid(before), exit };
                true
            }
        });
    }

    /// Returns true to exactly one caller, which reports the exit.
    pub fn claim_exit(&self) -> bool {
        !self.exit_told.swap(true, Ordering::Relaxed)
    }

    /// Waits for the exit.
    pub async fn wait(&self) -> Exit {
        let mut phases = self.phase.subscribe();
        loop {
            if let Phase::Stopped { exit, .. } = *phases.borrow_and_update() {
                return exit;
            }
            if phases.changed().await.is_err() {
                // Unreachable while `self` holds the sender; waiting for ever is harmless.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Sends a signal to this process, and never to another one of the same pid.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match self.phase() {
            Phase::Stopped { .. } => return Err(Error::AlreadyFinished),
            Phase::Added => return Err(Error::NotRunning(self.id.clone())),
            Phase::Created { .. } | Phase::Running { .. } => {}
        }
        let pidfd = self.pidfd.lock();
        let Some(pidfd) = pidfd.as_ref() else {
            return Err(Error::AlreadyFinished);
        };
        match signal.send(pidfd.as_fd()) {
            Ok(()) => Ok(()),
            Err(Errno::SRCH) => Err(Error::AlreadyFinished),
            Err(errno) => Err(Error::errno("signal", "process")(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn process() -> Process {
        let wanted = Wanted {
            terminal: false,
            stdin: String::new(),
            stdout: "none:".to_owned(),
            stderr: String::new(),
        };
        let stdio = Stdio::new(&wanted).expect("valid");
        Process::new("exec".to_owned(), wanted, stdio)
    }

    #[test]
    fn a_process_whose_start_failed_has_no_pid() {
        let exit = |status| Exit { status, at: SystemTime::UNIX_EPOCH };
        let ended = process();
        ended.exists(7);
        ended.ended(exit(1));
        assert_eq!(ended.phase(), Phase::Stopped { pid: 7, exit: exit(1) });
        let failed = process();
        failed.exists(7);
        failed.failed(exit(128));
        failed.ended(exit(137));
        assert_eq!(failed.phase(), Phase::Stopped { pid: 0, exit: exit(128) }, "the failure counts");
    }
}
