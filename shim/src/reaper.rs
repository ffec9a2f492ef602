//! Waits for every child of the shim: helpers, container inits, execs, loggers,
//! and orphans that come to it because it is their subreaper.
//!
//! Invariant: a watched pid is answered exactly once, also when it died before
//! anyone watched (an init may be gone before its helper has reported its pid):
//! statuses nobody asked for yet are kept, the oldest forgotten first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status, or 128 plus the signal that killed it.
    pub status: u32,
    /// When the shim learned of it.
    pub at: SystemTime,
}

/// How many statuses of unknown pids are remembered.
const UNCLAIMED: usize = 256;

/// A cheap handle; all clones are the same reaper.
#[derive(Clone, Default)]
pub struct Reaper {
    // Guards the two maps; never held across an await.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    watched: HashMap<i32, oneshot::Sender<Exit>>,
    unclaimed: VecDeque<(i32, Exit)>,
}

impl Reaper {
    /// Resolves when `pid`, a child of the shim, has ended.
    pub fn watch(&self, pid: i32) -> oneshot::Receiver<Exit> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if let Some(at) = state.unclaimed.iter().rposition(|(known, _)| *known == pid) {
            if let Some((_, exit)) = state.unclaimed.remove(at) {
                let _ = sender.send(exit);
            }
        } else {
            state.watched.insert(pid, sender);
        }
        receiver
    }

    /// Collects all children that have ended so far.
    fn reap(&self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let status = match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => code as u32,
                (None, Some(signal)) => 128 + signal as u32,
                (None, None) => continue,
            };
            let exit = Exit { status, at: SystemTime::now() };
            let pid = pid.as_raw_nonzero().get();
            let mut state = self.lock();
            match state.watched.remove(&pid) {
                Some(sender) => {
                    let _ = sender.send(exit);
                }
                None => {
                    if state.unclaimed.len() == UNCLAIMED {
                        state.unclaimed.pop_front();
                    }
                    state.unclaimed.push_back((pid, exit));
                }
            }
        }
    }

    /// Reaps until the process ends.
    pub async fn run(self) -> std::io::Result<()> {
        let mut children = signal(SignalKind::child())?;
        loop {
            self.reap();
            if children.recv().await.is_none() {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
