//! One line of a json-file log: `{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.678Z"}`.
//!
//! The scanner expects this shape and reads a line once, from one backslash to the next. Keys may come in any order,
//! unknown keys are skipped, and `attrs` is kept unparsed.

use super::Error;

/// The stream that a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The parts of a line, still escaped.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The text between the quotes.
    pub log: &'a [u8],
    /// The stream that the line was written to.
    pub stream: Stream,
    /// RFC 3339 with up to nine digits of fraction.
    pub time: &'a [u8],
    /// The object with the attributes, including its braces; empty if there is none.
    pub attrs: &'a [u8],
}

/// Parses a line without its newline.
pub fn parse(line: &[u8]) -> Result<Line<'_>, Error> {
    let mut scanner = Scanner { rest: line };
    let mut parsed = Line { log: b"", stream: Stream::Stdout, time: b"", attrs: b"" };
    scanner.expect(b'{')?;
    loop {
        scanner.skip_spaces();
        let key = scanner.string()?;
        scanner.expect(b':')?;
        match key {
            b"log" => parsed.log = scanner.string()?,
            b"stream" => {
                parsed.stream = match scanner.string()? {
                    b"stderr" => Stream::Stderr,
                    _ => Stream::Stdout,
                };
            }
            b"time" => parsed.time = scanner.string()?,
            b"attrs" => parsed.attrs = scanner.value()?,
            _ => {
                scanner.value()?;
            }
        }
        scanner.skip_spaces();
        match scanner.next() {
            Some(b',') => {}
            Some(b'}') => return Ok(parsed),
            _ => return Err(Error::BrokenLine),
        }
    }
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\t') = self.rest.first() {
            self.rest = &self.rest[1..];
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        self.skip_spaces();
        if self.next() == Some(byte) { Ok(()) } else { Err(Error::BrokenLine) }
    }

    /// Returns the inside of a string with its escapes.
    fn string(&mut self) -> Result<&'a [u8], Error> {
        self.expect(b'"')?;
        let mut at = 0;
        loop {
            let found = memchr::memchr2(b'"', b'\\', self.rest.get(at..).ok_or(Error::BrokenLine)?)
                .ok_or(Error::BrokenLine)?;
            at += found;
            if self.rest[at] == b'"' {
                let inside = &self.rest[..at];
                self.rest = &self.rest[at + 1..];
                return Ok(inside);
            }
            at += 2;
        }
    }

    /// Returns any value unparsed.
    fn value(&mut self) -> Result<&'a [u8], Error> {
        self.skip_spaces();
        let start = self.rest;
        let mut depth = 0usize;
        loop {
            match *self.rest.first().ok_or(Error::BrokenLine)? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.next();
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.next();
                }
                b',' | b'}' if depth == 0 => break,
                _ => {
                    self.next();
                    continue;
                }
            }
            if depth == 0 {
                break;
            }
        }
        Ok(&start[..start.len() - self.rest.len()])
    }
}

/// Appends the unescaped string to `out`.
pub fn unescape(escaped: &[u8], out: &mut Vec<u8>) {
    let mut rest = escaped;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(&code) = rest.get(at + 1) else { return };
        rest = &rest[at + 2..];
        match code {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => rest = unicode(rest, out),
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
}

/// Appends the character of `XXXX` (or of a surrogate pair) and returns what follows it.
fn unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some(first) = hex4(rest) else {
        push(char::REPLACEMENT_CHARACTER, out);
        return rest;
    };
    let rest = &rest[4..];
    if let Some(single) = char::from_u32(first) {
        push(single, out);
        return rest;
    }
    if (0xD800..0xDC00).contains(&first)
        && rest.starts_with(b"\\u")
        && let Some(second) = hex4(&rest[2..]).filter(|second| (0xDC00..0xE000).contains(second))
    {
        let combined = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        push(char::from_u32(combined).unwrap_or(char::REPLACEMENT_CHARACTER), out);
        return &rest[6..];
    }
    push(char::REPLACEMENT_CHARACTER, out);
    rest
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    // A sign is not a digit, although `from_str_radix` accepts one.
    let digits = bytes.get(..4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn push(character: char, out: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(escaped: &str) -> String {
        let mut out = Vec::new();
        unescape(escaped.as_bytes(), &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_plain_line_is_taken_apart() {
        let line = parse(br#"{"log":"say \"hi\"\n","stream":"stderr","time":"2026-01-02T03:04:05.6Z"}"#)
            .expect("a whole line");
        assert_eq!(line.log, br#"say \"hi\"\n"#);
        assert_eq!(line.stream, Stream::Stderr);
        assert_eq!(line.time, b"2026-01-02T03:04:05.6Z");
    }

    #[test]
    fn attributes_and_strangers_are_stepped_over() {
        let line = parse(br#"{"log":"x","attrs":{"a":"b}","c":"d"},"extra":[1,{"y":2}],"n":12,"stream":"stdout","time":"t"}"#)
            .expect("a whole line");
        assert_eq!(line.attrs, br#"{"a":"b}","c":"d"}"#);
        assert_eq!(line.time, b"t");
    }

    #[test]
    fn cut_lines_are_errors() {
        for cut in [&b""[..], b"{", br#"{"log":"x"#, br#"{"log":"x\"#, br#"{"log":"x","stream""#] {
            assert!(parse(cut).is_err());
        }
    }

    #[test]
    fn escapes_mean_what_json_says() {
        assert_eq!(text(r"a\tb\\c\/d\n"), "a\tb\\c/d\n");
        assert_eq!(text(r"\u003cx\u003e \ud83d\ude00"), "<x> \u{1F600}");
        assert_eq!(text(r"\ud83d!"), "\u{FFFD}!");
        assert_eq!(text(r"\u+041"), "\u{FFFD}+041");
    }
}
