//! Detach keys: a user types them to leave a terminal while the process goes on.

use gantry_api::engine::containers::{Inspect as _, Sizes};

use crate::error::Error;
use crate::peers::Peers;

/// `ctrl-p,ctrl-q`.
const DEFAULT: [u8; 2] = [16, 17];

/// Looks for the sequence in what the user types.
///
/// It holds bytes back as long as they may be the beginning of the sequence.
#[derive(Debug, Clone)]
pub struct Keys {
    sequence: Vec<u8>,
    matched: usize,
}

/// What to do with some input.
#[derive(Debug, PartialEq, Eq)]
pub enum Scanned {
    /// Pass it on.
    Pass(Vec<u8>),
    /// Pass it on; then the user leaves.
    Detach(Vec<u8>),
}

impl Keys {
    /// Reads the `detachKeys` parameter: single characters and `ctrl-x`, comma separated. Empty is the default.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self { sequence: DEFAULT.to_vec(), matched: 0 });
        }
        let mut sequence = Vec::new();
        for key in text.split(',') {
            sequence.push(
                key_code(key).ok_or_else(|| Error::bad(format!("Invalid detach keys ({text}) provided")))?,
            );
        }
        Ok(Self { sequence, matched: 0 })
    }

    /// The sequence.
    pub fn sequence(&self) -> &[u8] {
        &self.sequence
    }

    /// Takes typed bytes.
    pub fn scan(&mut self, input: &[u8]) -> Scanned {
        let mut out = Vec::with_capacity(input.len());
        for &byte in input {
            if self.sequence.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == self.sequence.len() {
                    self.matched = 0;
                    return Scanned::Detach(out);
                }
                continue;
            }
            out.extend_from_slice(&self.sequence[..self.matched]);
            self.matched = 0;
            if self.sequence.first() == Some(&byte) {
                self.matched = 1;
            } else {
                out.push(byte);
            }
        }
        Scanned::Pass(out)
    }
}

/// Tells the event log that a user has detached from a container, or from an exec in it.
pub async fn publish(peers: &Peers, container: &str, exec: Option<&str>) {
    // If the container is gone by now, there is no event.
    let Ok(found) = peers.containers().container(container, Sizes::Untold).await else { return };
    let config = found.config;
    let facts = [("image".to_owned(), config.image), ("name".to_owned(), found.name)];
    let exec = exec.map(|id| ("execID".to_owned(), id.to_owned()));
    let action = if exec.is_some() { "exec_detach" } else { "detach" };
    let attributes = config.labels.into_iter().chain(facts).chain(exec);
    peers.publish("container", action, &found.id, attributes).await;
}

fn key_code(key: &str) -> Option<u8> {
    if let Some(letter) = key.strip_prefix("ctrl-") {
        return match letter.as_bytes() {
            [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
            b"@" => Some(0),
            b"[" => Some(27),
            b"\\" => Some(28),
            b"]" => Some(29),
            b"^" => Some(30),
            b"_" => Some(31),
            _ => None,
        };
    }
    match key.as_bytes() {
        [byte] => Some(*byte),
        _ if key.eq_ignore_ascii_case("DEL") => Some(127),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_sequence_detaches() {
        let mut keys = Keys::parse("").expect("default");
        assert_eq!(keys.scan(b"ls\x10\x11rest"), Scanned::Detach(b"ls".to_vec()));
    }

    #[test]
    fn a_broken_sequence_is_passed_on() {
        let mut keys = Keys::parse("").expect("default");
        assert_eq!(keys.scan(b"a\x10"), Scanned::Pass(b"a".to_vec()));
        assert_eq!(keys.scan(b"b"), Scanned::Pass(b"\x10b".to_vec()));
        assert_eq!(keys.scan(b"\x10\x10\x11"), Scanned::Detach(b"\x10".to_vec()));
    }

    #[test]
    fn it_may_come_in_pieces() {
        let mut keys = Keys::parse("ctrl-a,d").expect("keys");
        assert_eq!(keys.scan(b"\x01"), Scanned::Pass(vec![]));
        assert_eq!(keys.scan(b"d"), Scanned::Detach(vec![]));
    }

    #[test]
    fn names_of_keys() {
        for (text, sequence) in
            [("ctrl-@", vec![0]), ("ctrl-[,x", vec![27, b'x']), ("ctrl-_", vec![31]), ("DEL", vec![127])]
        {
            assert_eq!(Keys::parse(text).expect(text).sequence, sequence);
        }
        for text in ["ctrl-", "ctrl-A1", "nope", "a,,b"] {
            assert_eq!(Keys::parse(text).expect_err(text).status().as_u16(), 400);
        }
    }
}
