//! From log lines to what a client reads: frames of Docker's multiplexed stream, or the bare bytes for a terminal.
//!
//! A frame is `[1 stdout | 2 stderr, 0, 0, 0][length, big endian][payload]`; a timestamp and the attributes stand inside
//! the payload, before the text.

use super::line::{self, Line, Stream};

/// What a client asked to see, and how.
#[derive(Clone, Debug)]
pub struct Format {
    /// Lines of standard output.
    pub stdout: bool,
    /// Lines of standard error.
    pub stderr: bool,
    /// With the time before each line.
    pub timestamps: bool,
    /// With the attributes before each line.
    pub details: bool,
    /// The container has a terminal: no frames.
    pub raw: bool,
    /// Nothing older, as nanoseconds since 1970.
    pub since: Option<i64>,
    /// Nothing younger, as nanoseconds since 1970.
    pub until: Option<i64>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written to the buffer, or left out because the client does not want it.
    Went,
    /// It is younger than the client wants, and so is all that follows.
    Past,
}

impl Format {
    /// Appends a line to `out` as the client wants it.
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
        let wanted = match parsed.stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        if !wanted {
            return Outcome::Went;
        }
        let start = out.len();
        if !self.raw {
            let kind = match parsed.stream {
                Stream::Stdout => 1,
                Stream::Stderr => 2,
            };
            out.extend_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
        }
        let payload = out.len();
        if self.timestamps {
            push_timestamp(parsed.time, out);
            out.push(b' ');
        }
        if self.details {
            push_details(parsed.attrs, out);
            out.push(b' ');
        }
        line::unescape(parsed.log, out);
        if !self.raw {
            let length = u32::try_from(out.len() - payload).unwrap_or(u32::MAX);
            out[start + 4..start + 8].copy_from_slice(&length.to_be_bytes());
        }
        Outcome::Went
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

/// Nanoseconds since 1970; 0 for what is no time.
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
