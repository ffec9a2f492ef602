//! A client's connection below HTTP.
//!
//! It corrects two things in the bytes that the HTTP library does not handle:
//!
//! - **Implicit upgrades.** Before clients sent `Upgrade`, the path of a request alone took the connection over, and
//!   such a client expects another response head than `101` ([`ImplicitUpgrade`]). The connection adds the header to
//!   the head of such a request, and replaces the head of the `101`.
//! - **Half-closed requests.** A client may close its sending side right after a request and still read the response.
//!   The connection holds back the end of input for [`GRACE`] while a request is answered. After that the request is
//!   cancelled, as when any client disconnects.
//!
//! ```text
//! Head ──(request head complete)──> Busy ──(response body sent)──> Head
//!                                     └──(101 sent)──> Raw
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

/// How long a response may take after its client has closed its sending side.
const GRACE: Duration = Duration::from_millis(500);
/// The HTTP library refuses longer heads.
const HEAD_LIMIT: usize = 64 << 10;
/// The bytes that are added to the head of an implicit upgrade.
const UPGRADE: &[u8] = b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

/// Requests that take their connection over without saying so.
#[derive(Clone, Copy, Debug)]
pub struct ImplicitUpgrade {
    /// The beginning of such a request: other requests are not examined.
    pub begins: &'static [u8],
    /// Whether a head, without the empty line at its end, is that of such a request. Lines may end with `\n` alone.
    pub is: fn(&[u8]) -> bool,
    /// The whole response head that its client expects instead of the `101`.
    pub answer: &'static [u8],
}

/// The rest of a connection that is no longer HTTP.
#[derive(Debug)]
pub(crate) struct Raw {
    /// The socket.
    pub socket: Socket,
    /// Bytes that were read and not used.
    pub input: BytesMut,
    /// Bytes that are still to be sent.
    pub output: BytesMut,
}

/// The phase of a connection, shared with the request that is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phase(Arc<AtomicU8>);

const HEAD: u8 = 0;
const BUSY: u8 = 1;
const RAW: u8 = 2;

impl Phase {
    /// Marks that a request is answered.
    pub fn busy(&self) -> Busy {
        self.0.store(BUSY, Ordering::Release);
        Busy(Arc::new(Answering(self.clone())))
    }

    /// Marks that the bytes are no longer HTTP.
    pub fn raw(&self) {
        self.0.store(RAW, Ordering::Release);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

/// Lasts as long as the response and the request's body.
#[derive(Debug, Clone)]
pub(crate) struct Busy(#[expect(dead_code, reason = "it only has to be kept")] Arc<Answering>);

#[derive(Debug)]
struct Answering(Phase);

impl Drop for Answering {
    fn drop(&mut self) {
        // A raw connection stays raw.
        let _ = self.0.0.compare_exchange(BUSY, HEAD, Ordering::AcqRel, Ordering::Acquire);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outgoing {
    Plain,
    /// The next `101` is that of an implicit upgrade, whose client expects this head.
    Replaced(&'static [u8]),
}

/// A connection with both corrections.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    phase: Phase,
    implicit: Option<ImplicitUpgrade>,
    /// Bytes that were read from the socket and not passed on.
    input: BytesMut,
    /// How much of `input` the end of a head was looked for in: a client may send it byte by byte.
    searched: usize,
    /// `input` may be passed on.
    released: bool,
    ended: bool,
    grace: Option<Pin<Box<Sleep>>>,
    outgoing: Outgoing,
    /// Bytes of a response head that are held back, then those that replace them.
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
            searched: 0,
            released: false,
            ended: false,
            grace: None,
            outgoing: Outgoing::Plain,
            output: BytesMut::new(),
        }
    }

    /// Takes the socket out of a raw connection.
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

    /// Reads a request head; adds the header to that of an implicit upgrade.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(implicit) = self.implicit.filter(|_| !self.released) {
            let candidate =
                self.input.starts_with(&implicit.begins[..self.input.len().min(implicit.begins.len())]);
            if !self.input.is_empty() && (!candidate || self.input.len() > HEAD_LIMIT) {
                break;
            }
            if let Some(End { head, rest }) = head_end(&self.input, self.searched) {
                if (implicit.is)(&self.input[..head]) {
                    let rest = self.input.split_off(rest);
                    self.input.truncate(head);
                    self.input.extend_from_slice(UPGRADE);
                    self.input.unsplit(rest);
                    self.outgoing = Outgoing::Replaced(implicit.answer);
                }
                break;
            }
            self.searched = self.input.len();
            if ready!(self.fill(cx))? == 0 {
                self.ended = true;
                break;
            }
        }
        self.released = true;
        self.searched = 0;
        Poll::Ready(Ok(()))
    }

    /// Holds back the end of input while a request is answered.
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

/// Where a head ends.
#[derive(Debug, PartialEq, Eq)]
struct End {
    /// Its last line, without what ends that.
    head: usize,
    /// What follows the empty line.
    rest: usize,
}

/// The end of a head that bytes begin with, of which so many were searched in vain. As for the HTTP library, a line may end
/// with `\n` alone (RFC 9112, 2.2): where the two do not agree, one takes for a body what the other takes for a head.
fn head_end(bytes: &[u8], searched: usize) -> Option<End> {
    // The first of the two line ends may have been in what was searched.
    let from = searched.saturating_sub(2);
    let newlines = bytes[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    newlines.map(|(at, _)| from + at).find_map(|at| {
        let rest = match bytes[at + 1..] {
            [b'\n', ..] => at + 2,
            [b'\r', b'\n', ..] => at + 3,
            _ => return None,
        };
        let head = if at > 0 && bytes[at - 1] == b'\r' { at - 1 } else { at };
        Some(End { head, rest })
    })
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

    #[test]
    fn a_head_ends_wherever_it_is_cut_and_however_its_lines_end() {
        for (text, head, rest) in [
            ("A\r\nB: c\r\n\r\nrest", 7, 11),
            ("A\nB: c\n\nrest", 6, 8),
            ("A\r\nB: c\n\r\nrest", 7, 10),
            ("A\r\nB: c\r\n\nrest", 7, 10),
        ] {
            let bytes = text.as_bytes();
            assert_eq!(head_end(bytes, 0), Some(End { head, rest }), "{text:?}");
            for cut in 0..rest {
                assert_eq!(head_end(&bytes[..cut], 0), None, "{text:?} up to {cut}");
                assert_eq!(head_end(bytes, cut), Some(End { head, rest }), "{text:?} from {cut}");
            }
        }
    }

    #[tokio::test]
    async fn a_head_whose_lines_end_with_newlines_is_not_waited_for_any_longer() {
        let (mut connection, mut client, _phase) = pair();
        client.write_all(b"POST /raw HTTP/1.1\nHost: d\n\nearly\r\n\r\n").await.expect("write");
        let head = read(&mut connection).await;
        let upgraded = "POST /raw HTTP/1.1\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
        assert_eq!(head, format!("{upgraded}early\r\n\r\n"));
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
