//! `fluentd`: Fluentd's forward protocol: each line is `[tag, time, record, options]` in MessagePack.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use gantry_docker::filters::truth;

use super::options::{self, duration, invalid, with_port};
use super::receiver::{Address, PATIENCE};
use super::remote::{Messages, Protocol, Remote, Remotely};
use super::sender::Persistence;
use super::tls::Certificates;
use super::{Entry, Facts};
use crate::error::Result;
use crate::logs::driver::{ATTRIBUTES, Options, known};
use crate::logs::kept::bytes_of;

const OPTIONS: [&str; 9] = [
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
];

/// The driver.
#[derive(Debug)]
pub struct Fluentd;

impl Remotely for Fluentd {
    type Protocol = Spoken;

    const NAME: &'static str = "fluentd";

    fn remote(options: &Options) -> Result<Remote<Spoken>> {
        known(options, &[&OPTIONS, &ATTRIBUTES], |key| {
            format!("unknown log opt '{key}' for fluentd log driver")
        })?;
        let option = |key| options::text(options, key);
        let text = option("fluentd-address");
        let refused = |why: String| invalid(format!("invalid fluentd-address ({text}): {why}"));
        let address = match text.split_once("://") {
            None if text.is_empty() => Address::Tcp("127.0.0.1:24224".to_owned()),
            None => Address::Tcp(with_port(text, 24224)),
            Some(("tcp", host)) => Address::Tcp(with_port(host, 24224)),
            Some(("unix", path)) if Path::new(path).is_absolute() => Address::Unix(PathBuf::from(path)),
            Some(("unix", _)) => return Err(refused("path is empty".to_owned())),
            Some(("tls", host)) => Address::Tls(with_port(host, 24224), Certificates::default()),
            Some((scheme, _)) => return Err(refused(format!("unsupported scheme: '{scheme}'"))),
        };
        let truth = |key: &'static str| match option(key) {
            "" => Ok(false),
            text => truth(text)
                .ok_or_else(|| invalid(format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))),
        };
        let span = |key: &'static str| match option(key) {
            "" => Ok(None),
            text => {
                duration(text).map(Some).ok_or_else(|| invalid(format!("time: invalid duration {text:?}")))
            }
        };
        let limit = option("fluentd-buffer-limit");
        if !limit.is_empty() && bytes_of(limit).is_none() {
            return Err(invalid(format!("invalid size: '{limit}'")));
        }
        let attempts = match option("fluentd-max-retries") {
            "" => None,
            text => Some(
                text.parse::<u64>()
                    .map_err(|_| invalid(format!("strconv.ParseUint: parsing {text:?}: invalid syntax")))?,
            ),
        };
        let named = |key: &'static str, words: &str| {
            span(key).map_err(|error| invalid(format!("invalid value for {key}: {words}{error}")))
        };
        let patience = named("fluentd-write-timeout", "value must be a duration: ")?.unwrap_or(PATIENCE);
        let renewed = named("fluentd-async-reconnect-interval", "")?;
        if renewed.is_some_and(|pause| !(100..=10_000).contains(&pause.as_millis())) {
            let text = option("fluentd-async-reconnect-interval");
            return Err(invalid(format!(
                "invalid value for fluentd-async-reconnect-interval: value ({text:?}) must be between 100ms and 10s"
            )));
        }
        let pause = span("fluentd-retry-wait")?.unwrap_or(Duration::from_secs(1));
        let spoken = Spoken {
            sub_second: truth("fluentd-sub-second-precision")?,
            acknowledged: truth("fluentd-request-ack")?,
        };
        let asynchronous = truth("fluentd-async")?;
        let persistence = Persistence { attempts, pause };
        Ok(Remote { asynchronous, persistence, renewed, patience, ..Remote::new(spoken, address) })
    }
}

/// The protocol with its settings.
#[derive(Debug)]
pub struct Spoken {
    sub_second: bool,
    acknowledged: bool,
}

impl Protocol for Spoken {
    fn messages(&self, entry: &Entry, facts: &Facts, _ordinal: u64) -> Messages {
        event(entry, facts, self.sub_second, self.acknowledged)
    }
}

/// Encodes an entry, with the acknowledgement that it requests.
fn event(entry: &Entry, facts: &Facts, sub_second: bool, acknowledged: bool) -> Messages {
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
    Messages { all: vec![bytes], answer: chunk.as_deref().map(acknowledgement) }
}

/// The answer that acknowledges a chunk.
fn acknowledgement(chunk: &str) -> Vec<u8> {
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
