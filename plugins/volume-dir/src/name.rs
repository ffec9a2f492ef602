//! The names of volumes.

use std::fmt;

use gantry_plugin_sdk::{Error, Result};

/// Most bytes of a name, which becomes a file name.
const LONGEST: usize = 200;

/// A name that is one component of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Parses what a user typed.
    ///
    /// # Errors
    ///
    /// The name is not valid; the error says what is allowed.
    pub fn parse(text: &str) -> Result<Name> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let begins = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if begins && text.len() <= LONGEST && text.bytes().all(plain) {
            return Ok(Name(text.to_owned()));
        }
        let shown: String = text.chars().take(40).collect();
        let rule = format!(
            "only [a-zA-Z0-9][a-zA-Z0-9_.-]* are allowed in a volume's name, at most {LONGEST} bytes"
        );
        Err(Error::about(format!("{shown:?}"), rule))
    }

    /// The name as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component_of_a_path() {
        for good in ["a", "data", "a.b-c_d", "0", &"x".repeat(200)] {
            assert!(Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".new-1", "a/b", "../a", "a\0", "a b", "ä", "-a", &"x".repeat(201)] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }
}
