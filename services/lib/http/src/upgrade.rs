//! Takes over a connection: raw bytes in both directions after the response's head.
//!
//! Each side may stop sending while the other continues.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::Request;
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::OwnedSemaphorePermit;

use crate::body::Body;
use crate::connection::{Connection, Phase};
use crate::socket::Socket;
use crate::tasks::Tasks;

/// How often a silent client is checked.
pub const CLIENT_CHECK: Duration = Duration::from_secs(2);
/// How long a client may take to close after its output has ended; it can still read the output.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// The same over TCP, where closing while the client still sends resets the connection, and the client loses unread
/// output.
const TCP_PATIENCE: Duration = Duration::from_secs(3600);
const CHUNK: usize = 32 << 10;

/// The client's end of a connection that was taken over.
#[derive(Debug)]
pub struct Client {
    /// The bytes from the client.
    pub input: Input,
    /// The bytes to the client.
    pub output: Output,
    patience: Duration,
}

/// The bytes from a client: those read ahead, then the socket's.
#[derive(Debug)]
pub struct Input {
    early: Bytes,
    socket: ReadHalf<Socket>,
}

/// The bytes to a client.
#[derive(Debug)]
pub struct Output {
    socket: WriteHalf<Socket>,
    /// The same socket, to check its state.
    state: OwnedFd,
}

/// A request's connection cannot be taken over: it is not HTTP/1.1, or the request did not ask for it.
#[derive(Debug, thiserror::Error)]
#[error("the connection cannot be taken over: HTTP/1.1 and an upgrade are needed")]
pub struct NotUpgradable;

impl Input {
    /// Reads bytes; none at the end.
    pub async fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        if self.early.has_remaining() {
            let count = self.early.remaining().min(chunk.len());
            self.early.copy_to_slice(&mut chunk[..count]);
            return Ok(count);
        }
        self.socket.read(chunk).await
    }
}

impl Output {
    /// Writes all of `bytes`.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await
    }

    /// Whether the client has disconnected, and not only closed its sending side.
    pub fn is_gone(&self) -> bool {
        let mut state = [PollFd::new(&self.state, PollFlags::empty())];
        match poll(&mut state, Some(&Timespec::default())) {
            Ok(_) => state[0].revents().intersects(PollFlags::HUP | PollFlags::ERR),
            Err(_) => true,
        }
    }

    /// Waits until the client has disconnected.
    pub async fn gone(&self) {
        while !self.is_gone() {
            tokio::time::sleep(CLIENT_CHECK).await;
        }
    }

    /// Ends the bytes to the client.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.socket.shutdown().await
    }
}

impl Client {
    /// The client's end of a socket, of which `early` was already read.
    ///
    /// # Errors
    ///
    /// What dup(2) reports.
    pub fn new(socket: Socket, early: Bytes) -> io::Result<Self> {
        let patience = match &socket {
            Socket::Unix(_) => CLOSE_PATIENCE,
            Socket::Tcp(_) | Socket::Tls(_) => TCP_PATIENCE,
        };
        let state = socket.as_fd().try_clone_to_owned()?;
        let (read, write) = tokio::io::split(socket);
        Ok(Self { input: Input { early, socket: read }, output: Output { socket: write, state }, patience })
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

    /// Closes the connection so that the client gets all output and an orderly end, whatever it still sends.
    pub async fn close(mut self) {
        if self.output.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            let mut chunk = vec![0; 4 << 10];
            while self.input.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
        };
        // The connection of a client that does not close in time is closed.
        let _ = tokio::time::timeout(self.patience, drain).await;
    }
}

/// The place of a connection among those that there may be ([`Limits::connections`](crate::Limits)).
pub(crate) type Counted = Arc<OwnedSemaphorePermit>;

/// The part of a request's extensions that [`take_over`] needs.
#[derive(Clone, Debug)]
pub(crate) struct Upgradable {
    pub phase: Phase,
    pub tasks: Tasks,
    pub counted: Counted,
}

/// Passes the connection of a request to `work` when the response, a `101`, is sent.
///
/// # Errors
///
/// When the connection cannot be taken over; `work` is dropped.
pub fn take_over<F, W>(request: &mut Request<Body>, work: F) -> Result<(), NotUpgradable>
where
    F: FnOnce(Client) -> W + Send + 'static,
    W: Future<Output = ()> + Send,
{
    if request.extensions().get::<hyper::upgrade::OnUpgrade>().is_none() {
        return Err(NotUpgradable);
    }
    let upgraded = hyper::upgrade::on(&mut *request);
    let Upgradable { phase, tasks, counted } = request.extensions().get().cloned().ok_or(NotUpgradable)?;
    tasks.spawn(async move {
        match upgraded.await {
            Ok(upgraded) => match client(upgraded).await {
                Ok(client) => work(client).await,
                Err(error) => tracing::debug!(%error, "connection was lost while it was taken over"),
            },
            Err(error) => tracing::debug!(%error, "connection was not taken over"),
        }
        // A connection that was taken over counts until its end.
        drop(counted);
    });
    phase.raw();
    Ok(())
}

async fn client(upgraded: hyper::upgrade::Upgraded) -> io::Result<Client> {
    let parts = upgraded
        .downcast::<TokioIo<Connection>>()
        .map_err(|_| io::Error::other("the connection is of an unknown kind"))?;
    let raw = parts.io.into_inner().into_raw();
    let mut early = BytesMut::from(&parts.read_buf[..]);
    early.unsplit(raw.input);
    let mut client = Client::new(raw.socket, early.freeze())?;
    client.output.write_all(&raw.output).await?;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    fn pair() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        (Client::new(Socket::Unix(ours), Bytes::from_static(b"early ")).expect("a client"), theirs)
    }

    #[tokio::test]
    async fn what_came_early_comes_first() {
        let (mut client, mut user) = pair();
        user.write_all(b"late").await.expect("written");
        let mut chunk = [0; 16];
        assert_eq!(client.input.read(&mut chunk).await.expect("read"), 6);
        assert_eq!(client.input.read(&mut chunk).await.expect("read"), 4);
        assert_eq!(&chunk[..4], b"late");
    }

    #[tokio::test]
    async fn who_only_stopped_sending_is_not_gone() {
        let (client, mut user) = pair();
        user.shutdown().await.expect("half-closed");
        assert!(!client.output.is_gone());
        drop(user);
        client.output.gone().await;
    }

    #[tokio::test]
    async fn a_client_reads_all_before_the_end() {
        let (mut client, mut user) = pair();
        client.output.write_all(b"all").await.expect("written");
        let closing = tokio::spawn(client.close());
        user.write_all(b"still sending").await.expect("written");
        let mut text = String::new();
        user.read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "all");
        drop(user);
        closing.await.expect("closed");
    }
}
