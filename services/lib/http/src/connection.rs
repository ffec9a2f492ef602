//! A client's connection below HTTP.
//!
//! Two things that the HTTP library does not do are done on the bytes:
//!
//! - **Implicit upgrades.** Before `Upgrade` was in use, clients took a connection over by the path alone, and expect
//!   another answer than `101` ([`ImplicitUpgrade`]). The head of such a request gets the header added on its way in, and
//!   the head of a `101` is replaced on its way out.
//! - **Half-closed requests.** A client may close its sending side right after a request and still read the answer.
//!   The end of input is kept back for [`GRACE`] while a request is being answered; what takes longer is cancelled
//!   then, as for any client that went away.
//!
//! ```text
//! Head ──(request head complete)──> Busy ──(response body gone)──> Head
//!                                     └──(101 answered)──> Raw
//! ```

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::socket::Socket;

/// How long an answer may take after its client has stopped sending.
const GRACE: Duration = Duration::from_millis(500);
/// Longer heads are left to the HTTP library to refuse.
const HEAD_LIMIT: usize = 64 << 10;
/// What is added to the head of a request that takes its connection over without a word.
const UPGRADE: &[u8] = b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

/// Requests that take their connection over and do not say so.
#[derive(Clone, Copy, Debug)]
pub struct ImplicitUpgrade {
    /// How such a request begins: others are not looked at.
    pub begins: &'static [u8],
    /// Whether a head, without the empty line at its end, is that of such a request.
    pub is: fn(&[u8]) -> bool,
    /// The whole head that its client expects instead of the `101`.
    pub answer: &'static [u8],
}

/// What is left of a connection that is no longer HTTP.
#[derive(Debug)]
pub(crate) struct Raw {
    /// The socket.
    pub socket: Socket,
    /// What was read ahead.
    pub input: BytesMut,
    /// What is still to be sent.
    pub output: BytesMut,
}

/// Where a connection stands; shared with the request that is being answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phase(Arc<AtomicU8>);

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const RAW: u8 = 2;

impl Phase {
    /// A request is being answered.
    pub fn busy(&self) -> Busy {
        self.0.store(BUSY, Ordering::Release);
        Busy(Arc::new(Answering(self.clone())))
    }

    /// From here on the bytes are not HTTP.
    pub fn raw(&self) {
        self.0.store(RAW, Ordering::Release);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

/// Lasts as long as an answer does, and the request's body.
#[derive(Debug, Clone)]
pub(crate) struct Busy(#[expect(dead_code, reason = "it only has to be kept")] Arc<Answering>);

#[derive(Debug)]
struct Answering(Phase);

impl Drop for Answering {
    fn drop(&mut self) {
        // A connection that became raw stays raw.
        let _ = self.0.0.compare_exchange(BUSY, HEAD, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outgoing {
    Plain,
    /// The next response head may be that of an upgrade whose client expects this one.
    Replaced(&'static [u8]),
}

/// A connection with both corrections.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    phase: Phase,
    implicit: Option<ImplicitUpgrade>,
    /// Read from the socket and not yet handed out.
    input: BytesMut,
    /// `input` may be handed out.
    released: bool,
    ended: bool,
    grace: Option<Pin<Box<Sleep>>>,
    outgoing: Outgoing,
    /// Bytes of a response head that are still held back, then what replaces them.
    output: BytesMut,
}

impl Connection {
    /// Wraps an accepted socket.
    pub fn new(socket: Socket, phase: Phase, implicit: Option<ImplicitUpgrade>) -> Self {
        Self {
            socket,
            phase,
            implicit,
            input: BytesMut::new(),
            released: false,
            ended: false,
            grace: None,
            outgoing: Outgoing::Plain,
            output: BytesMut::new(),
        }
    }

    /// Takes the socket out, once the connection is raw.
    pub fn into_raw(self) -> Raw {
        Raw { socket: self.socket, input: self.input, output: self.output }
    }

    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [0u8; 8 << 10];
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Reads a request head and adds the upgrade to one that implies it.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(implicit) = self.implicit.filter(|_| !self.released) {
            let candidate =
                self.input.starts_with(&implicit.begins[..self.input.len().min(implicit.begins.len())]);
            if !self.input.is_empty() && (!candidate || self.input.len() > HEAD_LIMIT) {
                break;
            }
            if let Some(end) = find(&self.input, b"\r\n\r\n") {
                if (implicit.is)(&self.input[..end]) {
                    let rest = self.input.split_off(end + 4);
                    self.input.truncate(end);
                    self.input.extend_from_slice(UPGRADE);
                    self.input.unsplit(rest);
                    self.outgoing = Outgoing::Replaced(implicit.answer);
                }
                break;
            }
            if ready!(self.fill(cx))? == 0 {
                self.ended = true;
                break;
            }
        }
        self.released = true;
        Poll::Ready(Ok(()))
    }

    /// Keeps the end of input back while a request is being answered.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ended = true;
        if self.phase.get() == BUSY {
            let grace = self.grace.get_or_insert_with(|| Box::pin(tokio::time::sleep(GRACE)));
            ready!(grace.as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what is in `output`.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.phase.get() == HEAD && this.input.is_empty() && !this.ended {
            this.released = false;
        }
        if !this.released {
            ready!(this.poll_head(cx))?;
        }
        if !this.input.is_empty() {
            let count = this.input.len().min(buffer.remaining());
            buffer.put_slice(&this.input[..count]);
            this.input.advance(count);
            return Poll::Ready(Ok(()));
        }
        if this.ended {
            return this.poll_end(cx);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
        if buffer.filled().len() == before {
            return this.poll_end(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Outgoing::Replaced(answer) = this.outgoing else {
            ready!(this.poll_drain(cx))?;
            return Pin::new(&mut this.socket).poll_write(cx, bytes);
        };
        this.output.extend_from_slice(bytes);
        if let Some(end) = find(&this.output, b"\r\n\r\n") {
            let upgraded = this.output.starts_with(b"HTTP/1.1 101");
            let interim = this.output.starts_with(b"HTTP/1.1 100");
            if upgraded {
                let rest = this.output.split_off(end + 4);
                this.output.clear();
                this.output.extend_from_slice(answer);
                this.output.unsplit(rest);
            }
            if !interim {
                this.outgoing = Outgoing::Plain;
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.outgoing == Outgoing::Plain || this.output.starts_with(b"HTTP/1.1 100") {
            ready!(this.poll_drain(cx))?;
        }
        Pin::new(&mut this.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: raw\r\n\r\n";

    fn pair() -> (Connection, UnixStream, Phase) {
        let (server, client) = UnixStream::pair().expect("a socket pair");
        let phase = Phase::default();
        let implicit = ImplicitUpgrade {
            begins: b"POST /",
            is: |head| head.starts_with(b"POST /raw ") && find(head, b"Upgrade:").is_none(),
            answer: ANSWER,
        };
        (Connection::new(Socket::Unix(server), phase.clone(), Some(implicit)), client, phase)
    }

    async fn read(connection: &mut Connection) -> String {
        let mut chunk = vec![0; 4096];
        let count = connection.read(&mut chunk).await.expect("read");
        String::from_utf8_lossy(&chunk[..count]).into_owned()
    }

    #[tokio::test]
    async fn an_implicit_upgrade_gets_its_answer_and_raw_bytes() {
        let (mut connection, mut client, phase) = pair();
        client.write_all(b"POST /raw HTTP/1.1\r\nHost: d\r\n\r\nearly").await.expect("write");
        let head = read(&mut connection).await;
        assert_eq!(head, "POST /raw HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly");
        let _busy = phase.busy();
        connection.write_all(b"HTTP/1.1 101 UPGRADED\r\nUpgr").await.expect("write");
        connection.write_all(b"ade: tcp\r\n\r\nout").await.expect("write");
        connection.flush().await.expect("flush");
        phase.raw();
        connection.write_all(b"put").await.expect("write");
        drop(connection);
        let mut text = String::new();
        client.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, format!("{}output", std::str::from_utf8(ANSWER).expect("text")));
    }

    #[tokio::test]
    async fn an_error_for_an_implicit_upgrade_passes_unchanged() {
        let (mut connection, mut client, phase) = pair();
        client.write_all(b"POST /raw HTTP/1.1\r\n\r\n").await.expect("write");
        read(&mut connection).await;
        let _busy = phase.busy();
        connection.write_all(b"HTTP/1.1 404 Not Found\r\n\r\nno").await.expect("write");
        connection.flush().await.expect("flush");
        drop(connection);
        let mut text = String::new();
        client.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "HTTP/1.1 404 Not Found\r\n\r\nno");
    }

    #[tokio::test]
    async fn other_requests_pass_unchanged() {
        let (mut connection, mut client, _) = pair();
        client.write_all(b"GET /info HTTP/1.1\r\n\r\n").await.expect("write");
        assert_eq!(read(&mut connection).await, "GET /info HTTP/1.1\r\n\r\n");
    }

    #[tokio::test]
    async fn the_end_of_input_waits_while_an_answer_is_made() {
        let (mut connection, mut client, phase) = pair();
        client.write_all(b"GET /info HTTP/1.1\r\n\r\n").await.expect("write");
        client.shutdown().await.expect("half-close");
        read(&mut connection).await;
        let busy = phase.busy();
        let mut byte = [0];
        let early = tokio::time::timeout(Duration::from_millis(50), connection.read(&mut byte)).await;
        assert!(early.is_err(), "the end must be kept back");
        drop(busy);
        assert_eq!(connection.read(&mut byte).await.expect("read"), 0);
    }
}
