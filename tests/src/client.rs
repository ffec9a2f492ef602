//! A client that runs during the test.

use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::Once;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::signal::{self, unix::SignalKind};

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
        let_children_be_interrupted();
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

/// Gives the processes that this one starts the default action of SIGINT. A shell without job control starts what runs
/// in the background with SIGINT ignored, and execve(2) keeps an ignored signal ignored, but resets one with a handler.
fn let_children_be_interrupted() {
    static HANDLED: Once = Once::new();
    HANDLED.call_once(|| {
        if is_ignored(Signal::INT) {
            // On a thread of its own, because the caller's may belong to a runtime.
            std::thread::spawn(handle_interrupts).join().expect("SIGINT can have a handler");
        }
    });
}

/// Gives SIGINT a handler, which outlives the runtime and does nothing: this process goes on ignoring the signal.
fn handle_interrupts() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let interrupts = runtime.block_on(async { signal::unix::signal(SignalKind::interrupt()) });
    drop(interrupts.expect("a handler"));
}

/// Whether this process ignores a signal: SigIgn of proc_pid_status(5).
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a set of signals");
    let set = u64::from_str_radix(set.trim(), 16).expect("hexadecimal digits");
    set & (1 << (signal.as_raw() - 1)) != 0
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(watchdog) = self.watchdog.take() else { return };
        watchdog.end();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_client_can_be_interrupted_though_the_tests_ignore_that() {
        const NAME: &str = "client::tests::a_client_can_be_interrupted_though_the_tests_ignore_that";
        if is_ignored(Signal::INT) {
            let mut command = Command::new("sleep");
            command.arg("60");
            let client = Client::start(command);
            client.interrupt();
            assert_eq!(client.wait().signal(), Some(Signal::INT.as_raw()));
            return;
        }
        let tests = std::env::current_exe().expect("this program");
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' INT; exec \"$0\" --exact \"$1\""]).arg(tests).arg(NAME);
        let status = Client::start(shell).wait();
        assert!(status.success(), "{status}");
    }
}
