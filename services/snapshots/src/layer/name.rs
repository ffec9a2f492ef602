//! The name of an entry, taken apart.

use crate::{Error, Result};

/// Takes a name apart, lexically cleaned: no empty part, no `.` and no `..`.
///
/// Fails on a name that would leave the root; a leading slash means the root itself.
pub fn split(name: &[u8]) -> Result<Vec<&[u8]>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if parts.pop().is_none() {
                    return Err(Error::hostile(name, "it leaves the layer's root"));
                }
            }
            part if part.contains(&0) => return Err(Error::hostile(name, "it has a zero byte")),
            part => parts.push(part),
        }
    }
    Ok(parts)
}

/// Joins parts again.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_never_leave() {
        let clean = |name: &str| split(name.as_bytes()).map(|p| String::from_utf8(join(&p)).unwrap());
        assert_eq!(clean("./a//b/./c/").unwrap(), "a/b/c");
        assert_eq!(clean("/etc/passwd").unwrap(), "etc/passwd");
        assert_eq!(clean("a/../b").unwrap(), "b");
        assert_eq!(clean("./").unwrap(), "");
        for bad in ["..", "../x", "/../x", "a/../../x", "a\0b"] {
            assert!(clean(bad).is_err(), "{bad:?}");
        }
    }
}
