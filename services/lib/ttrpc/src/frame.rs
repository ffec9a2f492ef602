//! Frames: a header of ten bytes and a message.

use std::io;

use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest message, as in containerd's own code.
const LARGEST: u32 = 4 << 20;
const HEADER: usize = 10;

/// What a frame is; other types are of streams, which nobody here speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Request = 1,
    /// An answer.
    Response = 2,
}

/// Writes one frame, in one piece.
pub async fn write(
    output: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    stream: u32,
    message: &impl Message,
) -> io::Result<()> {
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(HEADER + length);
    let announced = u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    frame.extend_from_slice(&announced.to_be_bytes());
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&[kind as u8, 0]);
    message.encode(&mut frame).expect("a vector grows");
    output.write_all(&frame).await
}

/// Reads the next frame of a kind, those of others left out: its stream, and its message's bytes.
///
/// # Errors
///
/// Also of a frame that is larger than any may be.
pub async fn read(input: &mut (impl AsyncRead + Unpin), wanted: Kind) -> io::Result<(u32, Vec<u8>)> {
    loop {
        let mut header = [0; HEADER];
        input.read_exact(&mut header).await?;
        let [a, b, c, d, e, f, g, h, kind, _flags] = header;
        let length = u32::from_be_bytes([a, b, c, d]);
        if length > LARGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut message = vec![0; length as usize];
        input.read_exact(&mut message).await?;
        if kind == wanted as u8 {
            return Ok((u32::from_be_bytes([e, f, g, h]), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Response;

    #[tokio::test]
    async fn frames_of_another_kind_are_left_out() {
        let (answer, mut wire) = (Response::failed(5, "gone"), Vec::new());
        write(&mut wire, Kind::Request, 1, &answer).await.unwrap();
        write(&mut wire, Kind::Response, 3, &answer).await.unwrap();
        assert_eq!(wire[..HEADER], [0, 0, 0, wire.len() as u8 / 2 - 10, 0, 0, 0, 1, 1, 0]);
        let (stream, message) = read(&mut wire.as_slice(), Kind::Response).await.unwrap();
        assert_eq!((stream, Response::decode(message.as_slice()).unwrap()), (3, answer));
    }

    #[tokio::test]
    async fn a_frame_that_is_too_large_is_refused() {
        let header = [0xff, 0, 0, 0, 0, 0, 0, 1, 1, 0];
        let refused = read(&mut header.as_slice(), Kind::Request).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }
}
