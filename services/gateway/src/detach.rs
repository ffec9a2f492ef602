//! Detach keys: the sequence by which a user leaves a terminal and lets the process run on.

use gantry_proto::gantry::engine::v1 as engine;

use crate::error::Error;
use crate::peers::Peers;

/// `ctrl-p,ctrl-q`.
const DEFAULT: [u8; 2] = [16, 17];

/// Looks for the sequence in what the user types.
///
/// Bytes that begin the sequence are kept back until it is known whether they do.
#[derive(Debug, Clone)]
pub struct Keys {
    sequence: Vec<u8>,
    matched: usize,
}

/// What became of some input.
#[derive(Debug, PartialEq, Eq)]
pub enum Scanned {
    /// To be passed on.
    Pass(Vec<u8>),
    /// To be passed on; then the user leaves.
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

    /// The bytes that are looked for.
    pub fn sequence(&self) -> &[u8] {
        &self.sequence
    }

    /// Takes what was typed.
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

/// Tells the event log that a user has left a container, and the exec if it was one.
pub async fn publish(peers: &Peers, container: &str, exec: Option<&str>) {
    let request = engine::GetRequest { container: container.to_owned(), size: false };
    // A container that has gone meanwhile has nobody to tell of.
    let Ok(found) = peers.containers().get(request).await else { return };
    let found = found.into_inner();
    let config = found.config.unwrap_or_default();
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
