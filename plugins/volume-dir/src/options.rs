//! The options of a volume.

use std::collections::BTreeMap;

use gantry_plugin_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

/// Options that were parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Limit in bytes; 0 for no limit.
    pub size: u64,
    /// Limit of files; 0 for no limit.
    pub inodes: u64,
    /// Mode of the volume's own folder.
    pub mode: Option<u32>,
    /// Owner of the folder.
    pub uid: Option<u32>,
    /// Group of the folder.
    pub gid: Option<u32>,
}

impl Options {
    /// Parses the user's options (`-o`).
    ///
    /// # Errors
    ///
    /// An unknown option, or one with an invalid value.
    pub fn parse(said: &BTreeMap<String, String>) -> Result<Options> {
        let mut options = Options::default();
        for (key, text) in said {
            let odd = |what: &str| Error::about(key, format!("{text:?} is not {what}"));
            match key.as_str() {
                "size" => options.size = bytes(text).ok_or_else(|| odd("a size, as 500m or 10g"))?,
                "inodes" => options.inodes = text.parse().map_err(|_| odd("a number of files"))?,
                "mode" => {
                    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
                    options.mode = Some(mode.ok_or_else(|| odd("a mode, as 0750"))?);
                }
                "uid" => options.uid = Some(id(text).ok_or_else(|| odd("a number"))?),
                "gid" => options.gid = Some(id(text).ok_or_else(|| odd("a number"))?),
                _ => return Err(Error::about(key, "no such option: there are gid, inodes, mode, size, uid")),
            }
        }
        Ok(options)
    }

    /// Whether the file system has to enforce a limit.
    pub fn is_limited(&self) -> bool {
        self.size > 0 || self.inodes > 0
    }
}

/// The largest number means "leave as it is" to chown(2).
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

/// Parses a number with a binary unit: `b`, `k`, `m`, `g`, `t`, optionally followed by `ib` or `b`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("10m"), Some(10 << 20));
        assert_eq!(bytes(" 1GiB "), Some(1 << 30));
        assert_eq!(bytes("512"), Some(512));
        for bad in ["", "m", "1.5g", "-1", "10x", "99999999t", "0x10"] {
            assert_eq!(bytes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let parse = |key: &str, value: &str| {
            Options::parse(&[(key.to_owned(), value.to_owned())].into()).map_err(|error| error.to_string())
        };
        assert_eq!(parse("mode", "0750").map(|options| options.mode), Ok(Some(0o750)));
        assert_eq!(parse("size", "ten"), Err("size: \"ten\" is not a size, as 500m or 10g".to_owned()));
        assert!(parse("uid", "4294967295").is_err());
        assert!(parse("mode", "10000").is_err());
        assert_eq!(
            parse("colour", "red"),
            Err("colour: no such option: there are gid, inodes, mode, size, uid".to_owned())
        );
    }
}
