//! Hijacked connections: raw bytes in both directions after the response's head.
//!
//! ```text
//! client ──raw stdin──> gateway ──raw stdin──> shim's attach socket
//! client <──frames or raw output── gateway <── shim
//! ```
//!
//! Either side may stop sending while the other goes on. When the client ends its input, that ends the process's input (of an exec, and
//! of a container whose stdin closes with its first client) or the attachment. When the output ends, the connection ends. A terminal's
//! detach keys end the connection while the process goes on.

use std::io;

use bytes::Bytes;
use gantry_http::ImplicitUpgrade;
use gantry_http::upgrade::{self, CLIENT_CHECK, Client, Input, Output};
use http::StatusCode;
use http::header::{self, HeaderValue};
use hyper::ext::ReasonPhrase;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::call::Call;
use crate::detach::{Keys, Scanned};
use crate::error::Error;
use crate::multiplex;
use crate::response::{self, Response};

const CHUNK: usize = 32 << 10;

/// The answer to older clients, which send no `Upgrade`: they expect `200 OK`, and then raw bytes.
pub const IMPLICIT: ImplicitUpgrade = ImplicitUpgrade {
    begins: b"POST /",
    is: is_implicit,
    answer: b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n",
};

fn is_implicit(head: &[u8]) -> bool {
    let Ok(head) = std::str::from_utf8(head) else { return false };
    let mut lines = head.lines();
    let Some(path) = lines.next().and_then(|line| line.split(' ').nth(1)) else { return false };
    let path = path.split('?').next().unwrap_or("");
    let attach = path.contains("/containers/") && path.ends_with("/attach");
    let exec = path.contains("/exec/") && path.ends_with("/start");
    (attach || exec)
        && !lines.any(|line| {
            line.split_once(':').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("upgrade"))
        })
}

/// Sends a message to the people who read the stream: in a frame of output, as dockerd does, or unframed to a terminal.
pub async fn tell(client: &mut Client, terminal: Terminal, message: &str) -> io::Result<()> {
    let text = format!("{message}\r\n");
    match terminal {
        Terminal::Yes => client.output.write_all(text.as_bytes()).await,
        Terminal::No => client.output.write_all(&multiplex::frame(text.as_bytes())).await,
    }
}

/// Whether the process has a terminal, so that its output is raw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    Yes,
    No,
}

impl From<bool> for Terminal {
    fn from(terminal: bool) -> Self {
        if terminal { Self::Yes } else { Self::No }
    }
}

/// What ends when the client ends its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputEnd {
    /// The process's input ends too; its output goes on.
    EndsInput,
    /// The attachment ends.
    EndsAttachment,
    /// Nothing: no input was attached.
    Ignored,
}

/// How an attachment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The process's output ended.
    Output,
    /// The client ended its input.
    Input,
    /// The user typed the detach keys.
    Detached,
    /// The client is gone.
    ClientGone,
}

/// Answers `101`, then hands the connection to `work`.
pub fn take_over<F, W>(call: &mut Call, terminal: Terminal, work: F) -> Result<Response, Error>
where
    F: FnOnce(Client) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let content_type = if terminal == Terminal::No && call.version.at_least(42) {
        response::MULTIPLEXED
    } else {
        response::RAW
    };
    let mut response = Response::new(response::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    take_over_by(call, response, work)
}

/// Answers `response`, a `101`, then hands the connection to `work`.
pub fn take_over_by<F, W>(call: &mut Call, response: Response, work: F) -> Result<Response, Error>
where
    F: FnOnce(Client) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    upgrade::take_over(&mut call.request, work).map_err(|error| Error::bad(error.to_string()))?;
    Ok(response)
}

/// Moves bytes between a client and the shim until one of them ends.
pub async fn splice(client: &mut Client, shim: UnixStream, input_end: InputEnd, keys: Option<Keys>) -> Ended {
    splice_as(client, shim, multiplex::Output::Unchanged, input_end, keys).await
}

/// As [`splice`], for a client that may expect output in another form than the shim sends.
pub async fn splice_as(
    client: &mut Client,
    shim: UnixStream,
    form: multiplex::Output,
    input_end: InputEnd,
    keys: Option<Keys>,
) -> Ended {
    let (from_shim, to_shim) = shim.into_split();
    let Client { input, output, .. } = client;
    let mut outgoing = std::pin::pin!(send_output(from_shim, output, form));
    let mut incoming = std::pin::pin!(send_input(input, to_shim, input_end, keys));
    tokio::select! {
        ended = &mut outgoing => return ended,
        ended = &mut incoming => if let Some(ended) = ended { return ended },
    }
    outgoing.await
}

async fn send_output(
    mut from_shim: impl AsyncRead + Unpin,
    output: &mut Output,
    mut form: multiplex::Output,
) -> Ended {
    let mut chunk = vec![0; CHUNK];
    let mut check = tokio::time::interval(CLIENT_CHECK);
    loop {
        let count = tokio::select! {
            count = from_shim.read(&mut chunk) => count,
            _ = check.tick() => {
                if output.is_gone() {
                    return Ended::ClientGone;
                }
                continue;
            }
        };
        match count {
            Ok(count) if count > 0 => {
                if output.write_all(&form.apply(&chunk[..count])).await.is_err() {
                    return Ended::ClientGone;
                }
            }
            Ok(_) | Err(_) => return Ended::Output,
        }
    }
}

/// Ends with `None` when the attachment goes on until the output ends.
async fn send_input(
    input: &mut Input,
    mut to_shim: impl AsyncWrite + Unpin,
    input_end: InputEnd,
    mut keys: Option<Keys>,
) -> Option<Ended> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = match input.read(&mut chunk).await {
            Ok(count) if count > 0 => count,
            Ok(_) => break,
            Err(_) => return Some(Ended::ClientGone),
        };
        let sent = match &mut keys {
            _ if input_end == InputEnd::Ignored => Ok(()),
            None => to_shim.write_all(&chunk[..count]).await,
            Some(keys) => match keys.scan(&chunk[..count]) {
                Scanned::Pass(bytes) => to_shim.write_all(&bytes).await,
                Scanned::Detach(bytes) => {
                    // The user leaves even if the process did not get these bytes.
                    let _ = to_shim.write_all(&bytes).await;
                    return Some(Ended::Detached);
                }
            },
        };
        if sent.is_err() {
            // The process reads no more, but its output goes on.
            return std::future::pending().await;
        }
    }
    match input_end {
        InputEnd::EndsAttachment => Some(Ended::Input),
        InputEnd::EndsInput => {
            let _ = to_shim.shutdown().await;
            None
        }
        InputEnd::Ignored => None,
    }
}

#[cfg(test)]
mod tests {
    use gantry_http::Socket;

    use super::*;

    fn client() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        (Client::new(Socket::Unix(ours), Bytes::from_static(b"early ")).expect("a client"), theirs)
    }

    #[test]
    fn which_heads_imply_an_upgrade() {
        let rows = [
            ("POST /containers/x/attach?stream=1 HTTP/1.1\r\nHost: d", true),
            ("POST /v1.41/exec/x/start HTTP/1.1\r\nHost: d", true),
            ("POST /exec/x/start HTTP/1.1\r\nupgrade: tcp", false),
            ("POST /exec/x/start HTTP/1.1\nHost: d\nUpgrade: tcp", false),
            ("POST /containers/x/start HTTP/1.1\r\nHost: d", false),
            ("POST /containers/create HTTP/1.1\r\nHost: d", false),
        ];
        for (head, old) in rows {
            assert_eq!(is_implicit(head.as_bytes()), old, "{head}");
        }
    }

    #[tokio::test]
    async fn input_ends_and_output_goes_on() {
        let ((mut client, mut user), (shim, mut process)) =
            (client(), UnixStream::pair().expect("a socket pair"));
        let splicing = tokio::spawn(async move {
            let ended = splice(&mut client, shim, InputEnd::EndsInput, None).await;
            client.close().await;
            ended
        });
        user.write_all(b"in").await.expect("write");
        user.shutdown().await.expect("half-close");
        let mut text = String::new();
        process.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "early in");
        process.write_all(b"out").await.expect("write");
        drop(process);
        let mut text = String::new();
        user.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "out");
        assert_eq!(splicing.await.expect("joined"), Ended::Output);
    }

    #[tokio::test]
    async fn detach_keys_leave_the_process_alone() {
        let ((mut client, mut user), (shim, mut process)) =
            (client(), UnixStream::pair().expect("a socket pair"));
        user.write_all(b"ls\x10\x11").await.expect("write");
        let keys = Keys::parse("").expect("default");
        assert_eq!(splice(&mut client, shim, InputEnd::EndsAttachment, Some(keys)).await, Ended::Detached);
        let mut text = String::new();
        process.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "early ls");
    }

    #[tokio::test]
    async fn the_end_of_shared_input_ends_the_attachment() {
        let ((mut client, mut user), (shim, _process)) =
            (client(), UnixStream::pair().expect("a socket pair"));
        user.shutdown().await.expect("half-close");
        assert_eq!(splice(&mut client, shim, InputEnd::EndsAttachment, None).await, Ended::Input);
    }

    #[tokio::test]
    async fn without_input_a_half_closed_client_still_reads() {
        let ((mut client, mut user), (shim, mut process)) =
            (client(), UnixStream::pair().expect("a socket pair"));
        user.shutdown().await.expect("half-close");
        process.write_all(b"out").await.expect("write");
        drop(process);
        assert_eq!(splice(&mut client, shim, InputEnd::Ignored, None).await, Ended::Output);
        client.close().await;
        let mut text = String::new();
        user.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "out");
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_noticed() {
        let ((mut client, user), (shim, process)) = (client(), UnixStream::pair().expect("a socket pair"));
        drop(user);
        assert_eq!(splice(&mut client, shim, InputEnd::Ignored, None).await, Ended::ClientGone);
        drop(process);
    }
}
