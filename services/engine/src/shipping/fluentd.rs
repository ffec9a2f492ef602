//! Fluentd's forward protocol: each line is `[tag, time, record, options]` in MessagePack.

use base64::Engine;

use super::{Entry, Facts};

/// What an entry becomes, and the acknowledgement that it asks for.
pub struct Event {
    pub bytes: Vec<u8>,
    pub chunk: Option<String>,
}

/// Encodes an entry.
pub fn event(entry: &Entry, facts: &Facts, sub_second: bool, acknowledged: bool) -> Event {
    let mut bytes = vec![0x94];
    text(&mut bytes, &facts.tag);
    let nanos = entry.nanos();
    let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    if sub_second {
        bytes.extend_from_slice(&[0xd7, 0]);
        bytes.extend_from_slice(&u32::try_from(seconds).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(rest).unwrap_or(0).to_be_bytes());
    } else {
        match i32::try_from(seconds) {
            Ok(seconds) => {
                bytes.push(0xd2);
                bytes.extend_from_slice(&seconds.to_be_bytes());
            }
            Err(_) => {
                bytes.push(0xd3);
                bytes.extend_from_slice(&seconds.to_be_bytes());
            }
        }
    }
    let name = format!("/{}", facts.name);
    let mut record: std::collections::BTreeMap<&str, String> =
        facts.extra.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    record.extend([
        ("container_id", facts.id.clone()),
        ("container_name", name),
        ("source", if entry.error { "stderr" } else { "stdout" }.to_owned()),
        ("log", entry.text.clone()),
    ]);
    if let Some(piece) = &entry.piece {
        record.extend([
            ("partial_message", "true".to_owned()),
            ("partial_id", piece.id.clone()),
            ("partial_ordinal", piece.ordinal.to_string()),
            ("partial_last", piece.last.to_string()),
        ]);
    }
    map(&mut bytes, record.len());
    for (key, value) in &record {
        text(&mut bytes, key);
        text(&mut bytes, value);
    }
    let chunk =
        acknowledged.then(|| base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 16]>()));
    map(&mut bytes, usize::from(chunk.is_some()));
    if let Some(chunk) = &chunk {
        text(&mut bytes, "chunk");
        text(&mut bytes, chunk);
    }
    Event { bytes, chunk }
}

/// The answer that acknowledges a chunk.
pub fn acknowledgement(chunk: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    map(&mut bytes, 1);
    text(&mut bytes, "ack");
    text(&mut bytes, chunk);
    bytes
}

fn map(bytes: &mut Vec<u8>, entries: usize) {
    match u8::try_from(entries) {
        Ok(few @ 0..=15) => bytes.push(0x80 | few),
        _ => {
            bytes.push(0xde);
            bytes.extend_from_slice(&u16::try_from(entries).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    let length = text.len();
    match length {
        0..=31 => bytes.push(0xa0 | length as u8),
        32..=0xff => bytes.extend_from_slice(&[0xd9, length as u8]),
        0x100..=0xffff => {
            bytes.push(0xda);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0xdb);
            bytes.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    bytes.extend_from_slice(text.as_bytes());
}
