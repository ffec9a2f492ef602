//! The object of a call: a field of its first message, read as the message passes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

/// How many bytes of a request are kept; the names come first in a message.
const LIMIT: usize = 4 << 10;
/// The header of a gRPC message: a flag for compression, and the length.
const HEAD: usize = 5;
/// The longest name that is recorded, in bytes.
const LONGEST: usize = 512;

/// The beginning of a request, as far as it has passed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Object(Arc<Mutex<Vec<u8>>>);

impl Object {
    fn see(&self, piece: &[u8]) {
        let mut seen = self.0.lock();
        let room = LIMIT - seen.len();
        seen.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The text of the field at these tags, if the message has it.
    pub(super) fn of(&self, tags: &[u32]) -> Option<String> {
        let seen = self.0.lock();
        let (&compressed, message) = (seen.first()?, seen.get(HEAD..)?);
        if compressed != 0 || tags.is_empty() {
            return None;
        }
        let field = tags.iter().try_fold(message, |message, tag| field(message, *tag))?;
        let text: String = String::from_utf8_lossy(field).chars().take(LONGEST).collect();
        Some(text).filter(|text| !text.is_empty())
    }
}

/// The bytes of a message's field, as far as they were kept.
fn field(mut message: &[u8], wanted: u32) -> Option<&[u8]> {
    loop {
        let key = number(&mut message)?;
        let length = match key & 7 {
            0 => {
                number(&mut message)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(number(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, rest) = match message.split_at_checked(length) {
            Some(parts) => parts,
            None => (message, &[][..]),
        };
        if key >> 3 == u64::from(wanted) && key & 7 == 2 {
            return Some(value);
        }
        message = rest;
    }
}

/// Reads a varint.
fn number(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// A request's body whose beginning is kept.
pub(super) struct Seen<B> {
    body: B,
    object: Object,
}

impl<B> Seen<B> {
    pub(super) fn new(body: B, object: Object) -> Self {
        Self { body, object }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Seen<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(piece) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.object.see(piece);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use gantry_proto::gantry::engine::v1::{CreateRequest, RemoveRequest};
    use prost::Message;

    use super::*;

    fn object(message: &impl Message, pieces: usize) -> Object {
        let length = u32::try_from(message.encoded_len()).expect("short").to_be_bytes();
        let bytes = [&[0], &length[..], &message.encode_to_vec()].concat();
        let object = Object::default();
        bytes.chunks(pieces).for_each(|piece| object.see(piece));
        object
    }

    #[test]
    fn the_object_is_found_however_it_comes() {
        let remove = RemoveRequest { force: true, container: "web".to_owned(), ..RemoveRequest::default() };
        for pieces in [1, 7, 1000] {
            assert_eq!(object(&remove, pieces).of(&[1]).as_deref(), Some("web"));
        }
        assert_eq!(object(&remove, 9).of(&[9]), None, "no such field");
        assert_eq!(object(&RemoveRequest::default(), 9).of(&[1]), None, "not set");
        assert_eq!(Object::default().of(&[1]), None, "nothing came");
    }

    #[test]
    fn much_is_not_kept_and_odd_bytes_do_no_harm() {
        let long = CreateRequest { name: "x".repeat(100_000), ..CreateRequest::default() };
        let object = object(&long, 5000);
        assert_eq!(object.0.lock().len(), LIMIT);
        for byte in 0..=255 {
            let odd = Object::default();
            odd.see(&[&[0, 0, 0, 0, 9][..], &[byte; 9]].concat());
            odd.of(&[1, 2]);
        }
    }
}
