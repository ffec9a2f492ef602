//! Converts log lines into what a client reads: frames of Docker's multiplexed stream, or the bare bytes for a
//! terminal.
//!
//! A frame is `[1 stdout | 2 stderr, 0, 0, 0][length, big endian][payload]`. A timestamp and the attributes precede
//! the text inside the payload.

use gantry_plugin::wire::log::Entry;

use super::line::{self, Line, Stream};

/// The stream number of a frame with an error message.
const SYSTEM_ERROR: u8 = 3;

/// What a client asked to see, and in which form.
#[derive(Clone, Debug)]
pub struct Format {
    /// Whether to send lines of standard output.
    pub stdout: bool,
    /// Whether to send lines of standard error.
    pub stderr: bool,
    /// Whether to put the time before each line.
    pub timestamps: bool,
    /// Whether to put the attributes before each line.
    pub details: bool,
    /// Whether the container has a terminal: the bytes are sent without frames.
    pub raw: bool,
    /// Time of the oldest line to send, nanoseconds since 1970.
    pub since: Option<i64>,
    /// Time of the youngest line to send, nanoseconds since 1970.
    pub until: Option<i64>,
}

/// The outcome for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The line is in the buffer, or the client does not want it.
    Went,
    /// The line is younger than the client wants, and so are all that follow.
    Past,
}

impl Format {
    /// Appends a line to `out` in the client's form.
    pub fn write(&self, parsed: &Line<'_>, out: &mut Vec<u8>) -> Outcome {
        if self.since.is_some() || self.until.is_some() {
            let time = nanoseconds(parsed.time);
            if self.until.is_some_and(|until| time > until) {
                return Outcome::Past;
            }
            if self.since.is_some_and(|since| time < since) {
                return Outcome::Went;
            }
        }
        self.write_text(parsed.stream, parsed.time, parsed.attrs, out, |out| line::unescape(parsed.log, out));
        Outcome::Went
    }

    /// Appends an entry of a plugin. An entry of a stream other than Docker's two is left out.
    pub fn write_entry(&self, entry: &Entry, out: &mut Vec<u8>) {
        let stream = match entry.source.as_str() {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            _ => return,
        };
        let time = chrono::DateTime::from_timestamp_nanos(entry.time_nano).format("%Y-%m-%dT%H:%M:%S%.9fZ");
        self.write_text(stream, time.to_string().as_bytes(), b"", out, |out| {
            out.extend_from_slice(&entry.line)
        });
    }

    /// Appends an error message, as Docker does in the middle of a log.
    pub fn write_failure(&self, why: &str, out: &mut Vec<u8>) {
        self.framed(SYSTEM_ERROR, out, |out| {
            out.extend_from_slice(format!("Error grabbing logs: {why}\n").as_bytes());
        });
    }

    fn write_text(
        &self,
        stream: Stream,
        time: &[u8],
        attrs: &[u8],
        out: &mut Vec<u8>,
        text: impl FnOnce(&mut Vec<u8>),
    ) {
        let (kind, wanted) = match stream {
            Stream::Stdout => (1, self.stdout),
            Stream::Stderr => (2, self.stderr),
        };
        if !wanted {
            return;
        }
        self.framed(kind, out, |out| {
            if self.timestamps {
                push_timestamp(time, out);
                out.push(b' ');
            }
            if self.details {
                push_details(attrs, out);
                out.push(b' ');
            }
            text(out);
        });
    }

    fn framed(&self, kind: u8, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
        if self.raw {
            return payload(out);
        }
        let start = out.len();
        out.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
        payload(out);
        let length = u32::try_from(out.len() - start - 8).unwrap_or(u32::MAX);
        out[start + 4..start + 8].copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a time with exactly nine digits of fraction.
fn push_timestamp(time: &[u8], out: &mut Vec<u8>) {
    let Some(seconds) = time.get(..19) else {
        out.extend_from_slice(time);
        return;
    };
    out.extend_from_slice(seconds);
    let rest = &time[19..];
    let (fraction, zone) = match rest.split_first() {
        Some((b'.', tail)) => {
            let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
            tail.split_at(digits)
        }
        _ => (&b""[..], rest),
    };
    out.push(b'.');
    out.extend(fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9));
    out.extend_from_slice(zone);
}

/// Appends the attributes as `key=value,key=value`, sorted and URL-escaped.
fn push_details(attrs: &[u8], out: &mut Vec<u8>) {
    let parsed: std::collections::BTreeMap<String, String> =
        serde_json::from_slice(attrs).unwrap_or_default();
    for (number, (key, value)) in parsed.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        push_escaped(key, out);
        out.push(b'=');
        push_escaped(value, out);
    }
}

fn push_escaped(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            other => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
}

/// Nanoseconds since 1970; 0 for a text that is no time.
fn nanoseconds(time: &[u8]) -> i64 {
    std::str::from_utf8(time)
        .ok()
        .and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok())
        .and_then(|time| time.timestamp_nanos_opt())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Format {
        Format {
            stdout: true,
            stderr: true,
            timestamps: false,
            details: false,
            raw: false,
            since: None,
            until: None,
        }
    }

    fn line() -> Line<'static> {
        line::parse(br#"{"log":"hi\n","stream":"stderr","time":"2026-01-02T03:04:05.6Z","attrs":{"b":"x y","a":"1"}}"#)
            .expect("a whole line")
    }

    #[test]
    fn a_frame_has_its_head() {
        let mut out = Vec::new();
        all().write(&line(), &mut out);
        assert_eq!(out, b"\x02\0\0\0\0\0\0\x03hi\n");
    }

    #[test]
    fn time_and_details_stand_in_the_payload() {
        let mut out = Vec::new();
        Format { timestamps: true, details: true, raw: true, ..all() }.write(&line(), &mut out);
        assert_eq!(out, b"2026-01-02T03:04:05.600000000Z a=1,b=x+y hi\n");
    }

    #[test]
    fn what_a_plugin_tells_is_shown_as_it_is() {
        let entry = |source: &str| Entry {
            source: source.to_owned(),
            time_nano: 1_700_000_000_000_000_005,
            line: b"\xffno newline".to_vec(),
            ..Entry::default()
        };
        let mut out = Vec::new();
        let format = Format { timestamps: true, details: true, ..all() };
        format.write_entry(&entry("stdout"), &mut out);
        assert_eq!(out, b"\x01\0\0\0\0\0\0\x2b2023-11-14T22:13:20.000000005Z  \xffno newline");
        out.clear();
        format.write_entry(&entry("journal"), &mut out);
        Format { stderr: false, ..all() }.write_entry(&entry("stderr"), &mut out);
        assert!(out.is_empty());
        all().write_failure("gone", &mut out);
        assert_eq!(out, b"\x03\0\0\0\0\0\0\x1aError grabbing logs: gone\n");
    }

    #[test]
    fn since_and_until_cut() {
        let mut out = Vec::new();
        let after = nanoseconds(b"2026-01-02T03:04:06Z");
        let before = nanoseconds(b"2026-01-02T03:04:05Z");
        assert_eq!(Format { since: Some(after), ..all() }.write(&line(), &mut out), Outcome::Went);
        assert!(out.is_empty());
        assert_eq!(Format { until: Some(before), ..all() }.write(&line(), &mut out), Outcome::Past);
        assert!(out.is_empty());
    }
}
