//! Parses filters.

use crate::{Error, Result};

use super::{Selector, Test};

/// The limit of a compiled regular expression in bytes.
const REGEX_LIMIT: usize = 1 << 20;

pub(super) fn parse(filter: &str) -> Result<Vec<Selector>> {
    let mut parser = Parser { filter, at: 0 };
    parser.skip_space();
    let mut selectors = Vec::new();
    if parser.peek().is_none() {
        return Ok(selectors);
    }
    loop {
        selectors.push(parser.selector()?);
        match parser.peek() {
            None => return Ok(selectors),
            Some(',') => parser.advance(','),
            Some(other) => return parser.refuse(format!("unexpected {other:?}")),
        }
    }
}

struct Parser<'a> {
    filter: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.filter[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Skips `token`, which was peeked, and the white space behind it.
    fn advance(&mut self, token: char) {
        self.at += token.len_utf8();
        self.skip_space();
    }

    fn refuse<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::Filter { filter: self.filter.to_owned(), offset: self.at, reason: reason.into() })
    }

    fn selector(&mut self) -> Result<Selector> {
        let path = self.path()?;
        let test = match self.peek() {
            None | Some(',') => Test::Present,
            Some(_) => self.test()?,
        };
        Ok(Selector { path, test })
    }

    fn path(&mut self) -> Result<Vec<String>> {
        let mut path = vec![self.field()?];
        while self.peek() == Some('.') {
            self.advance('.');
            path.push(self.field()?);
        }
        Ok(path)
    }

    fn field(&mut self) -> Result<String> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if len == 0 {
            return self.refuse("expected a field");
        }
        let field = rest[..len].to_owned();
        self.at += len;
        self.skip_space();
        Ok(field)
    }

    fn test(&mut self) -> Result<Test> {
        let operator = self.rest().get(..2).unwrap_or_default().to_owned();
        if !matches!(operator.as_str(), "==" | "!=" | "~=") {
            return self.refuse("expected one of the operators ==, !=, ~=");
        }
        self.at += operator.len();
        self.skip_space();
        let start = self.at;
        let value = match self.peek() {
            Some('"') => self.quoted()?,
            Some(quote @ ('/' | '|')) if operator == "~=" => self.regex_literal(quote)?,
            _ => self.bare_value()?,
        };
        Ok(match operator.as_str() {
            "==" => Test::Equal(value),
            "!=" => Test::NotEqual(value),
            _ => match compile(&value) {
                Ok(regex) => Test::Matches(regex),
                Err(error) => {
                    self.at = start;
                    return self.refuse(format!("bad regular expression: {error}"));
                }
            },
        })
    }

    fn bare_value(&mut self) -> Result<String> {
        let rest = self.rest();
        let len = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
        if len == 0 {
            return self.refuse("expected a value");
        }
        let value = rest[..len].to_owned();
        self.at += len;
        self.skip_space();
        Ok(value)
    }

    /// `/…/` or `|…|`: a backslash escapes the quote; before any other character it stands for itself.
    fn regex_literal(&mut self, quote: char) -> Result<String> {
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at += at + c.len_utf8();
                    self.skip_space();
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, c)) if c == quote => value.push(c),
                    Some((_, c)) => value.extend(['\\', c]),
                    None => break,
                },
                c => value.push(c),
            }
        }
        self.refuse("unterminated regular expression")
    }

    /// A text quoted as in Go.
    fn quoted(&mut self) -> Result<String> {
        let mut value = Vec::new();
        let rest = self.rest().to_owned();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    self.skip_space();
                    return match String::from_utf8(value) {
                        Ok(value) => Ok(value),
                        Err(_) => self.refuse("the quoted text is not UTF-8"),
                    };
                }
                '\\' => {
                    let Some((_, escape)) = chars.next() else { break };
                    let mut number = |digits: usize, radix: u32, first: Option<char>| {
                        let text: String =
                            first.into_iter().chain(chars.by_ref().map(|(_, c)| c)).take(digits).collect();
                        Some(text)
                            .filter(|t| t.len() == digits)
                            .and_then(|t| u32::from_str_radix(&t, radix).ok())
                    };
                    let byte = |n: u32| u8::try_from(n).ok().map(|b| vec![b]);
                    let unicode = |n: u32| char::from_u32(n).map(|c| c.to_string().into_bytes());
                    let bytes = match escape {
                        'a' => Some(vec![7]),
                        'b' => Some(vec![8]),
                        'f' => Some(vec![12]),
                        'n' => Some(vec![b'\n']),
                        'r' => Some(vec![b'\r']),
                        't' => Some(vec![b'\t']),
                        'v' => Some(vec![11]),
                        '\\' | '"' => Some(escape.to_string().into_bytes()),
                        'x' => number(2, 16, None).and_then(byte),
                        'u' => number(4, 16, None).and_then(unicode),
                        'U' => number(8, 16, None).and_then(unicode),
                        '0'..='7' => number(3, 8, Some(escape)).and_then(byte),
                        _ => None,
                    };
                    match bytes {
                        Some(bytes) => value.extend(bytes),
                        None => return self.refuse(format!("bad escape \\{escape} in the quoted text")),
                    }
                }
                '\n' => break,
                c => value.extend(c.to_string().into_bytes()),
            }
        }
        self.refuse("unterminated quoted text")
    }
}

/// RE2's perl classes are ASCII, so Unicode is off; fields are searched as bytes.
fn compile(pattern: &str) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(pattern).unicode(false).size_limit(REGEX_LIMIT).build()
}
