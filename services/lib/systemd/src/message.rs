//! D-Bus messages, little-endian: building calls, and parsing the needed parts of replies (D-Bus Specification,
//! "Message Protocol").

use crate::{Property, Value};

/// The length of a header up to the array of its fields.
pub const FIXED: usize = 16;

const CALL: u8 = 1;

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Call,
    Return,
    Error,
    Signal,
}

/// A received message.
#[derive(Debug)]
pub struct Message {
    pub kind: Kind,
    /// The serial number of the call that it replies to.
    pub reply_to: Option<u32>,
    pub member: String,
    /// The name of an error.
    pub error: String,
    body: Vec<u8>,
}

/// Bytes with their alignment, relative to the start of the message or body.
#[derive(Debug, Default)]
pub struct Body(Vec<u8>);

impl Body {
    fn align(&mut self, to: usize) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
        self
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    fn number(&mut self, number: u32) -> &mut Self {
        self.align(4).0.extend(number.to_le_bytes());
        self
    }

    fn signature(&mut self, signature: &str) -> &mut Self {
        self.byte(signature.len() as u8).0.extend(signature.as_bytes());
        self.byte(0)
    }

    /// `s`, or `o`
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u32).0.extend(text.as_bytes());
        self.byte(0)
    }

    /// `b`
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.number(value.into())
    }

    /// `au`
    pub fn numbers(&mut self, numbers: &[u32]) -> &mut Self {
        self.array(4, |body| {
            for number in numbers {
                body.number(*number);
            }
        })
    }

    /// `a(sv)`
    pub fn properties(&mut self, properties: &[Property]) -> &mut Self {
        self.array(8, |body| {
            for (name, value) in properties {
                body.align(8).text(name).variant(value);
            }
        })
    }

    /// An empty `a(sa(sv))`.
    pub fn empty_units(&mut self) -> &mut Self {
        self.array(8, |_| {})
    }

    fn variant(&mut self, value: &Value) -> &mut Self {
        match value {
            Value::Bool(value) => self.signature("b").bool(*value),
            Value::Number(number) => {
                self.signature("t").align(8).0.extend(number.to_le_bytes());
                self
            }
            Value::Text(text) => self.signature("s").text(text),
            Value::Pids(pids) => self.signature("au").numbers(pids),
            Value::Bytes(bytes) => self.signature("ay").array(1, |body| body.0.extend(bytes)),
        }
    }

    /// An array: its length does not count the padding before its first element.
    fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.number(0);
        let length = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        fill(self);
        let filled = (self.0.len() - start) as u32;
        self.0[length..length + 4].copy_from_slice(&filled.to_le_bytes());
        self
    }
}

/// A call to systemd's manager.
pub fn call(serial: u32, member: &str, signature: &str, body: &Body) -> Vec<u8> {
    let mut message = Body::default();
    message.byte(b'l').byte(CALL).byte(0).byte(1).number(body.0.len() as u32).number(serial);
    message.array(8, |fields| {
        for (code, kind, value) in [
            (1, "o", "/org/freedesktop/systemd1"),
            (2, "s", "org.freedesktop.systemd1.Manager"),
            (3, "s", member),
            (6, "s", "org.freedesktop.systemd1"),
        ] {
            fields.align(8).byte(code).signature(kind).text(value);
        }
        fields.align(8).byte(8).signature("g").signature(signature);
    });
    message.align(8).0.extend(&body.0);
    message.0
}

/// How many bytes follow the fixed part of a header.
pub fn rest(fixed: &[u8]) -> Option<usize> {
    let mut reader = Reader { bytes: fixed, at: 4 };
    let body = reader.number()?;
    let _serial = reader.number()?;
    let fields = reader.number()?;
    let fields = usize::try_from(fields).ok()?.checked_next_multiple_of(8)?;
    (fixed.first() == Some(&b'l')).then_some(())?;
    fields.checked_add(usize::try_from(body).ok()?)
}

impl Message {
    /// Parses a whole message.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let kind = match bytes.get(1)? {
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return None,
        };
        let mut reader = Reader { bytes, at: 12 };
        let end = FIXED + usize::try_from(reader.number()?).ok()?;
        let mut message =
            Self { kind, reply_to: None, member: String::new(), error: String::new(), body: Vec::new() };
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            match reader.signature()?.as_str() {
                "u" => {
                    let number = reader.number()?;
                    if code == 5 {
                        message.reply_to = Some(number);
                    }
                }
                "g" => drop(reader.signature()?),
                "s" | "o" => match (code, reader.text()?) {
                    (3, text) => message.member = text,
                    (4, text) => message.error = text,
                    _ => {}
                },
                _ => return None,
            }
        }
        message.body = bytes.get(end.next_multiple_of(8)..)?.to_vec();
        Some(message)
    }

    /// The strings in a body of numbers and strings, as far as they parse.
    pub fn strings(&self, signature: &str) -> Vec<String> {
        let mut reader = Reader { bytes: &self.body, at: 0 };
        let mut strings = Vec::new();
        for kind in signature.chars() {
            let read = match kind {
                'u' => reader.number().map(drop),
                _ => reader.text().map(|text| strings.push(text)),
            };
            if read.is_none() {
                break;
            }
        }
        strings
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        self.byte()?;
        Some(text)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.byte()?.into();
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        self.byte()?;
        Some(text)
    }
}

#[cfg(test)]
pub mod answers {
    use super::*;

    /// A message as systemd would send it.
    pub fn message(kind: u8, member: &str, error: &str, reply_to: u32, texts: &[&str]) -> Vec<u8> {
        let mut body = Body::default();
        if kind == 4 {
            body.number(7);
        }
        for text in texts {
            body.text(text);
        }
        let mut message = Body::default();
        message.byte(b'l').byte(kind).byte(0).byte(1).number(body.0.len() as u32).number(9);
        message.array(8, |fields| {
            for (code, value) in [(3, member), (4, error)] {
                if !value.is_empty() {
                    fields.align(8).byte(code).signature("s").text(value);
                }
            }
            if reply_to != 0 {
                fields.align(8).byte(5).signature("u").number(reply_to);
            }
            fields.align(8).byte(8).signature("g").signature("s");
        });
        message.align(8).0.extend(&body.0);
        message.0
    }
}
