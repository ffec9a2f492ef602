//! Words of Dockerfile instructions: how they are split, and what a shell would make of them.

use std::iter::Peekable;
use std::str::Chars;

/// No value becomes longer by its variables: a few that double each other would fill the memory.
const LONGEST: usize = 1 << 20;
/// How deep the words of `${name:-word}` go.
const DEEPEST: usize = 16;

/// Splits at blanks outside of quotes; quotes and backslashes stay.
pub fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, blank) if blank.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (Some('"') | None, '\\') => {
                word.push('\\');
                word.extend(characters.next());
                continue;
            }
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            _ => {}
        }
        word.push(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Takes quotes and backslashes away, and puts values (`NAME=value`) in the place of variables.
pub fn expand(text: &str, env: &[String]) -> Result<String, String> {
    let mut reader = Reader { rest: text.chars().peekable(), env, length: 0 };
    reader.until(None, 0).map_err(|why| format!("failed to process {text:?}: {why}"))
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    env: &'a [String],
    /// The length of all values so far.
    length: usize,
}

impl Reader<'_> {
    /// As far as `end` goes, which is taken, or the text.
    fn until(&mut self, end: Option<char>, depth: usize) -> Result<String, String> {
        let mut text = String::new();
        while let Some(character) = self.rest.next() {
            match character {
                _ if Some(character) == end => return Ok(text),
                '\'' => self.single(&mut text)?,
                '"' => self.double(&mut text, depth)?,
                '\\' => text.extend(self.rest.next()),
                '$' => text.push_str(&self.variable(depth)?),
                other => text.push(other),
            }
        }
        match end {
            None => Ok(text),
            Some(end) => {
                Err(format!("unexpected end of statement while looking for matching {}", named(end)))
            }
        }
    }

    fn single(&mut self, text: &mut String) -> Result<(), String> {
        for character in self.rest.by_ref() {
            if character == '\'' {
                return Ok(());
            }
            text.push(character);
        }
        Err(format!("unexpected end of statement while looking for matching {}", named('\'')))
    }

    fn double(&mut self, text: &mut String, depth: usize) -> Result<(), String> {
        while let Some(character) = self.rest.next() {
            match character {
                '"' => return Ok(()),
                '$' => text.push_str(&self.variable(depth)?),
                '\\' => match self.rest.next() {
                    Some(escaped @ ('"' | '$' | '\\')) => text.push(escaped),
                    Some(other) => text.extend(['\\', other]),
                    None => break,
                },
                other => text.push(other),
            }
        }
        Err(format!("unexpected end of statement while looking for matching {}", named('"')))
    }

    /// What stands for a variable; its `$` is read.
    fn variable(&mut self, depth: usize) -> Result<String, String> {
        if self.rest.peek() != Some(&'{') {
            let name = self.name();
            return match name.as_str() {
                "" => Ok("$".to_owned()),
                name => self.counted(self.value(name).unwrap_or_default().to_owned()),
            };
        }
        self.rest.next();
        let name = self.name();
        if name.is_empty() {
            return Err("syntax error: bad substitution".to_owned());
        }
        let value = self.value(&name).map(str::to_owned);
        let mut operator = self.rest.next();
        let counts_empty = operator != Some(':');
        if !counts_empty {
            operator = self.rest.next();
        }
        let has_value = value.as_ref().is_some_and(|value| counts_empty || !value.is_empty());
        let word = match operator {
            Some('}') if counts_empty => return self.counted(value.unwrap_or_default()),
            Some('-' | '+' | '?') if depth < DEEPEST => self.until(Some('}'), depth + 1)?,
            Some('-' | '+' | '?') => return Err("variables in too deep a nesting".to_owned()),
            Some(other) => return Err(format!("unsupported modifier ({other}) in substitution")),
            None => return Err("syntax error: missing '}'".to_owned()),
        };
        match (operator, has_value) {
            (Some('+'), true) | (Some('-'), false) => Ok(word),
            (Some('+'), false) => Ok(String::new()),
            (Some('?'), false) if word.is_empty() => Err(format!("{name}: is not allowed to be unset")),
            (Some('?'), false) => Err(format!("{name}: {word}")),
            _ => self.counted(value.unwrap_or_default()),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(next) = self.rest.next_if(|next| {
            *next == '_' || next.is_ascii_alphabetic() || (!name.is_empty() && next.is_ascii_digit())
        }) {
            name.push(next);
        }
        name
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut pairs = self.env.iter().filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn counted(&mut self, value: String) -> Result<String, String> {
        self.length += value.len();
        if self.length > LONGEST {
            return Err(format!("it becomes longer than {LONGEST} bytes"));
        }
        Ok(value)
    }
}

fn named(end: char) -> &'static str {
    match end {
        '\'' => "single-quote",
        '"' => "double-quote",
        _ => "'}'",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes_when_split() {
        assert_eq!(split(r#" a="x y"  b\ c 'd "e' "#), [r#"a="x y""#, r"b\ c", r#"'d "e'"#]);
        assert!(split("  ").is_empty());
    }

    #[test]
    fn variables_and_quotes_are_read_as_by_a_shell() {
        let env = ["A=1".to_owned(), "EMPTY=".to_owned()];
        for (text, read) in [
            ("$A-${A}", "1-1"),
            (r#"'$A' "$A\n" \$A"#, r"$A 1\n $A"),
            ("$none.${EMPTY:-x}.${EMPTY-x}.${none-x}", ".x..x"),
            ("${A:+is}${none:+is}${A:-other}", "is1"),
            ("${none:-${A}}", "1"),
            ("5$", "5$"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(read), "{text}");
        }
        for text in
            ["\"open", "'open", "${A", "${}", "${A:x}", "${none:?no}", "${A:", &"${x:-".repeat(100_000)]
        {
            assert!(expand(text, &env).is_err(), "{text:.20}");
        }
        let long = [format!("A={}", "x".repeat(LONGEST / 2 + 1))];
        assert!(expand("$A$A", &long).is_err(), "memory is not filled");
    }
}
