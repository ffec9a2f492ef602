//! The grammar of namespaces, container ids and the parts of topics: words of letters and digits, joined by single
//! `.`, `_` or `-`, 1 to 76 characters in all. An identifier is safe as a file name and as a part of a key.

use crate::{Error, Result};

/// The longest identifier, in characters.
pub const MAX_LEN: usize = 76;

/// Checks that `value` is an identifier.
pub fn validate(value: &str) -> Result<()> {
    let words_are_whole = || {
        value
            .split(['.', '_', '-'])
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    if value.len() <= MAX_LEN && words_are_whole() {
        return Ok(());
    }
    Err(Error::Identifier { value: value.chars().take(160).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_joined_by_single_separators_pass() {
        for good in ["a", "moby", "k8s.io", "plugins.moby", "a-b_c.d", "0", &"x".repeat(76)] {
            assert!(validate(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a..b", "-a", "a-", "a/b", "a b", "ä", "a\0", "a._b", &"x".repeat(77)] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
