//! Frames of a WebSocket (RFC 6455, 5): decodes a client's, encodes the gateway's.
//!
//! The decoder treats the client's data as a stream: where messages begin and end, and whether they are text, does not matter. It hands
//! out a frame's payload in the pieces that arrive, so that no client can make it keep a large one.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// The longest payload of a control frame.
const CONTROL_LIMIT: usize = 125;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Bytes for the process.
    Data(Bytes),
    /// A ping, which is answered with these bytes.
    Ping(Bytes),
    /// A close, with a status and a reason.
    Close(Bytes),
}

/// A client breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation;

/// Decodes a client's frames.
#[derive(Debug, Default)]
pub struct Decoder {
    input: BytesMut,
    /// How many bytes of a data frame are still to come.
    left: u64,
    mask: [u8; 4],
    /// How many bytes of the frame are unmasked.
    at: usize,
}

impl Decoder {
    /// Takes received bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next thing that the client sent, once it is complete.
    ///
    /// # Errors
    ///
    /// The client broke the protocol; nothing after that can be decoded.
    pub fn next(&mut self) -> Result<Option<Said>, Violation> {
        loop {
            if self.left > 0 {
                if self.input.is_empty() {
                    return Ok(None);
                }
                let count =
                    usize::try_from(self.left).map_or(self.input.len(), |left| left.min(self.input.len()));
                let bytes = self.unmasked(count);
                self.left -= count as u64;
                return Ok(Some(Said::Data(bytes)));
            }
            let Some((head, opcode, length)) = self.head()? else { return Ok(None) };
            if opcode < CLOSE {
                self.begin(head);
                self.left = length;
                continue;
            }
            let length = usize::try_from(length).map_err(|_| Violation)?;
            if self.input.len() < head + length {
                return Ok(None);
            }
            self.begin(head);
            let payload = self.unmasked(length);
            match opcode {
                CLOSE => return Ok(Some(Said::Close(payload))),
                PING => return Ok(Some(Said::Ping(payload))),
                _ => {}
            }
        }
    }

    /// The length of a frame's head, its kind, and the length of its payload, once the whole head is here.
    fn head(&self) -> Result<Option<(usize, u8, u64)>, Violation> {
        let [first, second, rest @ ..] = &self.input[..] else { return Ok(None) };
        let opcode = first & 0x0f;
        // The reserved bits are for extensions, of which the gateway agrees to none.
        let known = matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) && first & 0x70 == 0;
        if !known || second & MASKED == 0 {
            return Err(Violation);
        }
        let short = second & !MASKED;
        if opcode >= CLOSE && (first & FINAL == 0 || usize::from(short) > CONTROL_LIMIT) {
            return Err(Violation);
        }
        let (extended, length) = match short {
            126 => (2, rest.first_chunk().map(|bytes| u64::from(u16::from_be_bytes(*bytes)))),
            127 => (8, rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))),
            short => (0, Some(u64::from(short))),
        };
        let head = 2 + extended + self.mask.len();
        Ok(length.filter(|_| self.input.len() >= head).map(|length| (head, opcode, length)))
    }

    /// Skips a head.
    fn begin(&mut self, head: usize) {
        let mask = self.mask.len();
        self.mask.copy_from_slice(&self.input[head - mask..head]);
        self.input.advance(head);
        self.at = 0;
    }

    fn unmasked(&mut self, count: usize) -> Bytes {
        let mut bytes = self.input.split_to(count);
        for byte in bytes.iter_mut() {
            *byte ^= self.mask[self.at % 4];
            self.at += 1;
        }
        bytes.freeze()
    }
}

/// A frame with the process's bytes.
pub fn data(bytes: &[u8]) -> Bytes {
    frame(BINARY, bytes)
}

/// The answer to a ping.
pub fn pong(payload: &[u8]) -> Bytes {
    frame(PONG, payload)
}

/// A close, with a status.
pub fn close(status: u16) -> Bytes {
    frame(CLOSE, &status.to_be_bytes())
}

fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(10 + payload.len());
    frame.put_u8(FINAL | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..126), _) => frame.put_u8(short),
        (_, Ok(length)) => {
            frame.put_u8(126);
            frame.put_u16(length);
        }
        _ => {
            frame.put_u8(127);
            frame.put_u64(payload.len() as u64);
        }
    }
    frame.put_slice(payload);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = frame(first & 0x0f, payload).to_vec();
        bytes[0] = first;
        bytes[1] |= MASKED;
        let head = bytes.len() - payload.len();
        let mask = [1, 2, 3, 4];
        bytes.splice(head..head, mask);
        bytes[head + 4..].iter_mut().enumerate().for_each(|(at, byte)| *byte ^= mask[at % 4]);
        bytes
    }

    fn said(sent: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<Said>), Violation> {
        let (mut decoder, mut data, mut rest) = (Decoder::default(), Vec::new(), Vec::new());
        for bytes in sent.chunks(piece) {
            decoder.feed(bytes);
            while let Some(said) = decoder.next()? {
                match said {
                    Said::Data(bytes) => data.extend_from_slice(&bytes),
                    other => rest.push(other),
                }
            }
        }
        Ok((data, rest))
    }

    #[test]
    fn frames_of_every_length_come_in_any_pieces() {
        let long: Vec<u8> = (0..70_000_u32).map(|at| at as u8).collect();
        let sent = [
            masked(TEXT, b"be"),
            masked(FINAL | CONTINUATION, b"gin"),
            masked(FINAL | PING, b"?"),
            masked(FINAL | BINARY, &long[..300]),
            masked(FINAL | BINARY, b""),
            masked(FINAL | PONG, b"unasked"),
            masked(FINAL | BINARY, &long),
            masked(FINAL | CLOSE, &[3, 232]),
        ]
        .concat();
        let expected = [b"begin", &long[..300], &long].concat();
        for piece in [1, 5, 4096, sent.len()] {
            let (data, rest) = said(&sent, piece).expect("valid");
            assert!(data == expected, "in pieces of {piece}");
            assert_eq!(
                rest,
                [Said::Ping(Bytes::from_static(b"?")), Said::Close(Bytes::from_static(&[3, 232]))]
            );
        }
    }

    #[test]
    fn what_no_client_may_send_is_refused() {
        let rows: [&[u8]; 5] = [
            b"\x82\x01x",
            b"\x83\x80\0\0\0\0",
            b"\xc2\x80\0\0\0\0",
            b"\x08\x80\0\0\0\0",
            b"\x89\xfe\0\x7e\0\0\0\0",
        ];
        for bytes in rows {
            assert_eq!(said(bytes, 100), Err(Violation), "{bytes:?}");
        }
    }

    #[test]
    fn our_frames_have_the_shortest_length() {
        assert_eq!(&data(b"hi")[..], b"\x82\x02hi");
        assert_eq!(data(&[0; 126])[..4], [0x82, 126, 0, 126]);
        assert_eq!(data(&[0; 65_536])[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(&close(1000)[..], b"\x88\x02\x03\xe8");
        assert_eq!(&pong(b"")[..], b"\x8a\0");
    }
}
