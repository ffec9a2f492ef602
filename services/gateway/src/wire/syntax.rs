//! Finds the syntax error of a JSON text, and describes it in the words of Go's `encoding/json`, as dockerd does.
//!
//! It only finds the text's first value; other code reads the value.

use std::fmt;

/// How deeply values may be nested (Go's limit).
const MAX_DEPTH: usize = 10_000;

/// Why a text has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// It is empty, or white space only.
    Empty,
    /// The text ends within the value.
    UnexpectedEnd,
    /// It has a byte that cannot be there.
    Invalid(u8, Place),
    /// Its values are nested too deeply.
    TooDeep,
}

/// Where a wrong byte is, and what was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Value,
    Key,
    AfterKey,
    AfterMember,
    AfterElement,
    String,
    Escape,
    EscapedUnit,
    Number,
    Fraction,
    Exponent,
    Literal(&'static str, usize),
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("got EOF while reading request body"),
            Self::UnexpectedEnd => f.write_str("unexpected EOF"),
            Self::Invalid(byte, place) => write!(f, "invalid character {} {place}", Quoted(*byte)),
            Self::TooDeep => f.write_str("exceeded max depth"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "looking for beginning of value",
            Self::Key => "looking for beginning of object key string",
            Self::AfterKey => "after object key",
            Self::AfterMember => "after object key:value pair",
            Self::AfterElement => "after array element",
            Self::String => "in string literal",
            Self::Escape => "in string escape code",
            Self::EscapedUnit => "in \\u hexadecimal character escape",
            Self::Number => "in numeric literal",
            Self::Fraction => "after decimal point in numeric literal",
            Self::Exponent => "in exponent of numeric literal",
            Self::Literal(word, at) => {
                let expected = word.as_bytes().get(*at).map_or(' ', |byte| char::from(*byte));
                return write!(f, "in literal {word} (expecting '{expected}')");
            }
        })
    }
}

/// A byte as Go quotes it: as the character of this number.
struct Quoted(u8);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\'' => f.write_str(r"'\''"),
            b'\\' => f.write_str(r"'\\'"),
            0x07 => f.write_str(r"'\a'"),
            0x08 => f.write_str(r"'\b'"),
            0x0c => f.write_str(r"'\f'"),
            b'\n' => f.write_str(r"'\n'"),
            b'\r' => f.write_str(r"'\r'"),
            b'\t' => f.write_str(r"'\t'"),
            0x0b => f.write_str(r"'\v'"),
            byte @ (0..0x20 | 0x7f) => write!(f, r"'\x{byte:02x}'"),
            byte @ (0x80..0xa1 | 0xad) => write!(f, r"'\u{byte:04x}'"),
            byte => write!(f, "'{}'", char::from(byte)),
        }
    }
}

/// The first value of a text, without white space, and what follows it.
pub fn first_value(text: &[u8]) -> Result<(&[u8], &[u8]), SyntaxError> {
    let mut scanner = Scanner { text, at: 0 };
    let begin = match scanner.next_token() {
        Some(_) => scanner.at,
        None => return Err(SyntaxError::Empty),
    };
    scanner.value()?;
    let (value, rest) = text.split_at(scanner.at);
    Ok((&value[begin..], rest))
}

/// What contains a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is no white space, without consuming it.
    fn next_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }

    fn take(&mut self) -> Result<u8, SyntaxError> {
        let byte = self.peek().ok_or(SyntaxError::UnexpectedEnd)?;
        self.at += 1;
        Ok(byte)
    }

    fn take_token(&mut self) -> Result<u8, SyntaxError> {
        self.next_token();
        self.take()
    }

    fn value(&mut self) -> Result<(), SyntaxError> {
        let mut within = Vec::new();
        loop {
            // Here begins a value.
            let opened = match self.take_token()? {
                b'{' => Some(Container::Object),
                b'[' => Some(Container::Array),
                b'"' => self.string().map(|()| None)?,
                b'-' => self.negative().map(|()| None)?,
                b'0' => self.fraction().map(|()| None)?,
                b'1'..=b'9' => self.digits().map(|()| None)?,
                b't' => self.literal("true").map(|()| None)?,
                b'f' => self.literal("false").map(|()| None)?,
                b'n' => self.literal("null").map(|()| None)?,
                other => return Err(SyntaxError::Invalid(other, Place::Value)),
            };
            if let Some(container) = opened {
                within.push(container);
                if within.len() > MAX_DEPTH {
                    return Err(SyntaxError::TooDeep);
                }
                match (container, self.next_token()) {
                    (Container::Object, Some(b'}')) | (Container::Array, Some(b']')) => {}
                    (Container::Object, _) => {
                        self.key()?;
                        continue;
                    }
                    (Container::Array, _) => continue,
                }
            }
            // A value has ended, or an array or object is closed at once.
            loop {
                let Some(container) = within.last() else { return Ok(()) };
                match (container, self.take_token()?) {
                    (Container::Object, b',') => {
                        self.key()?;
                        break;
                    }
                    (Container::Array, b',') => break,
                    (Container::Object, b'}') | (Container::Array, b']') => drop(within.pop()),
                    (Container::Object, other) => {
                        return Err(SyntaxError::Invalid(other, Place::AfterMember));
                    }
                    (Container::Array, other) => {
                        return Err(SyntaxError::Invalid(other, Place::AfterElement));
                    }
                }
            }
        }
    }

    /// A member's name and its colon.
    fn key(&mut self) -> Result<(), SyntaxError> {
        match self.take_token()? {
            b'"' => self.string()?,
            other => return Err(SyntaxError::Invalid(other, Place::Key)),
        }
        match self.take_token()? {
            b':' => Ok(()),
            other => Err(SyntaxError::Invalid(other, Place::AfterKey)),
        }
    }

    /// The rest of a string, after its first quotation mark.
    fn string(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.take()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                control @ 0..0x20 => return Err(SyntaxError::Invalid(control, Place::String)),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), SyntaxError> {
        match self.take()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
            b'u' => {
                for _ in 0..4 {
                    let digit = self.take()?;
                    if !digit.is_ascii_hexdigit() {
                        return Err(SyntaxError::Invalid(digit, Place::EscapedUnit));
                    }
                }
            }
            other => return Err(SyntaxError::Invalid(other, Place::Escape)),
        }
        Ok(())
    }

    fn literal(&mut self, word: &'static str) -> Result<(), SyntaxError> {
        for (at, expected) in word.bytes().enumerate().skip(1) {
            let byte = self.take()?;
            if byte != expected {
                return Err(SyntaxError::Invalid(byte, Place::Literal(word, at)));
            }
        }
        Ok(())
    }

    /// The rest of a number, after a minus sign.
    fn negative(&mut self) -> Result<(), SyntaxError> {
        match self.take()? {
            b'0' => self.fraction(),
            b'1'..=b'9' => self.digits(),
            other => Err(SyntaxError::Invalid(other, Place::Number)),
        }
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// The rest of a number, after its first digit.
    fn digits(&mut self) -> Result<(), SyntaxError> {
        self.skip_digits();
        self.fraction()
    }

    fn fraction(&mut self) -> Result<(), SyntaxError> {
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit(Place::Fraction)?;
            self.skip_digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit(Place::Exponent)?;
            self.skip_digits();
        }
        Ok(())
    }

    fn digit(&mut self, place: Place) -> Result<(), SyntaxError> {
        let byte = self.take()?;
        if byte.is_ascii_digit() { Ok(()) } else { Err(SyntaxError::Invalid(byte, place)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn go_s_words_for_what_is_wrong() {
        let rows = [
            ("", "got EOF while reading request body"),
            (" \n", "got EOF while reading request body"),
            ("{", "unexpected EOF"),
            ("{\"a\":[1,", "unexpected EOF"),
            ("tru", "unexpected EOF"),
            ("-", "unexpected EOF"),
            ("{bad", "invalid character 'b' looking for beginning of object key string"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("x", "invalid character 'x' looking for beginning of value"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("\"a\nb\"", r"invalid character '\n' in string literal"),
            ("\"a\0b\"", r"invalid character '\x00' in string literal"),
            (r#""\q""#, "invalid character 'q' in string escape code"),
            (r#""\u12'""#, r"invalid character '\'' in \u hexadecimal character escape"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1e+x", "invalid character 'x' in exponent of numeric literal"),
            ("nul1", "invalid character '1' in literal null (expecting 'l')"),
            ("{\"a\":trve}", "invalid character 'v' in literal true (expecting 'u')"),
            ("é", "invalid character 'Ã' looking for beginning of value"),
        ];
        for (text, words) in rows {
            assert_eq!(first_value(text.as_bytes()).expect_err(text).to_string(), words, "{text:?}");
        }
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert_eq!(first_value(deep.as_bytes()), Err(SyntaxError::TooDeep));
    }

    #[test]
    fn the_first_value_ends_where_the_next_begins() {
        for (text, value, rest) in [
            (r#" {"a":[1,{}],"b":null} {}"#, r#"{"a":[1,{}],"b":null}"#, " {}"),
            ("[[],[[]]]]", "[[],[[]]]", "]"),
            ("12.5e-3,", "12.5e-3", ","),
            ("\"a\\\"b\"x", "\"a\\\"b\"", "x"),
            ("01", "0", "1"),
            ("true", "true", ""),
        ] {
            assert_eq!(first_value(text.as_bytes()), Ok((value.as_bytes(), rest.as_bytes())), "{text:?}");
        }
    }

    proptest! {
        /// Finds the same value as the JSON library.
        #[test]
        fn both_agree_on_what_is_json(text in "[\\[\\]{},:\"\\\\a0-2.eE+ntrufls -]{0,24}") {
            let is_json = |text: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
            match first_value(text.as_bytes()) {
                Ok((value, _)) => prop_assert!(is_json(value)),
                Err(_) => prop_assert!(!is_json(text.as_bytes())),
            }
        }
    }
}
