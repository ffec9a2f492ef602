//! `gelf`: GELF 1.1, a JSON object for each line. Over UDP it is compressed and chunked; over TCP a zero byte ends
//! it.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use serde_json::Value;

use super::options::invalid;
use super::receiver::Address;
use super::remote::{Messages, Protocol, Remote, Remotely};
use super::sender::Persistence;
use super::{Entry, Facts};
use crate::error::Result;
use crate::logs::driver::{ATTRIBUTES, Options, known};

const OPTIONS: [&str; 5] = [
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
];

/// Bytes per datagram.
const DATAGRAM: usize = 1420;
/// Bytes before each chunk: two magic bytes, the message's id, the chunk's number and the count.
const HEAD: usize = 12;
/// Most chunks of a message.
const MOST_PIECES: usize = 128;

/// The driver.
#[derive(Debug)]
pub struct Gelf;

impl Remotely for Gelf {
    type Protocol = Spoken;

    const NAME: &'static str = "gelf";

    fn remote(options: &Options) -> Result<Remote<Spoken>> {
        known(options, &[&OPTIONS, &ATTRIBUTES], |key| {
            format!("unknown log opt {key:?} for gelf log driver")
        })?;
        let option = |key: &str| options.get(key).map(String::as_str);
        let Some(address) = option("gelf-address").filter(|address| !address.is_empty()) else {
            return Err(invalid("gelf-address is a required parameter"));
        };
        let (scheme, host) = address.split_once("://").unwrap_or(("", address));
        if !matches!(scheme, "udp" | "tcp") {
            return Err(invalid("gelf: endpoint needs to be TCP or UDP"));
        }
        if host.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(invalid("gelf: please provide gelf-address as proto://host:port"));
        }
        let packed = ["gelf-compression-level", "gelf-compression-type"];
        if scheme == "tcp" && packed.iter().any(|key| options.contains_key(*key)) {
            return Err(invalid("compression is only supported on UDP"));
        }
        let mut counts = [3, 1];
        for (key, count) in
            ["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"].into_iter().zip(&mut counts)
        {
            let Some(text) = option(key) else { continue };
            if scheme == "udp" {
                return Err(invalid(format!("{key:?} is only valid for TCP")));
            }
            *count =
                text.parse::<u64>().map_err(|_| invalid(format!("{key:?} must be a positive integer")))?;
        }
        let unknown = |key: &str, value: &str| {
            invalid(format!("unknown value {value:?} for log opt {key:?} for gelf log driver"))
        };
        let level = match option("gelf-compression-level") {
            None => Compression::fast(),
            Some(text) => match text.parse::<i32>() {
                Ok(-1) => Compression::default(),
                Ok(level @ 0..=9) => Compression::new(level as u32),
                _ => return Err(unknown("gelf-compression-level", text)),
            },
        };
        let packing = match option("gelf-compression-type") {
            None | Some("gzip") => Packing::Gzip(level),
            Some("zlib") => Packing::Zlib(level),
            Some("none") => Packing::None,
            Some(other) => return Err(unknown("gelf-compression-type", other)),
        };
        let remote = match scheme {
            "udp" => Remote::new(Spoken::Datagrams(packing), Address::Udp(host.to_owned())),
            _ => Remote::new(Spoken::Stream(host.to_owned()), Address::Tcp(host.to_owned())),
        };
        let attempts = options.contains_key("gelf-tcp-max-reconnect").then_some(counts[0]);
        let persistence = Persistence { attempts, pause: Duration::from_secs(counts[1]) };
        Ok(Remote { persistence, ..remote })
    }
}

/// The protocol with its settings.
#[derive(Debug)]
pub enum Spoken {
    Datagrams(Packing),
    /// Over a stream to this address.
    Stream(String),
}

impl Protocol for Spoken {
    fn messages(&self, entry: &Entry, facts: &Facts, _ordinal: u64) -> Messages {
        let Some(json) = json(entry, facts) else { return Messages::default() };
        match self {
            Spoken::Datagrams(packing) => Messages { all: datagrams(&json, *packing), answer: None },
            Spoken::Stream(_) => Messages::from([json.as_bytes(), b"\0"].concat()),
        }
    }

    fn away(&self, why: String) -> String {
        match self {
            Spoken::Datagrams(_) => why,
            Spoken::Stream(host) => format!("gelf: cannot connect to GELF endpoint: {host} {why}"),
        }
    }
}

/// The compression of a datagram's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    None,
    Gzip(Compression),
    Zlib(Compression),
}

/// The JSON of an entry; `None` for an empty line, for which GELF has no message.
fn json(entry: &Entry, facts: &Facts) -> Option<String> {
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

/// Escapes a string as Go's JSON encoder does: safe for HTML.
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

/// The datagrams of a message; none if it is too long for the protocol.
fn datagrams(json: &str, packing: Packing) -> Vec<Vec<u8>> {
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
