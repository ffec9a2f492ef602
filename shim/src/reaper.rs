//! Waits for every child of the shim: helpers, inits, execs, loggers, and orphans, whose subreaper the shim is.
//!
//! Invariant: a watched pid is answered exactly once, also when the process died before the watch began (an init may
//! die before its helper has reported its pid). For that, the reaper keeps statuses that no caller has watched for a
//! while. It drops them later: the creation of each container leaves a status that no caller watches, and the kernel
//! reuses pids.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Mutex, MutexGuard};
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

/// How many statuses without a watch are kept.
const UNCLAIMED: usize = 256;
/// How long a status without a watch is kept: after that, the client of a helper that has not reported a pid has
/// given up.
const CLAIM: Duration = Duration::from_secs(60);

/// The reaper. Cheap to clone.
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
    /// Resolves when the child `pid` has ended.
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

    /// Reaps every child that has ended.
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

    /// Reaps until the shim ends.
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
        self.state.lock()
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
