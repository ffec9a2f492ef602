//! A connected unix socket whose task only input wakes.
//!
//! A socket that is watched for output too wakes its task whenever the peer has read bytes: in a call, that wakes a
//! thread for nothing at every step. Here output is watched only while the socket is full.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

use crate::Caller;

/// The most buffers in one sendmsg(2) (`UIO_MAXIOV`).
const PIECES: usize = 1024;

/// A stream.
#[derive(Debug)]
pub struct Stream {
    socket: AsyncFd<OwnedFd>,
    /// A duplicate of the socket, while it is full.
    full: Option<AsyncFd<OwnedFd>>,
    /// The process at the other end.
    peer: Option<Caller>,
}

impl Stream {
    /// Watches a connected socket for input only.
    ///
    /// # Errors
    ///
    /// What epoll_ctl(2) reports.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        let peer = Caller::of_socket(&socket);
        let socket = OwnedFd::from(socket.into_std()?);
        Ok(Self { socket: watch(socket, Interest::READABLE)?, full: None, peer })
    }

    /// Sends now, or when the socket has room again.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: impl Fn(&OwnedFd) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match send(self.socket.get_ref()) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if self.full.is_none() {
                        let socket = self.socket.get_ref().try_clone()?;
                        self.full = Some(watch(socket, Interest::WRITABLE)?);
                    }
                    if let Some(full) = &self.full {
                        ready!(full.poll_write_ready(cx))?.clear_ready();
                    }
                }
                sent => {
                    self.full = None;
                    return Poll::Ready(sent.map_err(io::Error::from));
                }
            }
        }
    }
}

#[allow(unsafe_code)]
fn watch(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is open for as long as it is owned, and nothing takes it out or replaces it.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            let asked = room.len();
            match rustix::net::recv(&self.socket, room, RecvFlags::empty()) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Poll::Ready(Err(error.into())),
                Ok((_, read)) => {
                    // The socket is empty: epoll reports the next input (epoll(7), "edge-triggered").
                    if (1..asked).contains(&read) {
                        ready.clear_ready();
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, |socket| rustix::net::send(socket, bytes, SendFlags::NOSIGNAL))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let pieces = &pieces[..pieces.len().min(PIECES)];
        self.get_mut().poll_send(cx, |socket| {
            rustix::net::sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&self.socket, Shutdown::Write).map_err(io::Error::from))
    }
}

impl Connected for Stream {
    type ConnectInfo = Option<Caller>;

    fn connect_info(&self) -> Option<Caller> {
        self.peer.clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair() -> (Stream, Stream) {
        let (one, other) = UnixStream::pair().expect("a pair");
        (Stream::new(one).expect("watched"), Stream::new(other).expect("watched"))
    }

    #[tokio::test]
    async fn more_than_a_socket_holds_goes_through() {
        let (mut one, mut other) = pair();
        let sent: Vec<u8> = (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            one.write_all(&sent).await.expect("written");
            assert!(one.full.is_none(), "still watched for room");
            one.shutdown().await.expect("shut down");
            one
        });
        let mut received = Vec::new();
        other.read_to_end(&mut received).await.expect("read");
        assert!(received == expected);
        // The other direction is still open.
        let mut one = writing.await.expect("wrote");
        other.write_all(b"thanks").await.expect("written");
        drop(other);
        let mut thanks = String::new();
        one.read_to_string(&mut thanks).await.expect("read");
        assert_eq!(thanks, "thanks");
    }

    #[tokio::test]
    async fn pieces_are_sent_in_order() {
        let (mut one, mut other) = pair();
        let numbers: Vec<u8> = (0..=255).cycle().take(3000).collect();
        let pieces: Vec<_> = numbers.chunks(2).map(IoSlice::new).collect();
        let sent = one.write_vectored(&pieces).await.expect("written");
        assert_eq!(sent, 2 * PIECES);
        let mut received = vec![0; sent];
        other.read_exact(&mut received).await.expect("read");
        assert!(received == numbers[..sent]);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let (mut one, other) = pair();
        drop(other);
        assert_eq!(one.read(&mut [0; 8]).await.expect("the end"), 0);
        let error = one.write_all(b"x").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
