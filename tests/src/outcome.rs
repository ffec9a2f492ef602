//! What a client's run came to.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// No client has a reason to take longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A finished command: what it printed, and its exit code.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
}

impl Outcome {
    /// Runs a command to its end, with `input` on its standard input. One that hangs is killed and fails the test.
    pub fn of(mut command: Command, input: &[u8]) -> Self {
        let line = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {line}: {error}"));
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || {
            // A client may end without reading all of it.
            let _ = std::io::Write::write_all(&mut stdin, &input);
        });
        let (ended, running) = mpsc::channel::<()>();
        let pid = child.id();
        let watchdog = std::thread::spawn(move || {
            let hangs = running.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            if hangs {
                crate::node::kill(pid);
            }
            hangs
        });
        let output: Output = child.wait_with_output().unwrap_or_else(|error| panic!("await {line}: {error}"));
        drop(ended);
        assert!(!watchdog.join().expect("the watchdog does not panic"), "{line}: no end after {PATIENCE:?}");
        feeder.join().expect("the feeder does not panic");
        Self {
            command: line,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// The trimmed output of a command that must succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout.trim().to_owned()
    }

    /// Output and errors of a command that must end with `code`.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        format!("{}{}", self.stdout, self.stderr)
    }
}
