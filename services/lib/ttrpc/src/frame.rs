//! Frames: a header of ten bytes and a message.

use std::io;

use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Response, RpcStatus};

/// The largest message, as in containerd's own code.
const LARGEST: usize = 4 << 20;
const HEADER: usize = 10;
/// gRPC's code for a message that is too large.
const RESOURCE_EXHAUSTED: i32 = 8;

/// What a frame is; other types are of streams, which nobody here speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Request = 1,
    /// An answer.
    Response = 2,
}

/// A message that no frame may carry. The text is containerd's, because clients may recognize it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message length {0} exceed maximum message size of {LARGEST}")]
pub struct Oversized(
    /// Its length, bytes.
    pub usize,
);

impl Oversized {
    /// The error of [`write`], if it was this one: then nothing was written, and the connection can still be used.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// The status for the caller that waits for an answer.
    pub fn status(self) -> RpcStatus {
        RpcStatus { code: RESOURCE_EXHAUSTED, message: self.to_string(), details: Vec::new() }
    }
}

/// Writes one frame in one piece.
///
/// # Errors
///
/// [`Oversized`], after which nothing was written; errors of write(2).
pub async fn write(
    output: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    stream: u32,
    message: &impl Message,
) -> io::Result<()> {
    let length = message.encoded_len();
    if length > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, Oversized(length)));
    }
    let mut frame = Vec::with_capacity(HEADER + length);
    let announced = u32::try_from(length).expect("no larger than the largest");
    frame.extend_from_slice(&announced.to_be_bytes());
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&[kind as u8, 0]);
    message.encode(&mut frame).expect("a vector grows");
    output.write_all(&frame).await
}

/// Writes an answer; if it is too large, writes that error instead.
///
/// # Errors
///
/// Errors of write(2).
pub async fn write_answer(
    output: &mut (impl AsyncWrite + Unpin),
    stream: u32,
    answer: &Response,
) -> io::Result<()> {
    match write(output, Kind::Response, stream, answer).await {
        Err(error) => match Oversized::of(&error) {
            Some(oversized) => {
                let refused = Response::refused(oversized.status());
                write(output, Kind::Response, stream, &refused).await
            }
            None => Err(error),
        },
        written => written,
    }
}

/// Reads the next frame of a type and skips others. Returns the frame's stream, and its message or [`Oversized`] for
/// a message that was skipped because of its size.
///
/// # Errors
///
/// Errors of read(2), and the end of the stream.
pub async fn read(
    input: &mut (impl AsyncRead + Unpin),
    wanted: Kind,
) -> io::Result<(u32, Result<Vec<u8>, Oversized>)> {
    loop {
        let mut header = [0; HEADER];
        input.read_exact(&mut header).await?;
        let [a, b, c, d, e, f, g, h, kind, _flags] = header;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let message = match length > LARGEST {
            true => {
                leave_out(input, length).await?;
                Err(Oversized(length))
            }
            false => {
                let mut message = vec![0; length];
                input.read_exact(&mut message).await?;
                Ok(message)
            }
        };
        if kind == wanted as u8 {
            return Ok((u32::from_be_bytes([e, f, g, h]), message));
        }
    }
}

async fn leave_out(input: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<()> {
    let length = length as u64;
    let left_out = tokio::io::copy(&mut input.take(length), &mut tokio::io::sink()).await?;
    match left_out == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_of_another_kind_are_left_out() {
        let (answer, mut wire) = (Response::failed(5, "gone"), Vec::new());
        write(&mut wire, Kind::Request, 1, &answer).await.unwrap();
        write(&mut wire, Kind::Response, 3, &answer).await.unwrap();
        assert_eq!(wire[..HEADER], [0, 0, 0, wire.len() as u8 / 2 - 10, 0, 0, 0, 1, 1, 0]);
        let (stream, message) = read(&mut wire.as_slice(), Kind::Response).await.unwrap();
        assert_eq!((stream, Response::decode(message.unwrap().as_slice()).unwrap()), (3, answer));
    }

    #[tokio::test]
    async fn a_message_that_is_too_large_is_not_written() {
        let mut wire = Vec::new();
        let room = 2 * LARGEST - Response::done(vec![0; LARGEST]).encoded_len();
        write(&mut wire, Kind::Response, 1, &Response::done(vec![7; room])).await.unwrap();
        assert_eq!(wire.len(), HEADER + LARGEST, "as large as it may be");

        wire.clear();
        let refused =
            write(&mut wire, Kind::Response, 1, &Response::done(vec![7; room + 1])).await.unwrap_err();
        assert_eq!(refused.to_string(), "message length 4194305 exceed maximum message size of 4194304");
        assert_eq!(Oversized::of(&refused), Some(Oversized(LARGEST + 1)));
        assert!(wire.is_empty());
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_answered_all_the_same() {
        let mut wire = Vec::new();
        write_answer(&mut wire, 5, &Response::done(vec![7; LARGEST + 1])).await.unwrap();
        let (stream, message) = read(&mut wire.as_slice(), Kind::Response).await.unwrap();
        let refused = Response::decode(message.unwrap().as_slice()).unwrap().into_result().unwrap_err();
        assert_eq!((stream, refused.code), (5, RESOURCE_EXHAUSTED));
    }

    #[tokio::test]
    async fn a_frame_that_is_too_large_leaves_the_next_one_readable() {
        let mut wire = u32::try_from(LARGEST + 1).unwrap().to_be_bytes().to_vec();
        wire.extend_from_slice(&[0, 0, 0, 1, Kind::Request as u8, 0]);
        wire.resize(HEADER + LARGEST + 1, 0xff);
        let cut = wire.len() - 1;
        write(&mut wire, Kind::Request, 3, &Response::failed(5, "next")).await.unwrap();
        let mut input = wire.as_slice();
        assert_eq!(read(&mut input, Kind::Request).await.unwrap(), (1, Err(Oversized(LARGEST + 1))));
        assert_eq!(read(&mut input, Kind::Request).await.unwrap().0, 3);
        let ended = read(&mut &wire[..cut], Kind::Request).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }
}
