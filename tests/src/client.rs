//! A client that runs during the test.

use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How long a client may run.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running command. One that hangs is killed, which ends its pipes, and fails the test. Dropping it kills it.
#[derive(Debug)]
pub struct Client {
    /// The command line, for messages.
    line: String,
    child: Child,
    watchdog: Option<Watchdog>,
}

/// Kills a process that takes too long. The pid is not reused before it is waited for, which happens after this has
/// ended.
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
                // The process may end just now.
                let _ = kill_process(pid, Signal::KILL);
            }
            hangs
        });
        Self { ended, hangs }
    }

    /// Ends the watch. Returns whether it had to kill.
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

    /// Its stdin, which must be a pipe.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("piped")
    }

    /// Its stdout, which must be a pipe.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("piped")
    }

    /// Its stderr, which must be a pipe.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("piped")
    }

    /// Sends SIGINT.
    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it runs");
    }

    /// Waits until it has ended by itself.
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
