//! Waits for every child of the shim: helpers, container inits, execs, loggers,
//! and orphans that come to it because it is their subreaper.
//!
//! Invariant: a watched pid is answered exactly once, also when it died before
//! anyone watched (an init may be gone before its helper has reported its pid):
//! statuses nobody asked for yet are kept for a while. Not longer: most are nobody's
//! (each container's making leaves one), and their pids are given to others in time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

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
/// And how long: no helper takes longer to report a pid, or its client has given up.
const CLAIM: Duration = Duration::from_secs(60);

/// A cheap handle; all clones are the same reaper.
#[derive(Clone, Default)]
pub struct Reaper {
    // Guards the two maps; never held across an await.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    watched: HashMap<i32, oneshot::Sender<Exit>>,
    // The oldest first.
    unclaimed: VecDeque<(Instant, i32, Exit)>,
}

impl State {
    fn forget_old(&mut self) {
        while self.unclaimed.front().is_some_and(|(since, ..)| since.elapsed() > CLAIM) {
            self.unclaimed.pop_front();
        }
    }
}

impl Reaper {
    /// Resolves when `pid`, a child of the shim, has ended.
    pub fn watch(&self, pid: i32) -> oneshot::Receiver<Exit> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        state.forget_old();
        if let Some(at) = state.unclaimed.iter().rposition(|(_, known, _)| *known == pid) {
            if let Some((_, _, exit)) = state.unclaimed.remove(at) {
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
                    state.unclaimed.push_back((Instant::now(), pid, exit));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_nobody_asked_for_is_not_taken_for_a_later_process() {
        let reaper = Reaper::default();
        let exit = Exit { status: 3, at: SystemTime::now() };
        let now = Instant::now();
        let long_ago = now.checked_sub(2 * CLAIM).expect("the machine has been up for that long");
        reaper.lock().unclaimed.extend([(long_ago, 7, exit), (now, 8, exit)]);
        assert!(reaper.watch(7).try_recv().is_err());
        assert_eq!(reaper.watch(8).try_recv(), Ok(exit));
    }
}
