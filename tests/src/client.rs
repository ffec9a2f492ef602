//! A client that runs while the test goes on.

use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// No client has a reason to take longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running command. One that hangs is killed, which ends whoever reads from it, and fails the test; so does the end
/// of this value.
#[derive(Debug)]
pub struct Client {
    /// The command line, for messages.
    line: String,
    child: Child,
    watchdog: Option<Watchdog>,
}

/// Kills a process that takes too long. Its pid is its own until somebody waits for it, which is after this has ended.
#[derive(Debug)]
struct Watchdog {
    ended: Sender<()>,
    hangs: JoinHandle<bool>,
}

impl Watchdog {
    fn over(pid: Pid) -> Self {
        let (ended, running) = mpsc::channel::<()>();
        let hangs = std::thread::spawn(move || {
            let hangs = running.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            if hangs {
                // It may end just now.
                let _ = kill_process(pid, Signal::KILL);
            }
            hangs
        });
        Self { ended, hangs }
    }

    /// Whether it had to kill.
    fn end(self) -> bool {
        drop(self.ended);
        self.hangs.join().expect("the watchdog does not panic")
    }
}

impl Client {
    /// Starts a command.
    pub fn start(mut command: Command) -> Self {
        let line = format!("{command:?}");
        let child = command.spawn().unwrap_or_else(|error| panic!("start {line}: {error}"));
        let watchdog = Some(Watchdog::over(Pid::from_child(&child)));
        Self { line, child, watchdog }
    }

    /// Its input, which must be a pipe.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("piped")
    }

    /// Its output, which must be a pipe.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("piped")
    }

    /// Its errors, which must be a pipe.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("piped")
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> ExitStatus {
        let ended =
            waitid(WaitId::Pid(Pid::from_child(&self.child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let hung = self.watchdog.take().is_some_and(Watchdog::end);
        let status = self.child.wait().unwrap_or_else(|error| panic!("await {}: {error}", self.line));
        ended.unwrap_or_else(|error| panic!("await {}: {error}", self.line));
        assert!(!hung, "{}: no end after {PATIENCE:?}", self.line);
        status
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(watchdog) = self.watchdog.take() else { return };
        watchdog.end();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
