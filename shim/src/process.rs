//! One process of a container, its init or an exec, and what it goes through.
//!
//! ```text
//! Added ──start──▶ Running ──exit──▶ Stopped          (an exec)
//!        Created ──start──▶ Running ──exit──▶ Stopped  (the init)
//! ```
//!
//! `Created` may also end without having run: killed, or given up.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::reaper::Exit;
use crate::signal::Signal;
use crate::stdio::{Stdio, Wanted};

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// An exec that was announced only.
    Added,
    /// An init that waits to be started.
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
    /// The process's id, 0 while it has none.
    pub fn pid(self) -> i32 {
        match self {
            Self::Added => 0,
            Self::Created { pid } | Self::Running { pid } | Self::Stopped { pid, .. } => pid,
        }
    }

    /// In a word, for errors.
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
    /// Its exec id; empty for the init.
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
    /// A process that does not exist yet.
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

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// It exists now, as `pid`.
    pub fn exists(&self, pid: i32) {
        // A process that is gone already has none; its exit is on its way.
        let opened = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        *self.pidfd.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        self.phase.send_replace(Phase::Created { pid });
    }

    /// Its program runs. No effect on a process that ended before this was known.
    pub fn runs(&self) {
        self.phase.send_if_modified(|phase| match *phase {
            Phase::Created { pid } => {
                *phase = Phase::Running { pid };
                true
            }
            _ => false,
        });
    }

    /// It has ended. What it has said is delivered all the same.
    pub fn ended(&self, exit: Exit) {
        self.stdio.hub().last();
        self.phase.send_if_modified(|phase| match *phase {
            Phase::Stopped { .. } => false,
            before => {
                *phase = Phase::Stopped { pid: before.pid(), exit };
                true
            }
        });
    }

    /// True for the one who is to tell of its end.
    pub fn claim_exit(&self) -> bool {
        !self.exit_told.swap(true, Ordering::Relaxed)
    }

    /// Waits for its end.
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

    /// Sends it a signal; never to another process that got its pid.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match self.phase() {
            Phase::Stopped { .. } => return Err(Error::AlreadyFinished),
            Phase::Added => return Err(Error::NotRunning(self.id.clone())),
            Phase::Created { .. } | Phase::Running { .. } => {}
        }
        let pidfd = self.pidfd.lock().unwrap_or_else(PoisonError::into_inner);
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
