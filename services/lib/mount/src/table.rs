//! The mount table in `/proc/<pid>/mountinfo`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// One line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The mount's id.
    pub id: u32,
    /// The id of the parent mount.
    pub parent: u32,
    /// The device's major number.
    pub major: u32,
    /// The device's minor number.
    pub minor: u32,
    /// The directory of the file system that is mounted.
    pub root: PathBuf,
    /// The mount point.
    pub mount_point: PathBuf,
    /// The mount's own options.
    pub options: Vec<String>,
    /// Tags such as `shared:12` and `master:3`.
    pub tags: Vec<String>,
    /// The type of file system.
    pub fs_type: String,
    /// The source.
    pub source: String,
    /// Options of the file system.
    pub super_options: Vec<String>,
}

/// Reads the calling process's mount table.
pub fn read() -> Result<Vec<Entry>> {
    read_from(Path::new("/proc/self/mountinfo"))
}

/// Reads the mount table of another process's namespace.
pub fn read_of(pid: u32) -> Result<Vec<Entry>> {
    read_from(&PathBuf::from(format!("/proc/{pid}/mountinfo")))
}

/// The mounts at `place` and below it, the deepest and latest first: the order in which they can be unmounted.
pub fn below(place: &Path) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> =
        read()?.into_iter().filter(|entry| entry.mount_point.starts_with(place)).collect();
    entries.reverse();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.mount_point.components().count()));
    Ok(entries)
}

fn read_from(path: &Path) -> Result<Vec<Entry>> {
    let text = std::fs::read(path).map_err(|e| Error::path("read", path, e))?;
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse).collect()
}

/// Parses a line: `id parent major:minor root point options [tags…] - type source super-options`.
pub fn parse(line: &[u8]) -> Result<Entry> {
    let malformed =
        || Error::Malformed { what: "mountinfo line", text: String::from_utf8_lossy(line).into_owned() };
    let mut fields = line.split(|byte| *byte == b' ');
    let mut next = || fields.next().ok_or_else(malformed);
    let id = number(next()?).ok_or_else(malformed)?;
    let parent = number(next()?).ok_or_else(malformed)?;
    let device = next()?;
    let root = path(next()?);
    let mount_point = path(next()?);
    let options = words(next()?);
    let mut tags = Vec::new();
    loop {
        match next()? {
            b"-" => break,
            tag => tags.push(String::from_utf8_lossy(tag).into_owned()),
        }
    }
    let fs_type = String::from_utf8_lossy(next()?).into_owned();
    let source = path(next()?).to_string_lossy().into_owned();
    let super_options = words(next().unwrap_or_default());
    let mut device = device.splitn(2, |byte| *byte == b':');
    let major = device.next().and_then(number).ok_or_else(malformed)?;
    let minor = device.next().and_then(number).ok_or_else(malformed)?;
    Ok(Entry { id, parent, major, minor, root, mount_point, options, tags, fs_type, source, super_options })
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn words(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text).split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The kernel writes space, tab, newline and backslash as octal escapes.
fn path(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_tags_and_escapes_is_read() {
        let entry = parse(br"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 shared:7 - ext3 /dev/ro\134ot rw,errors=continue").unwrap();
        assert_eq!((entry.id, entry.parent, entry.major, entry.minor), (36, 35, 98, 0));
        assert_eq!(entry.mount_point, Path::new("/mnt 2"));
        assert_eq!(entry.tags, ["master:1", "shared:7"]);
        assert_eq!(entry.source, "/dev/ro\\ot");
        assert_eq!(entry.super_options, ["rw", "errors=continue"]);
    }

    #[test]
    fn a_cut_line_is_refused() {
        assert!(parse(b"36 35 98:0 /mnt1 /mnt2 rw").is_err());
        assert!(parse(b"x 35 98:0 / / rw - a b c").is_err());
    }

    #[test]
    fn the_own_table_has_a_root() {
        assert!(read().unwrap().iter().any(|entry| entry.mount_point == Path::new("/")));
    }
}
