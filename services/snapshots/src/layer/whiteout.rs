//! What a layer removes from those below it.
//!
//! In an archive, an empty file `.wh.NAME` removes NAME, and `.wh..wh..opq` removes everything in its directory. In a
//! directory of overlay's, a character device 0:0 removes, and an attribute makes a directory opaque.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use gantry_rooted::{Dir, EntryKind};

use crate::{Error, Result};

/// Overlay's attribute of an opaque directory.
pub const OPAQUE: &str = "trusted.overlay.opaque";

const PREFIX: &[u8] = b".wh.";
const META_PREFIX: &[u8] = b".wh..wh.";
pub(super) const OPAQUE_NAME: &[u8] = b".wh..wh..opq";

/// What a name in an archive means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning<'n> {
    /// An ordinary entry.
    Entry,
    /// Removes this name.
    Whiteout(&'n [u8]),
    /// Removes what the directory has below.
    Opaque,
    /// Bookkeeping of AUFS, to be passed over.
    Metadata,
}

/// Tells what an entry means by its parts.
pub fn meaning<'n>(path: &[u8], parts: &[&'n [u8]]) -> Result<Meaning<'n>> {
    let Some((name, parents)) = parts.split_last() else { return Ok(Meaning::Entry) };
    if parents.iter().any(|part| part.starts_with(META_PREFIX)) {
        return Ok(Meaning::Metadata);
    }
    if parents.iter().any(|part| part.starts_with(PREFIX)) {
        return Err(Error::hostile(path, "it lies in a whiteout"));
    }
    if *name == OPAQUE_NAME {
        return Ok(Meaning::Opaque);
    }
    if name.starts_with(META_PREFIX) {
        return Ok(Meaning::Metadata);
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Meaning::Entry),
        Some(b"" | b"." | b"..") => Err(Error::hostile(path, "it is a whiteout of nothing")),
        Some(removed) => Ok(Meaning::Whiteout(removed)),
    }
}

/// Marks a name as removed, in a directory of overlay's. What this very layer has under the name stays.
pub fn mark(dir: &Dir, name: &[u8]) -> Result<()> {
    let name = OsStr::from_bytes(name);
    match dir.stat(name)? {
        None => dir.mknod(name, EntryKind::CharDevice, 0, (0, 0))?,
        Some(stat) if stat.kind == EntryKind::Directory => dir.set_xattr(name, OsStr::new(OPAQUE), b"y")?,
        Some(_) => {}
    }
    Ok(())
}

/// Marks an open directory of overlay's as hiding what is below it.
pub fn mark_opaque(dir: &Dir) -> Result<()> {
    Ok(dir.set_xattr(OsStr::new("."), OsStr::new(OPAQUE), b"y")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Result<String> {
        let parts: Vec<&[u8]> = path.as_bytes().split(|byte| *byte == b'/').collect();
        meaning(path.as_bytes(), &parts).map(|meaning| format!("{meaning:?}"))
    }

    #[test]
    fn whiteouts_are_told_from_entries() {
        assert_eq!(of("a/b").unwrap(), "Entry");
        assert_eq!(of("a/.whx").unwrap(), "Entry");
        assert_eq!(of("a/.wh.b").unwrap(), format!("{:?}", Meaning::Whiteout(b"b")));
        assert_eq!(of("a/.wh..wh..opq").unwrap(), "Opaque");
        assert_eq!(of(".wh..wh.plnk/1.2").unwrap(), "Metadata");
        for bad in ["a/.wh.", "a/.wh..", "a/.wh...", ".wh.a/b"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
