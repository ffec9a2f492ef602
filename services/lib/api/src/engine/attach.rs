//! Connects to a process's streams at its shim's socket, in Docker's multiplexed format.

use std::io;
use std::path::Path;
use std::time::Duration;

use gantry_proto::gantry::shim::v1::{AttachReply, AttachRequest};
use gantry_rpc::data;
use tokio::net::UnixStream;
use tonic::Status;

use super::AttachPoint;
use crate::Failure;
use crate::call::Caller;

/// How long a shim may take to answer. A shim that hangs must not block its clients.
const PATIENCE: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(10) };

/// The streams that a client attaches to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// Whether the client writes to stdin.
    pub stdin: bool,
    /// Whether the client reads stdout.
    pub stdout: bool,
    /// Whether the client reads stderr.
    pub stderr: bool,
    /// Whether stdin closes when this client closes its half of the connection.
    pub stdin_once: bool,
}

impl AttachPoint {
    /// Connects to the process's shim and requests the streams. Raw bytes follow.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` when the shim is gone or does not answer, else the shim's error.
    pub async fn connect(&self, streams: Streams) -> Result<UnixStream, Failure> {
        let request = AttachRequest {
            exec_id: self.exec_id.clone(),
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
            stdin_once: streams.stdin_once,
        };
        let connecting = async {
            let calling = data::call(Path::new(&self.socket), &request);
            match tokio::time::timeout(PATIENCE, calling).await {
                Ok(answer) => answer.map(|(stream, ..)| stream),
                Err(_) => Err(Status::unavailable("the container's shim does not answer")),
            }
        };
        Caller::new("shim").hear("attach to a process", connecting).await
    }
}

/// Accepts a connection in place of a shim. Returns the requested process (empty for the container's own) and
/// streams. Tells the client that it may begin, and whether the process has a terminal. `None` if the client has
/// disconnected.
///
/// # Errors
///
/// Errors of reading and writing.
///
/// What reading and writing report.
pub async fn receive_attachment(
    stream: &mut UnixStream,
    terminal: impl FnOnce(&str) -> bool,
) -> io::Result<Option<(String, Streams)>> {
    let Some(request) = data::receive::<AttachRequest>(stream).await? else { return Ok(None) };
    let AttachRequest { exec_id, stdin, stdout, stderr, stdin_once } = request;
    data::accept(stream, &AttachReply { terminal: terminal(&exec_id) }, &[]).await?;
    Ok(Some((exec_id, Streams { stdin, stdout, stderr, stdin_once })))
}

#[cfg(test)]
mod tests {
    use gantry_rpc::{Code, Coded};

    use super::*;

    #[tokio::test]
    async fn a_shim_that_hangs_costs_its_client_a_moment() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("attach.sock");
        // The kernel queues connections, and no process accepts them.
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("listening");
        let point = AttachPoint { socket: socket.display().to_string(), ..AttachPoint::default() };
        let streams = Streams { stdin: false, stdout: true, stderr: true, stdin_once: false };
        let refused = point.connect(streams).await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unavailable);
    }
}
