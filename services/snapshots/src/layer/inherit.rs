//! What a layer that was extracted alone inherits from those below it.
//!
//! A directory that the archive does not have, but has entries in, was made with default attributes. In the stack it
//! covers the directory of that name below, so it must take over that one's owner, mode, times and attributes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gantry_rooted::{Dir, EntryKind, Root};

use crate::Result;

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inherited {
    /// Every directory is as it should be.
    Yes,
    /// A directory covers a symlink below: the layer must be extracted again, onto the layers below, to go through it.
    ThroughLink(Vec<u8>),
}

/// Looks the implied directories of `upper` up in `lower`, which holds all layers below, merged.
pub fn inherit(upper: &Root, lower: &Root, implied: &[Vec<u8>]) -> Result<Inherited> {
    // Parents come first, so a symlink is found before what lies behind it; deeper ones are set last, as setting
    // attributes does not change a parent's times.
    for path in implied {
        let name = Path::new(OsStr::from_bytes(path));
        if path.is_empty() {
            copy(&lower.dir(name)?, &upper.dir(name)?)?;
            continue;
        }
        // A later entry may have replaced what was invented.
        if kind(upper, name)? != Some(EntryKind::Directory) {
            continue;
        }
        match kind(lower, name)? {
            Some(EntryKind::Directory) => copy(&lower.dir(name)?, &upper.dir(name)?)?,
            Some(EntryKind::Symlink) => return Ok(Inherited::ThroughLink(path.clone())),
            _ => {}
        }
    }
    Ok(Inherited::Yes)
}

const ENOTDIR: i32 = 20;

/// What a path names; `None` for nothing.
fn kind(root: &Root, name: &Path) -> Result<Option<EntryKind>> {
    match root.stat(name) {
        Ok(stat) => Ok(EntryKind::from_mode(stat.st_mode)),
        Err(error) if error.is_not_found() || error.raw_os_error() == Some(ENOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn copy(from: &Dir, to: &Dir) -> Result<()> {
    let stat = from.own_stat()?;
    to.set_own_owner(stat.uid, stat.gid)?;
    let here = OsStr::new(".");
    for (name, value) in from.xattrs(here)? {
        if !name.as_bytes().starts_with(b"trusted.overlay.") {
            to.set_xattr(here, &name, &value)?;
        }
    }
    to.set_own_mode(stat.mode)?;
    Ok(to.set_own_times(stat.modified)?)
}
