//! The destination of a process's output as clients name it: a FIFO's path (containerd), a URI `file://`,
//! `binary://`, `json-file://`, `none:`, or nothing.

use std::path::PathBuf;

use super::json_log::Rotation;
use crate::error::{Error, Result};

/// The destination of a process's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Attached clients only.
    None,
    /// `/dev/null`.
    Null,
    Fifo(PathBuf),
    /// One file, appended to.
    File(PathBuf),
    /// A logging program with its arguments.
    Binary {
        program: PathBuf,
        arguments: Vec<String>,
    },
    /// Docker's log file, and attached clients.
    JsonFile {
        path: PathBuf,
        rotation: Rotation,
        attributes: Option<String>,
    },
}

impl Target {
    /// Parses a path or URI.
    pub fn parse(uri: &str) -> Result<Self> {
        let invalid = |reason: &str| Error::Stdio { uri: uri.to_string(), reason: reason.to_string() };
        if uri.is_empty() {
            return Ok(Self::Null);
        }
        let Some((scheme, rest)) = uri.split_once(':').filter(|(scheme, _)| !scheme.contains('/')) else {
            return Ok(Self::Fifo(PathBuf::from(uri)));
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = || {
            // A plus stands for a space in the query only.
            let decoded = decode(&path.replace('+', "%2B")).ok_or_else(|| invalid("a bad escape"))?;
            if decoded.starts_with('/') {
                Ok(PathBuf::from(decoded))
            } else {
                Err(invalid("the path must be absolute"))
            }
        };
        let pairs = || -> Result<Vec<(String, String)>> {
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    decode(key).zip(decode(value)).ok_or_else(|| invalid("a bad escape"))
                })
                .collect()
        };
        match scheme {
            "none" => Ok(Self::None),
            "fifo" => Ok(Self::Fifo(path()?)),
            "file" => Ok(Self::File(path()?)),
            "binary" | "binary-v2" => Ok(Self::Binary {
                program: path()?,
                arguments: pairs()?
                    .into_iter()
                    .flat_map(|(key, value)| [key, value])
                    .filter(|word| !word.is_empty())
                    .collect(),
            }),
            "json-file" => {
                let mut rotation = Rotation { max_size: 0, max_files: 1 };
                let mut attributes = None;
                for (key, value) in pairs()? {
                    match key.as_str() {
                        "max-size" => {
                            rotation.max_size = size(&value).ok_or_else(|| invalid("a bad max-size"))?;
                        }
                        "max-file" => {
                            rotation.max_files = value
                                .parse()
                                .ok()
                                .filter(|files| *files > 0)
                                .ok_or_else(|| invalid("a bad max-file"))?;
                        }
                        "attrs" if !value.is_empty() => {
                            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&value)
                                .map_err(|_| invalid("attrs is no JSON object"))?;
                            attributes = Some(value);
                        }
                        "attrs" => {}
                        _ => return Err(invalid(&format!("unknown option {key}"))),
                    }
                }
                Ok(Self::JsonFile { path: path()?, rotation, attributes })
            }
            _ => Err(invalid("unknown scheme")),
        }
    }

    /// Whether clients may attach to the process.
    pub fn is_attachable(&self) -> bool {
        matches!(self, Self::None | Self::JsonFile { .. })
    }
}

/// Parses a size as in Docker's options: bytes, or with k, m or g (powers of 1024).
fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let scale = match text[digits.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << scale)
}

/// Decodes percent-encoding, and a plus as a space.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_uris_are_told_apart() {
        let parse = |uri| Target::parse(uri).expect("valid");
        assert_eq!(parse(""), Target::Null);
        assert_eq!(parse("none:"), Target::None);
        assert_eq!(parse("/run/fifo/a:b"), Target::Fifo("/run/fifo/a:b".into()));
        assert_eq!(parse("file:///tmp/a%20b+c"), Target::File("/tmp/a b+c".into()));
        assert_eq!(
            parse("binary:///bin/log?id=1&flag"),
            Target::Binary {
                program: "/bin/log".into(),
                arguments: vec!["id".into(), "1".into(), "flag".into()]
            }
        );
        assert_eq!(
            parse("json-file:///x.log?max-size=10m&max-file=3&attrs=%7B%22a%22%3A%22b%22%7D"),
            Target::JsonFile {
                path: "/x.log".into(),
                rotation: Rotation { max_size: 10 << 20, max_files: 3 },
                attributes: Some("{\"a\":\"b\"}".into())
            }
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for uri in [
            "journald:",
            "file://relative",
            "json-file:///x?max-size=ten",
            "json-file:///x?max-file=0",
            "json-file:///x?attrs=[]",
            "json-file:///x?what=1",
            "file:///%zz",
        ] {
            assert!(Target::parse(uri).is_err(), "{uri}");
        }
    }
}
