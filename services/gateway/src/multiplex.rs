//! Docker's multiplexed stream: standard output and standard error in one, in frames with a head of eight bytes and a payload.
//!
//! If the process has a terminal, the shim sends raw output, else frames. The client says which of them it reads when it starts an exec,
//! which may be the other one.

use std::borrow::Cow;

const HEAD: usize = 8;
const STDOUT: u8 = 1;

/// What to do with the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Pass it on as it is.
    Unchanged,
    /// Wrap raw output into frames of standard output.
    Multiplexed,
    /// Take the payloads out of the frames.
    Demultiplexed(Demultiplexer),
}

/// Takes the payloads out of a stream that arrives in any pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demultiplexer {
    head: Vec<u8>,
    /// How many bytes of a payload are still to come.
    left: usize,
}

/// A frame of standard output.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![STDOUT, 0, 0, 0];
    frame.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

impl Output {
    /// What to do with the output, by whether the process and the client have terminals.
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
