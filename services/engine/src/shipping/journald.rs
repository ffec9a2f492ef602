//! `journald`: the journal's native protocol, in which one datagram has the fields of one entry.

use super::receiver::Address;
use super::remote::{Messages, Protocol, Remote, Remotely};
use super::{Entry, Facts};
use crate::error::Result;
use crate::logs::driver::{ATTRIBUTES, Options, known};

/// The journal's socket.
const SOCKET: &str = "/run/systemd/journal/socket";

/// The driver.
#[derive(Debug)]
pub struct Journald;

impl Remotely for Journald {
    type Protocol = Spoken;

    const NAME: &'static str = "journald";

    fn remote(options: &Options) -> Result<Remote<Spoken>> {
        known(options, &[&ATTRIBUTES], |key| format!("unknown log opt '{key}' for journald log driver"))?;
        Ok(Remote::new(Spoken { epoch: crate::names::new_id() }, Address::UnixDatagrams(SOCKET.into())))
    }
}

/// The protocol with its settings.
#[derive(Debug)]
pub struct Spoken {
    /// Identifies this run of the sender.
    epoch: String,
}

impl Protocol for Spoken {
    fn messages(&self, entry: &Entry, facts: &Facts, ordinal: u64) -> Messages {
        Messages::from(datagram(entry, facts, &self.epoch, ordinal))
    }

    fn away(&self, _why: String) -> String {
        "journald is not enabled on this host".to_owned()
    }
}

/// Encodes an entry. `epoch` identifies the run of the sender, within which `ordinal` numbers the entries.
fn datagram(entry: &Entry, facts: &Facts, epoch: &str, ordinal: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |key: &str, value: &str| field(&mut bytes, key, value);
    put("PRIORITY", if entry.error { "3" } else { "6" });
    put("MESSAGE", &entry.text);
    for (key, value) in &facts.extra {
        let key = name(key);
        if !key.is_empty() {
            put(&key, value);
        }
    }
    put("CONTAINER_ID", facts.short_id());
    put("CONTAINER_ID_FULL", &facts.id);
    put("CONTAINER_NAME", &facts.name);
    put("CONTAINER_TAG", &facts.tag);
    put("IMAGE_NAME", &facts.image_name);
    put("SYSLOG_IDENTIFIER", &facts.tag);
    put("SYSLOG_TIMESTAMP", &entry.time);
    put("CONTAINER_LOG_EPOCH", epoch);
    put("CONTAINER_LOG_ORDINAL", &ordinal.to_string());
    if let Some(piece) = &entry.piece {
        put("CONTAINER_PARTIAL_ID", &piece.id);
        put("CONTAINER_PARTIAL_ORDINAL", &piece.ordinal.to_string());
        put("CONTAINER_PARTIAL_LAST", &piece.last.to_string());
        if !piece.last {
            put("CONTAINER_PARTIAL_MESSAGE", "true");
        }
    }
    bytes
}

/// Appends a field; a value with newlines is preceded by its length.
fn field(bytes: &mut Vec<u8>, key: &str, value: &str) {
    bytes.extend_from_slice(key.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

/// Makes a valid field name: capital letters, digits and underscores, not beginning with an underscore.
fn name(key: &str) -> String {
    let upper = key.to_uppercase();
    let allowed = |character: char| match character {
        'A'..='Z' | '0'..='9' => character,
        _ => '_',
    };
    let name: String = upper.chars().map(allowed).collect();
    name.trim_start_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_what_the_journal_takes() {
        assert_eq!(name("a.b-c"), "A_B_C");
        assert_eq!(name("_x"), "X");
        let mut bytes = Vec::new();
        field(&mut bytes, "K", "a\nb");
        assert_eq!(bytes, b"K\n\x03\0\0\0\0\0\0\0a\nb\n");
    }
}
