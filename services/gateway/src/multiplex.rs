//! Docker's multiplexed stream: output and errors in one, in frames of eight bytes and a payload.
//!
//! The process decides what the shim sends: a terminal's output is raw. The client decides what it reads, by what it
//! said at the start of an exec, which need not be what was said when that was made.

use std::borrow::Cow;

const HEAD: usize = 8;
const STDOUT: u8 = 1;

/// What is to be done with output on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// It is passed on as it is.
    Unchanged,
    /// Raw output becomes frames of the standard output.
    Multiplexed,
    /// Frames become their payload.
    Demultiplexed(Demultiplexer),
}

/// Takes the frames off a stream that comes in any pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demultiplexer {
    head: Vec<u8>,
    /// What is left of a payload.
    left: usize,
}

/// A frame of the standard output.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![STDOUT, 0, 0, 0];
    frame.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

impl Output {
    /// What a client on a terminal (or not) is to be sent of a process on a terminal (or not).
    pub fn between(process_has_terminal: bool, client_has_terminal: bool) -> Self {
        match (process_has_terminal, client_has_terminal) {
            (true, false) => Self::Multiplexed,
            (false, true) => Self::Demultiplexed(Demultiplexer::default()),
            (true, true) | (false, false) => Self::Unchanged,
        }
    }

    /// The next part of the output as the client reads it.
    pub fn apply<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Self::Unchanged => Cow::Borrowed(bytes),
            Self::Multiplexed => Cow::Owned(frame(bytes)),
            Self::Demultiplexed(frames) => Cow::Owned(frames.payload(bytes)),
        }
    }
}

impl Demultiplexer {
    /// The payload of the next part of the stream.
    pub fn payload(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() {
            if self.left > 0 {
                let (now, later) = bytes.split_at(self.left.min(bytes.len()));
                payload.extend_from_slice(now);
                self.left -= now.len();
                bytes = later;
                continue;
            }
            let (now, later) = bytes.split_at((HEAD - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(now);
            bytes = later;
            if let Ok(head) = <[u8; HEAD]>::try_from(self.head.as_slice()) {
                self.left = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
                self.head.clear();
            }
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_made_and_taken_off_wherever_they_are_cut() {
        let mut multiplexed = Vec::new();
        let mut output = Output::between(true, false);
        for part in [&b"one"[..], b"", b"two and three"] {
            multiplexed.extend_from_slice(&output.apply(part));
        }
        assert_eq!(&multiplexed[..11], b"\x01\0\0\0\0\0\0\x03one");
        for cut in 1..multiplexed.len() {
            let mut output = Output::between(false, true);
            let bare: Vec<u8> =
                multiplexed.chunks(cut).flat_map(|part| output.apply(part).into_owned()).collect();
            assert_eq!(bare, b"onetwo and three", "cut at {cut}");
        }
        assert_eq!(&*Output::between(false, false).apply(b"as it is"), b"as it is");
    }
}
