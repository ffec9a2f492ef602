//! The result of a command.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use crate::Client;

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
    /// Runs a command to its end with `input` on its stdin. One that hangs is killed and fails the test.
    pub fn of(mut command: Command, input: &[u8]) -> Self {
        let line = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = Client::start(command);
        let (mut stdin, input) = (client.stdin(), input.to_vec());
        // A client may end before it has read everything.
        std::thread::spawn(move || stdin.write_all(&input));
        let (stdout, stderr) = (collect(client.stdout()), collect(client.stderr()));
        let status = client.wait();
        let text = |bytes: JoinHandle<Vec<u8>>| {
            String::from_utf8_lossy(&bytes.join().expect("readers do not panic")).into_owned()
        };
        let code = status.code().unwrap_or(-1);
        Self { command: line, stdout: text(stdout), stderr: text(stderr), code }
    }

    /// The trimmed output of a command, which must succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout.trim().to_owned()
    }

    /// The output and errors of a command, which must exit with `code`.
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Reads to the end, or to an error.
fn collect(mut output: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = output.read_to_end(&mut bytes);
        bytes
    })
}
