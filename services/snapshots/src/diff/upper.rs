//! A layer out of overlay's upper directory: what is in it is what differs.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gantry_mount::{Mount, Options, Overlay};
use gantry_rooted::{Dir, EntryKind, Root};

use super::pack::{Packer, check_length};
use crate::Result;
use crate::layer::OPAQUE;

/// The directory that is all the difference between two lists of mounts, if there is one.
pub(super) fn between(left: &[Mount], right: &[Mount]) -> Option<PathBuf> {
    if !holds_all() {
        return None;
    }
    let ([left], [right]) = (left, right) else { return None };
    // What is shown with other ids than it has cannot be read where it lies.
    Options::parse(&right.options).ok()?;
    let right = Overlay::of(right)?;
    let same = match Overlay::of(left) {
        Some(left) => left.upper.is_none() && left.lower == right.lower,
        // A view of one layer is a bind of it.
        None => left.fs_type == "bind" && right.lower == [PathBuf::from(&left.source)],
    };
    right.upper.map(|upper| upper.files).filter(|_| same)
}

/// Whether this kernel's overlay copies whole files and directories up. Where the distribution has it otherwise, a file
/// whose mode was changed is empty in the upper directory, and one in a directory that was renamed is not there.
fn holds_all() -> bool {
    let is_off = |parameter: &str| {
        let path = format!("/sys/module/overlay/parameters/{parameter}");
        // Without the file the kernel lacks the feature, or its state is unknown: then both trees are read.
        std::fs::read_to_string(path).is_ok_and(|value| value.trim() == "N")
    };
    is_off("metacopy") && is_off("redirect_dir")
}

/// Packs an upper directory.
pub(super) fn pack<W: Write>(upper: &Root, packer: &mut Packer<W>) -> Result<()> {
    walk(&upper.dir(Path::new(""))?, &mut Vec::new(), packer)
}

fn walk<W: Write>(dir: &Dir, path: &mut Vec<u8>, packer: &mut Packer<W>) -> Result<()> {
    for entry in dir.entries()? {
        let Some(stat) = dir.stat(&entry.name)? else { continue };
        if stat.is_whiteout() {
            packer.whiteout(path, entry.name.as_bytes())?;
            continue;
        }
        let length = path.len();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(entry.name.as_bytes());
        check_length(path)?;
        packer.entry(dir, &entry.name, path, &stat)?;
        if stat.kind == EntryKind::Directory
            && let Some(below) = dir.open_dir(&entry.name)?
        {
            if dir.xattr(&entry.name, OsStr::new(OPAQUE))?.as_deref() == Some(b"y") {
                packer.opaque(path)?;
            }
            walk(&below, path, packer)?;
        }
        path.truncate(length);
    }
    Ok(())
}
