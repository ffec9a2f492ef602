//! pax extended headers: records of `length key=value\n`.

use gantry_rooted::Time;

use super::LONGEST_NAME;

/// The content of an extended header, which is about the next entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Sparse,
}

/// GNU's keys of sparse files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sparse {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// `size` of version 0.1, `realsize` of version 1.0.
    pub(super) real_size: Option<u64>,
    /// Version 0.1: alternating offsets and lengths.
    pub(super) map: Option<Vec<u64>>,
}

impl Sparse {
    /// Whether the header has no key of a sparse file.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Pax {
    /// Parses all records. The error continues the sentence "the extended header at 0".
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut pax = Self::default();
        let mut seen = std::collections::HashSet::new();
        for record in records(bytes)? {
            let (key, value) = record;
            if !seen.insert(key) {
                return Err(format!("has the key {:?} twice", lossy(key)));
            }
            pax.take(key, value)?;
        }
        Ok(pax)
    }

    /// Checks a global header: it must not change entries or where they end.
    pub(super) fn check_global(bytes: &[u8]) -> Result<(), String> {
        for (key, _) in records(bytes)? {
            if matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.") {
                return Err(format!("gives {:?} to all entries", lossy(key)));
            }
        }
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let bad = || format!("has a bad value for {:?}", lossy(key));
        if value.is_empty() && !key.starts_with(b"SCHILY.xattr.") {
            // An empty value: the entry's own header counts.
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(name(value).ok_or_else(bad)?),
            b"linkpath" => self.link = Some(name(value).ok_or_else(bad)?),
            b"size" => self.size = Some(number(value).ok_or_else(bad)?),
            b"uid" => self.uid = Some(number(value).and_then(|id| u32::try_from(id).ok()).ok_or_else(bad)?),
            b"gid" => self.gid = Some(number(value).and_then(|id| u32::try_from(id).ok()).ok_or_else(bad)?),
            b"mtime" => self.mtime = Some(time(value).ok_or_else(bad)?),
            b"GNU.sparse.major" => self.sparse.major = Some(number(value).ok_or_else(bad)?),
            b"GNU.sparse.minor" => self.sparse.minor = Some(number(value).ok_or_else(bad)?),
            b"GNU.sparse.name" => self.sparse.name = Some(name(value).ok_or_else(bad)?),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => {
                let size = number(value).ok_or_else(bad)?;
                if self.sparse.real_size.replace(size).is_some() {
                    return Err("gives a sparse file two sizes".to_owned());
                }
            }
            b"GNU.sparse.map" => {
                let numbers: Option<Vec<u64>> = value.split(|byte| *byte == b',').map(number).collect();
                self.sparse.map = Some(numbers.ok_or_else(bad)?);
            }
            b"GNU.sparse.numblocks" => {}
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                return Err("uses sparse form 0.0, which cannot be told from a mistake: use 1.0".to_owned());
            }
            _ => {
                if let Some(attribute) = key.strip_prefix(b"SCHILY.xattr.") {
                    if attribute.is_empty() || attribute.len() > 255 || attribute.contains(&0) {
                        return Err(bad());
                    }
                    self.xattrs.push((attribute.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

type Record<'b> = (&'b [u8], &'b [u8]);

fn records(mut bytes: &[u8]) -> Result<Vec<Record<'_>>, String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let bad = || "has a record that does not end where it says".to_owned();
        let space = bytes.iter().take(12).position(|byte| *byte == b' ').ok_or_else(bad)?;
        let length =
            number(&bytes[..space]).and_then(|length| usize::try_from(length).ok()).ok_or_else(bad)?;
        if length <= space + 1 || length > bytes.len() {
            return Err(bad());
        }
        let (record, rest) = bytes.split_at(length);
        let Some((b'\n', content)) = record[space + 1..].split_last() else { return Err(bad()) };
        let equals = content.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
        if equals == 0 {
            return Err(bad());
        }
        found.push((&content[..equals], &content[equals + 1..]));
        bytes = rest;
    }
    Ok(found)
}

fn name(value: &[u8]) -> Option<Vec<u8>> {
    (!value.contains(&0) && value.len() <= LONGEST_NAME).then(|| value.to_vec())
}

/// Decimal digits only, in the range of a file's size.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok().filter(|number| *number <= 1 << 60)
}

/// `[-]seconds[.fraction]`, rounded down to nanoseconds.
fn time(value: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(value).ok()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = i64::try_from(number(whole.as_bytes())?).ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut nanos = 0u32;
    for at in 0..9 {
        nanos = nanos * 10 + fraction.as_bytes().get(at).map_or(0, |digit| u32::from(digit - b'0'));
    }
    Some(match (negative, nanos) {
        (false, nanos) => Time { seconds, nanos },
        (true, 0) => Time { seconds: -seconds, nanos: 0 },
        (true, nanos) => Time { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &str) -> Vec<u8> {
        let mut length = key.len() + value.len() + 3;
        while length != key.len() + value.len() + 3 + length.to_string().len() {
            length = key.len() + value.len() + 3 + length.to_string().len();
        }
        format!("{length} {key}={value}\n").into_bytes()
    }

    #[test]
    fn records_are_read() {
        let bytes = [
            record("path", "a\nb=c"),
            record("size", "12345678901"),
            record("mtime", "-1.25"),
            record("SCHILY.xattr.user.x", "\u{1}=\n"),
            record("comment", "whatever"),
        ]
        .concat();
        let pax = Pax::parse(&bytes).unwrap();
        assert_eq!(pax.path.unwrap(), b"a\nb=c");
        assert_eq!(pax.size, Some(12_345_678_901));
        assert_eq!(pax.mtime, Some(Time { seconds: -2, nanos: 750_000_000 }));
        assert_eq!(pax.xattrs, [(b"user.x".to_vec(), b"\x01=\n".to_vec())]);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for bytes in [
            [record("path", "a"), record("path", "b")].concat(),
            b"11 path=a\n".to_vec(),
            b"99999 path=a\n".to_vec(),
            b"8 path=a\n".to_vec(),
            b"10 path=a ".to_vec(),
            b"x path=a\n".to_vec(),
            b"6 =abc\n".to_vec(),
            record("size", "-1"),
            record("size", "1e3"),
            record("size", "99999999999999999999"),
            record("uid", "4294967296"),
            record("path", "a\0b"),
            record("path", &"x".repeat(5000)),
            record("GNU.sparse.offset", "0"),
        ] {
            assert!(Pax::parse(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
        assert!(Pax::check_global(&record("size", "5")).is_err());
        assert!(Pax::check_global(&record("comment", "5")).is_ok());
    }
}
