//! Data sockets: bytes and file descriptors beside gRPC.
//!
//! A connection begins with one message of the client (u32 length, big endian, then protobuf) and one [`Reply`] of
//! the server, which may carry file descriptors (SCM_RIGHTS). The protocol of the socket defines the rest: more
//! messages, or raw bytes in both directions, each of which ends when its sender closes its half.
//!
//! ```text
//! client                          server
//!   | -- len, request ------------> |
//!   | <- len, Reply{status,detail} -| (+ descriptors)
//!   | <====== raw or messages =====>|
//! ```

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use prost::Message;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tonic::Status;

use crate::socket;

/// The longest message in bytes.
pub const MESSAGE_LIMIT: u32 = 1 << 20;
/// Bytes of the length in front of a message.
const LENGTH: usize = 4;

/// A gRPC status as part of a message; code 0 is OK.
#[derive(Clone, PartialEq, Message)]
pub struct WireStatus {
    /// The gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
}

impl From<&Status> for WireStatus {
    fn from(status: &Status) -> Self {
        Self { code: status.code() as i32, message: status.message().to_owned() }
    }
}

/// `gantry.rpc.v1.Reply`, defined again here because this crate does not depend on the protos.
#[derive(Clone, PartialEq, Message)]
pub struct Reply {
    /// The result of the request.
    #[prost(message, optional, tag = "1")]
    pub status: Option<WireStatus>,
    /// The encoded message of the socket's own protocol.
    #[prost(bytes = "vec", tag = "2")]
    pub detail: Vec<u8>,
}

impl Reply {
    /// The detail, or the server's status.
    ///
    /// # Errors
    ///
    /// The status, when it is not OK.
    pub fn into_result(self) -> Result<Vec<u8>, Status> {
        match self.status {
            Some(status) if status.code != 0 => Err(Status::new(status.code.into(), status.message)),
            _ => Ok(self.detail),
        }
    }
}

/// Connects to the data socket at `path`, sends `request`, and awaits the reply. Returns the connection, the detail
/// of the reply and its descriptors.
///
/// # Errors
///
/// `UNAVAILABLE` when the server does not answer; otherwise its own status.
pub async fn call(
    path: &Path,
    request: &impl Message,
) -> Result<(UnixStream, Vec<u8>, Vec<OwnedFd>), Status> {
    let away = |error: io::Error| Status::unavailable(format!("data socket {}: {error}", path.display()));
    let mut stream = socket::connect(path).await.map_err(away)?;
    send(&mut stream, request).await.map_err(away)?;
    let (reply, fds) = receive_with_fds::<Reply>(&stream).await.map_err(away)?;
    Ok((stream, reply.into_result()?, fds))
}

/// Replies OK, with a detail and descriptors.
///
/// # Errors
///
/// What sendmsg(2) reports.
pub async fn accept(
    stream: &mut UnixStream,
    detail: &impl Message,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let reply = Reply { status: None, detail: detail.encode_to_vec() };
    send_with_fds(stream, &reply, fds).await
}

/// Replies with an error.
///
/// # Errors
///
/// What write(2) reports.
pub async fn reject(stream: &mut UnixStream, status: &Status) -> io::Result<()> {
    send(stream, &Reply { status: Some(status.into()), detail: Vec::new() }).await
}

/// Sends one length-prefixed message.
///
/// # Errors
///
/// What write(2) reports.
pub async fn send(
    stream: &mut (impl tokio::io::AsyncWrite + Unpin),
    message: &impl Message,
) -> io::Result<()> {
    stream.write_all(&frame(message)).await
}

/// Receives one length-prefixed message; `None` at the end of the stream.
///
/// # Errors
///
/// `InvalidData` for a message over [`MESSAGE_LIMIT`] or one that does not parse; `UnexpectedEof` when the stream ends
/// within one; what read(2) reports.
pub async fn receive<M: Message + Default>(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
) -> io::Result<Option<M>> {
    Received::default().message(stream).await
}

/// The part of a stream's next message that has arrived. Receiving it can be cancelled and continued.
#[derive(Debug, Default)]
pub struct Received(Vec<u8>);

impl Received {
    /// As [`receive`], but cancelling it loses no bytes.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn message<M: Message + Default>(
        &mut self,
        stream: &mut (impl tokio::io::AsyncRead + Unpin),
    ) -> io::Result<Option<M>> {
        loop {
            let wanted = match self.0.first_chunk() {
                None => LENGTH,
                Some(length) => LENGTH + checked_length(*length)?,
            };
            if wanted == self.0.len() && wanted >= LENGTH {
                let message = std::mem::take(&mut self.0);
                return M::decode(&message[LENGTH..]).map(Some).map_err(invalid);
            }
            let missing = (wanted - self.0.len()) as u64;
            match (&mut *stream).take(missing).read_buf(&mut self.0).await? {
                0 if self.0.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        }
    }
}

fn frame(message: &impl Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut bytes = Vec::with_capacity(4 + length);
    bytes.extend_from_slice(&u32::try_from(length).expect("a message is small").to_be_bytes());
    message.encode(&mut bytes).expect("a Vec grows");
    bytes
}

fn checked_length(length: [u8; 4]) -> io::Result<usize> {
    match u32::from_be_bytes(length) {
        length if length <= MESSAGE_LIMIT => Ok(length as usize),
        length => Err(invalid(format!("a message of {length} bytes on a data socket"))),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Sends a message with descriptors on its first byte.
async fn send_with_fds(
    stream: &mut UnixStream,
    message: &impl Message,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = frame(message);
    let sent = stream
        .async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "more than four descriptors in a message",
                ));
            }
            Ok(rustix::net::sendmsg(&*stream, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?)
        })
        .await?;
    stream.write_all(&bytes[sent..]).await
}

/// Receives a message with its descriptors; never reads beyond the message.
async fn receive_with_fds<M: Message + Default>(stream: &UnixStream) -> io::Result<(M, Vec<OwnedFd>)> {
    let mut fds = Vec::new();
    let mut length = [0; 4];
    read_exact_with_fds(stream, &mut length, &mut fds).await?;
    let mut bytes = vec![0; checked_length(length)?];
    read_exact_with_fds(stream, &mut bytes, &mut fds).await?;
    Ok((M::decode(bytes.as_slice()).map_err(invalid)?, fds))
}

async fn read_exact_with_fds(
    stream: &UnixStream,
    buffer: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        let count = stream
            .async_io(Interest::READABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let received = rustix::net::recvmsg(
                    stream.as_fd(),
                    &mut [IoSliceMut::new(rest)],
                    &mut control,
                    RecvFlags::CMSG_CLOEXEC,
                )?;
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(received) = message {
                        fds.extend(received);
                    }
                }
                Ok(received.bytes)
            })
            .await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;

    #[tokio::test]
    async fn a_descriptor_arrives_with_the_reply() {
        let (mut server, client) = UnixStream::pair().expect("a pair");
        let mut file = std::fs::File::from(
            rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).expect("a memfd"),
        );
        file.write_all(b"bulk").expect("written");
        accept(&mut server, &WireStatus::default(), &[file.as_fd()]).await.expect("sent");
        server.write_all(b"raw").await.expect("sent");

        let (reply, mut fds) = receive_with_fds::<Reply>(&client).await.expect("received");
        reply.into_result().expect("OK");
        let mut copy = std::fs::File::from(fds.pop().expect("one descriptor"));
        copy.seek(SeekFrom::Start(0)).expect("a file");
        let mut text = String::new();
        copy.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "bulk");

        drop(server);
        let mut rest = String::new();
        let mut client = client;
        client.read_to_string(&mut rest).await.expect("readable");
        assert_eq!(rest, "raw", "nothing beyond the reply was read");
    }

    #[tokio::test]
    async fn waiting_for_a_message_can_be_given_up_in_its_middle() {
        use futures::FutureExt;
        let (mut server, mut client) = UnixStream::pair().expect("a pair");
        let sent = WireStatus { code: 5, message: "gone".to_owned() };
        let (bytes, mut received) = (frame(&sent), Received::default());
        for piece in bytes.chunks(3) {
            let early = received.message::<WireStatus>(&mut client).now_or_never();
            assert!(early.is_none(), "{early:?}");
            server.write_all(piece).await.expect("sent");
            client.readable().await.expect("it came");
        }
        assert_eq!(received.message(&mut client).await.expect("received"), Some(sent.clone()));
        send(&mut server, &()).await.expect("sent");
        assert_eq!(received.message(&mut client).await.expect("an empty one"), Some(()));
        server.write_all(&bytes[..5]).await.expect("sent");
        drop(server);
        let cut = received.message::<WireStatus>(&mut client).await.expect_err("cut off");
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn an_oversized_message_is_refused() {
        let (mut server, mut client) = UnixStream::pair().expect("a pair");
        server.write_all(&u32::MAX.to_be_bytes()).await.expect("sent");
        let error = receive::<Reply>(&mut client).await.expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
