//! Replaces an invalid `:authority` of a client.
//!
//! On a unix socket the authority of a request has no meaning, and clients send different values. Clients built on
//! gRPC's C core send the socket's path, percent-encoded, which is not an authority by RFC 3986, so that the HTTP
//! library refuses the whole connection. This module replaces such a value in the bytes, before the library reads
//! them.
//!
//! ```text
//! PRI * HTTP/2.0…  SETTINGS  HEADERS{… 41 len %2Frun%2F… …}   ->   HEADERS{… 41 09 localhost …}
//! ```
//!
//! The value is a literal in the compressed header (RFC 7541), which both sides also add to their tables. The
//! replacement is never longer than the value. So the reader's table never drops an entry that the writer's table
//! still has, every index means the same to both, and this module keeps no table.
//!
//! A connection whose first request has a valid authority passes unread from then on.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// The preface of an HTTP/2 client (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A frame's head: length, type, flags, stream.
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// The longest frame that the server allows.
const FRAME_LIMIT: usize = 64 << 10;
/// `:authority` in the static table.
const AUTHORITY: usize = 1;
/// The name `:authority` as text, as the C core sends it, and Huffman-coded.
const NAMES: [(&[u8], bool); 2] = [(b":authority", false), (b"\xb8\x3b\x53\x39\xec\x32\x7d\x7f", true)];
/// The replacement, after its length.
const REPLACEMENT: &[u8] = b"\x09localhost";

/// A connection whose client may send any authority.
#[derive(Debug)]
pub struct Tolerant<S> {
    stream: S,
    mode: Mode,
    /// Bytes that were read and not examined.
    input: BytesMut,
    /// Bytes that were examined.
    output: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The preface was not read completely.
    Preface,
    /// At a frame's header, or `rest` bytes before one.
    Frames { rest: usize, seen: bool },
    /// Nothing needs to be replaced any more.
    Passing,
}

impl<S> Tolerant<S> {
    /// Wraps a connection from which nothing was read.
    pub fn new(stream: S) -> Self {
        Self { stream, mode: Mode::Preface, input: BytesMut::new(), output: BytesMut::new() }
    }

    /// Examines the input as far as possible.
    fn advance(&mut self) {
        loop {
            match self.mode {
                Mode::Preface if self.input.len() < PREFACE.len() && PREFACE.starts_with(&self.input) => {
                    return;
                }
                Mode::Preface if self.input.starts_with(PREFACE) => {
                    self.mode = Mode::Frames { rest: PREFACE.len(), seen: false };
                }
                Mode::Preface => self.mode = Mode::Passing,
                Mode::Frames { rest: 0, .. } if self.input.len() < FRAME_HEAD => return,
                Mode::Frames { rest: 0, seen } => {
                    let length = usize::from(self.input[0]) << 16
                        | usize::from(self.input[1]) << 8
                        | usize::from(self.input[2]);
                    if self.input[3] != HEADERS {
                        self.mode = Mode::Frames { rest: FRAME_HEAD + length, seen };
                        continue;
                    }
                    if length > FRAME_LIMIT {
                        self.mode = Mode::Passing;
                        continue;
                    }
                    if self.input.len() < FRAME_HEAD + length {
                        return;
                    }
                    let frame = self.input.split_to(FRAME_HEAD + length);
                    match corrected(&frame) {
                        Some(corrected) => {
                            self.output.extend_from_slice(&corrected);
                            self.mode = Mode::Frames { rest: 0, seen: true };
                        }
                        None => {
                            self.output.extend_from_slice(&frame);
                            self.mode = if seen { self.mode } else { Mode::Passing };
                        }
                    }
                }
                Mode::Frames { rest, seen } => {
                    if self.input.is_empty() {
                        return;
                    }
                    let passed = self.input.split_to(rest.min(self.input.len()));
                    self.output.extend_from_slice(&passed);
                    self.mode = Mode::Frames { rest: rest - passed.len(), seen };
                }
                Mode::Passing => {
                    let rest = self.input.split();
                    self.output.unsplit(rest);
                    return;
                }
            }
        }
    }
}

/// The HEADERS frame with the authority replaced; `None` if it needs no replacement. The library handles an invalid
/// frame.
fn corrected(frame: &[u8]) -> Option<Vec<u8>> {
    let flags = frame[4];
    let mut start = FRAME_HEAD + usize::from(flags & PADDED != 0);
    start += if flags & PRIORITY != 0 { 5 } else { 0 };
    let value = authority(frame, start)?;
    let mut corrected = frame[..value.start].to_vec();
    corrected.extend_from_slice(REPLACEMENT);
    corrected.extend_from_slice(&frame[value.end..]);
    let length = u32::try_from(corrected.len() - FRAME_HEAD).ok()?;
    corrected[..3].copy_from_slice(&length.to_be_bytes()[1..]);
    Some(corrected)
}

/// The range of a literal authority that has to be replaced, with its length, in a header block.
fn authority(frame: &[u8], start: usize) -> Option<std::ops::Range<usize>> {
    let mut at = start;
    loop {
        let first = *frame.get(at)?;
        let prefix = match first {
            // An indexed field: no literal.
            0x80.. => {
                number(frame, &mut at, 7)?;
                continue;
            }
            // An update of the table's size.
            0x20..0x40 => {
                number(frame, &mut at, 5)?;
                continue;
            }
            0x40..0x80 => 6,
            _ => 4,
        };
        let is_authority = match number(frame, &mut at, prefix)? {
            0 => NAMES.contains(&text(frame, &mut at)?),
            index => index == AUTHORITY,
        };
        let begin = at;
        let (value, compressed) = text(frame, &mut at)?;
        if is_authority {
            // A compressed value may be anything; a value shorter than the replacement is no path.
            let odd = value.len() >= REPLACEMENT.len() - 1 && (compressed || value.contains(&b'%'));
            return odd.then_some(begin..at);
        }
    }
}

/// Reads an integer (RFC 7541, 5.1).
fn number(bytes: &[u8], at: &mut usize, prefix: u32) -> Option<usize> {
    let most = (1_usize << prefix) - 1;
    let mut value = usize::from(*bytes.get(*at)?) & most;
    *at += 1;
    if value < most {
        return Some(value);
    }
    for shift in (0..28).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads a string as it is sent, and whether it is compressed (RFC 7541, 5.2).
fn text<'a>(bytes: &'a [u8], at: &mut usize) -> Option<(&'a [u8], bool)> {
    let compressed = *bytes.get(*at)? & 0x80 != 0;
    let length = number(bytes, at, 7)?;
    let text = bytes.get(*at..at.checked_add(length)?)?;
    *at += length;
    Some((text, compressed))
}

impl<S: AsyncRead + Unpin> AsyncRead for Tolerant<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.output.is_empty() {
                let count = this.output.len().min(buffer.remaining());
                buffer.put_slice(&this.output[..count]);
                this.output.advance(count);
                return Poll::Ready(Ok(()));
            }
            if this.mode == Mode::Passing && this.input.is_empty() {
                return Pin::new(&mut this.stream).poll_read(cx, buffer);
            }
            let mut chunk = [0; 4 << 10];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            match read.filled() {
                // The end of the input: the bytes that are held back are the last ones.
                [] => this.mode = Mode::Passing,
                bytes => this.input.extend_from_slice(bytes),
            }
            this.advance();
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tolerant<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: Connected> Connected for Tolerant<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(payload.len()).expect("short").to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
        frame.extend_from_slice(payload);
        frame
    }

    /// `:method POST`, `:scheme http`, the authority, `:path /`.
    fn block(authority: &[u8]) -> Vec<u8> {
        let length = u8::try_from(authority.len()).expect("short");
        [&[0x83, 0x86, 0x41, length], authority, &[0x84]].concat()
    }

    /// The bytes that arrive when `sent` comes in pieces of `piece` bytes.
    async fn arrives(sent: &[u8], piece: usize) -> Vec<u8> {
        let (mut client, server) = tokio::io::duplex(64 << 10);
        let sent = sent.to_vec();
        let sending = tokio::spawn(async move {
            for bytes in sent.chunks(piece) {
                client.write_all(bytes).await.expect("sent");
                tokio::task::yield_now().await;
            }
        });
        let mut arrived = Vec::new();
        Tolerant::new(server).read_to_end(&mut arrived).await.expect("read");
        sending.await.expect("no panic");
        arrived
    }

    #[tokio::test]
    async fn a_path_becomes_an_authority_however_it_comes() {
        let settings = frame(4, 0, &[0; 6]);
        let data = frame(0, 1, &[7; 100]);
        let sent = |value: &[u8]| {
            let headers = frame(HEADERS, 4, &block(value));
            let padded = frame(
                HEADERS,
                4 | PADDED | PRIORITY,
                &[&[2, 0, 0, 0, 0, 9], &block(value)[..], &[0; 2]].concat(),
            );
            [PREFACE, &settings, &headers, &data, &padded, &data].concat()
        };
        for piece in [1, 7, 100_000] {
            assert_eq!(arrives(&sent(b"%2Frun%2Fa.sock"), piece).await, sent(b"localhost"), "{piece}");
        }
    }

    #[tokio::test]
    async fn a_name_may_be_written_out() {
        for name in [&b"\x0a:authority"[..], b"\x88\xb8\x3b\x53\x39\xec\x32\x7d\x7f"] {
            let sent = |value: &[u8]| {
                let value = [&[u8::try_from(value.len()).expect("short")], value].concat();
                let block = [b"\x83\x40", name, &value, b"\x00\x01a\x01b\x84"].concat();
                [PREFACE, &frame(HEADERS, 4, &block)].concat()
            };
            assert_eq!(arrives(&sent(b"%2Frun%2Fa.sock"), 100_000).await, sent(b"localhost"));
        }
    }

    #[tokio::test]
    async fn everything_else_stays_as_it_is() {
        let headers = |block: &[u8]| [PREFACE, &frame(HEADERS, 4, block)].concat();
        let rows = [
            headers(&block(b"localhost")),
            headers(&block(b"a.very.long.name.of.a.host:1234")),
            headers(&block(b"%")),
            // Without an authority; with one that is cut off; with an integer without an end.
            headers(&[0x83, 0x86, 0x84]),
            headers(&[0x83, 0x41, 0x7e, b'%']),
            headers(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            [PREFACE, &[0xff; 100]].concat(),
            PREFACE[..10].to_vec(),
            b"GET /metrics HTTP/1.1\r\n\r\n".to_vec(),
            Vec::new(),
        ];
        for sent in rows {
            for piece in [1, 100_000] {
                assert_eq!(arrives(&sent, piece).await, sent);
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_needs_nothing_is_left_alone() {
        let odd = frame(HEADERS, 4, &block(b"%2Frun%2Fa.sock"));
        let sent = [PREFACE, &frame(HEADERS, 4, &block(b"localhost")), &odd].concat();
        assert_eq!(arrives(&sent, 100_000).await, sent);
    }
}
