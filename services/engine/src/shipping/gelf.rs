//! GELF 1.1: a JSON object for each line, compressed and in pieces over UDP, ended by a zero byte over TCP.

use std::io::Write;

use flate2::Compression;
use serde_json::Value;

use super::{Entry, Facts};

/// Bytes of a datagram.
const DATAGRAM: usize = 1420;
/// What stands before each piece: two magic bytes, the message's id, number and count.
const HEAD: usize = 12;
/// Pieces of one message.
const MOST_PIECES: usize = 128;

/// How a datagram's message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip(Compression),
    Zlib(Compression),
}

/// The JSON of an entry; none for an empty line, which GELF has no message for.
pub fn json(entry: &Entry, facts: &Facts) -> Option<String> {
    if entry.text.is_empty() {
        return None;
    }
    let quoted = |text: &str| escaped(&Value::from(text).to_string());
    let mut all: std::collections::BTreeMap<String, &str> =
        facts.extra.iter().map(|(key, value)| (format!("_{key}"), value.as_str())).collect();
    all.extend([
        ("_container_id".to_owned(), facts.id.as_str()),
        ("_container_name".to_owned(), &facts.name),
        ("_image_id".to_owned(), &facts.image_id),
        ("_image_name".to_owned(), &facts.image_name),
        ("_command".to_owned(), &facts.command),
        ("_created".to_owned(), &facts.created),
        ("_tag".to_owned(), &facts.tag),
    ]);
    let level = if entry.error { 3 } else { 6 };
    let time = (entry.nanos() / 1_000_000) as f64 / 1000.0;
    let mut text = format!(
        "{{\"version\":\"1.1\",\"host\":{},\"short_message\":{},\"timestamp\":{time},\"level\":{level}",
        quoted(&facts.hostname),
        quoted(&entry.text),
    );
    for (key, value) in all {
        text += &format!(",{}:{}", quoted(&key), quoted(value));
    }
    text.push('}');
    Some(text)
}

/// As Go writes strings: fit for a web page.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => out += "\\u003c",
            '>' => out += "\\u003e",
            '&' => out += "\\u0026",
            '\u{2028}' => out += "\\u2028",
            '\u{2029}' => out += "\\u2029",
            other => out.push(other),
        }
    }
    out
}

/// The datagrams of a message; none at all where it is too long for the protocol.
pub fn datagrams(json: &str, packing: Packing) -> Vec<Vec<u8>> {
    let packed = match packing {
        Packing::None => json.as_bytes().to_vec(),
        Packing::Gzip(level) => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(json.as_bytes()).and_then(|()| encoder.finish()).expect("in memory")
        }
        Packing::Zlib(level) => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(json.as_bytes()).and_then(|()| encoder.finish()).expect("in memory")
        }
    };
    if packed.len() <= DATAGRAM {
        return vec![packed];
    }
    let pieces: Vec<&[u8]> = packed.chunks(DATAGRAM - HEAD).collect();
    if pieces.len() > MOST_PIECES {
        return Vec::new();
    }
    let (id, count) = (rand::random::<[u8; 8]>(), pieces.len() as u8);
    let piece =
        |(number, bytes): (usize, &&[u8])| [&[0x1e, 0x0f], &id[..], &[number as u8, count], bytes].concat();
    pieces.iter().enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_go_in_pieces() {
        let text = "x".repeat(3000);
        let pieces = datagrams(&text, Packing::None);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.starts_with(&[0x1e, 0x0f]) && piece.len() <= DATAGRAM));
        let numbers: Vec<_> = pieces.iter().map(|piece| (piece[10], piece[11])).collect();
        assert_eq!(numbers, [(0, 3), (1, 3), (2, 3)]);
        assert_eq!(pieces.iter().flat_map(|piece| &piece[HEAD..]).count(), 3000);
        assert!(datagrams(&"x".repeat(200_000), Packing::None).is_empty());
    }
}
