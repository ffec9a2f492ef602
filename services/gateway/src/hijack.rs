//! Taking a connection over: raw bytes in both directions after the reply's head.
//!
//! ```text
//! client ──raw stdin──> gateway ──raw stdin──> shim's attach socket
//! client <──frames or raw output── gateway <── shim
//! ```
//!
//! Either side may stop sending while the other goes on. The client's end of input ends the process's input (exec, and
//! containers whose stdin is for one client) or the attachment. The end of output ends the connection. A terminal's
//! detach keys end it while the process runs on.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{UnixStream, tcp, unix};

use crate::call::Call;
use crate::connection::{Connection, Socket};
use crate::detach::{Keys, Scanned};
use crate::error::Error;
use crate::reply::{self, Reply};
use crate::shape::Shape;

/// How often a silent attachment looks whether its client is still there.
const CLIENT_CHECK: Duration = Duration::from_secs(2);
/// How long a client may take to close after its output has ended: what it has not read yet stays readable.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// And over TCP, where closing upon what a client still sends resets the connection and takes unread output away.
const TCP_PATIENCE: Duration = Duration::from_secs(3600);
const CHUNK: usize = 32 << 10;

/// The client's side of a taken-over connection.
#[derive(Debug)]
pub struct Client {
    /// What the client sends.
    pub input: Input,
    /// What the client reads.
    pub output: Output,
}

/// What a client sends: what came early, then the socket.
#[derive(Debug)]
pub struct Input {
    early: Bytes,
    socket: ReadHalf,
}

#[derive(Debug)]
enum ReadHalf {
    Unix(unix::OwnedReadHalf),
    Tcp(tcp::OwnedReadHalf),
}

/// What a client reads.
#[derive(Debug)]
pub enum Output {
    Unix(unix::OwnedWriteHalf),
    Tcp(tcp::OwnedWriteHalf),
}

impl Input {
    /// Receives some bytes; none at the end.
    pub async fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        if self.early.has_remaining() {
            let count = self.early.remaining().min(chunk.len());
            self.early.copy_to_slice(&mut chunk[..count]);
            return Ok(count);
        }
        match &mut self.socket {
            ReadHalf::Unix(half) => half.read(chunk).await,
            ReadHalf::Tcp(half) => half.read(chunk).await,
        }
    }
}

impl Output {
    /// Sends all of `bytes`.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(half) => half.write_all(bytes).await,
            Self::Tcp(half) => half.write_all(bytes).await,
        }
    }

    /// Whether the client is gone for good, as opposed to having only stopped sending.
    pub async fn is_gone(&self) -> bool {
        let ready = match self {
            Self::Unix(half) => half.ready(Interest::WRITABLE).await,
            Self::Tcp(half) => half.ready(Interest::WRITABLE).await,
        };
        ready.map_or(true, |ready| ready.is_write_closed())
    }

    /// Waits until the client is gone for good.
    pub async fn gone(&self) {
        while !self.is_gone().await {
            tokio::time::sleep(CLIENT_CHECK).await;
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(half) => half.shutdown().await,
            Self::Tcp(half) => half.shutdown().await,
        }
    }
}

impl Client {
    /// The client at the other end of a socket.
    pub fn of(socket: UnixStream) -> Self {
        let (read, write) = socket.into_split();
        Self {
            input: Input { early: Bytes::new(), socket: ReadHalf::Unix(read) },
            output: Output::Unix(write),
        }
    }

    /// Sends a message to people who look at the stream: as a frame of output, as dockerd does, or as it is on a
    /// terminal.
    pub async fn tell(&mut self, terminal: Terminal, message: &str) -> io::Result<()> {
        let text = format!("{message}\r\n");
        if terminal == Terminal::No {
            let mut frame = vec![1, 0, 0, 0];
            frame.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            self.output.write_all(&frame).await?;
        }
        self.output.write_all(text.as_bytes()).await
    }

    /// Copies all of `source` to the client.
    pub async fn copy_from(&mut self, source: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = source.read(&mut chunk).await?;
            if count == 0 {
                return Ok(());
            }
            self.output.write_all(&chunk[..count]).await?;
        }
    }

    /// Ends the connection so that the client sees all output and a clean end, whatever it still sends.
    pub async fn close(mut self) {
        if self.output.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            let mut chunk = vec![0; 4 << 10];
            while self.input.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
        };
        let patience = match &self.output {
            Output::Unix(_) => CLOSE_PATIENCE,
            Output::Tcp(_) => TCP_PATIENCE,
        };
        // A client that does not close in time is closed upon.
        let _ = tokio::time::timeout(patience, drain).await;
    }
}

/// Whether the process has a terminal: its output is raw then.
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

/// What the end of the client's input means.
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
    /// The process has no more output.
    Output,
    /// By the client's end of input.
    Input,
    /// By the detach keys.
    Detached,
    /// The client is gone.
    ClientGone,
}

/// Answers `101` and gives the connection to `work`.
pub fn take_over<F, W>(call: &mut Call, terminal: Terminal, work: F) -> Result<Reply, Error>
where
    F: FnOnce(Client) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    let content_type =
        if terminal == Terminal::No && call.version.at_least(42) { reply::MULTIPLEXED } else { reply::RAW };
    let mut reply = Response::new(reply::full(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    reply.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    take_over_by(call, reply, work)
}

/// Gives `reply`, a `101`, and then the connection to `work`.
pub fn take_over_by<F, W>(call: &mut Call, reply: Reply, work: F) -> Result<Reply, Error>
where
    F: FnOnce(Client) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    if call.request.extensions().get::<hyper::upgrade::OnUpgrade>().is_none() {
        return Err(Error::bad("the connection cannot be taken over: HTTP/1.1 is needed"));
    }
    let upgraded = hyper::upgrade::on(&mut call.request);
    let phase = call.phase.clone();
    call.app.spawn(async move {
        match upgraded.await {
            Ok(upgraded) => match client(upgraded).await {
                Ok(client) => work(client).await,
                Err(error) => tracing::debug!(%error, "connection was lost while it was taken over"),
            },
            Err(error) => tracing::debug!(%error, "connection was not taken over"),
        }
    });
    phase.raw();
    Ok(reply)
}

async fn client(upgraded: hyper::upgrade::Upgraded) -> io::Result<Client> {
    let parts = upgraded
        .downcast::<TokioIo<Connection>>()
        .map_err(|_| io::Error::other("the connection is of an unknown kind"))?;
    let raw = parts.io.into_inner().into_raw();
    let mut early = BytesMut::from(&parts.read_buf[..]);
    early.unsplit(raw.input);
    let (socket, mut output) = match raw.socket {
        Socket::Unix(stream) => {
            let (read, write) = stream.into_split();
            (ReadHalf::Unix(read), Output::Unix(write))
        }
        Socket::Tcp(stream) => {
            let (read, write) = stream.into_split();
            (ReadHalf::Tcp(read), Output::Tcp(write))
        }
    };
    output.write_all(&raw.output).await?;
    Ok(Client { input: Input { early: early.freeze(), socket }, output })
}

/// Moves bytes between a client and the shim until either is through.
pub async fn splice(client: &mut Client, shim: UnixStream, input_end: InputEnd, keys: Option<Keys>) -> Ended {
    splice_shaped(client, shim, Shape::Same, input_end, keys).await
}

/// As [`splice`], where the client may expect another shape of output than the shim gives.
pub async fn splice_shaped(
    client: &mut Client,
    shim: UnixStream,
    shape: Shape,
    input_end: InputEnd,
    keys: Option<Keys>,
) -> Ended {
    let (from_shim, to_shim) = shim.into_split();
    let Client { input, output } = client;
    let mut outgoing = std::pin::pin!(send_output(from_shim, output, shape));
    let mut incoming = std::pin::pin!(send_input(input, to_shim, input_end, keys));
    tokio::select! {
        ended = &mut outgoing => return ended,
        ended = &mut incoming => if let Some(ended) = ended { return ended },
    }
    outgoing.await
}

async fn send_output(mut from_shim: impl AsyncRead + Unpin, output: &mut Output, mut shape: Shape) -> Ended {
    let mut chunk = vec![0; CHUNK];
    let mut check = tokio::time::interval(CLIENT_CHECK);
    loop {
        let count = tokio::select! {
            count = from_shim.read(&mut chunk) => count,
            _ = check.tick() => {
                if output.is_gone().await {
                    return Ended::ClientGone;
                }
                continue;
            }
        };
        match count {
            Ok(count) if count > 0 => {
                if output.write_all(&shape.apply(&chunk[..count])).await.is_err() {
                    return Ended::ClientGone;
                }
            }
            Ok(_) | Err(_) => return Ended::Output,
        }
    }
}

/// Ends with `None` when the output is still to be waited for.
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
                    // The user leaves in any case.
                    let _ = to_shim.write_all(&bytes).await;
                    return Some(Ended::Detached);
                }
            },
        };
        if sent.is_err() {
            // The process reads no more; what it still prints is worth having.
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
    use super::*;

    fn client() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let (read, write) = ours.into_split();
        (
            Client {
                input: Input { early: Bytes::from_static(b"early "), socket: ReadHalf::Unix(read) },
                output: Output::Unix(write),
            },
            theirs,
        )
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
