//! A layer out of two whole trees.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use gantry_rooted::{Dir, EntryKind, FileStat, Root};

use super::pack::{Packer, check_length};
use crate::Result;

/// Packs what `right` has that `left` has not, or has otherwise, and the removal of what only `left` has.
pub(super) fn pack<W: Write>(left: Option<&Root>, right: &Root, packer: &mut Packer<W>) -> Result<()> {
    let right = right.dir(Path::new(""))?;
    let left = left.map(|left| left.dir(Path::new(""))).transpose()?;
    let mut walk = Walk { packer, path: Vec::new(), unpacked: Vec::new() };
    walk.directory(left.as_ref(), &right)
}

struct Walk<'p, W: Write> {
    packer: &'p mut Packer<W>,
    path: Vec<u8>,
    /// Directories on the way here that are the same on both sides: packed only when something in them differs.
    unpacked: Vec<Parent>,
}

struct Parent {
    dir: Dir,
    name: OsString,
    path: Vec<u8>,
    stat: FileStat,
}

impl<W: Write> Walk<'_, W> {
    fn directory(&mut self, left: Option<&Dir>, right: &Dir) -> Result<()> {
        let mut names: BTreeMap<OsString, ()> =
            right.entries()?.into_iter().map(|entry| (entry.name, ())).collect();
        if let Some(left) = left {
            names.extend(left.entries()?.into_iter().map(|entry| (entry.name, ())));
        }
        for name in names.into_keys() {
            let before = match left {
                Some(left) => left.stat(&name)?,
                None => None,
            };
            let after = right.stat(&name)?;
            match (before, after) {
                (_, Some(after)) => self.entry(left, right, &name, before, after)?,
                (Some(_), None) => {
                    self.pack_parents()?;
                    self.packer.whiteout(&self.path, name.as_bytes())?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        left: Option<&Dir>,
        right: &Dir,
        name: &OsStr,
        before: Option<FileStat>,
        after: FileStat,
    ) -> Result<()> {
        let length = self.path.len();
        if length > 0 {
            self.path.push(b'/');
        }
        self.path.extend(name.as_bytes());
        check_length(&self.path)?;
        let same = match (left, before) {
            (Some(left), Some(before)) => is_same(left, right, name, &before, &after)?,
            _ => false,
        };
        if after.kind == EntryKind::Directory {
            let was_directory = before.is_some_and(|before| before.kind == EntryKind::Directory);
            let below_left = match left {
                Some(left) if was_directory => left.open_dir(name)?,
                _ => None,
            };
            let below_right = right.open_dir(name)?;
            if same {
                let parent = Parent {
                    dir: right.try_clone()?,
                    name: name.to_owned(),
                    path: self.path.clone(),
                    stat: after,
                };
                self.unpacked.push(parent);
            } else {
                self.pack_parents()?;
                self.packer.entry(right, name, &self.path, &after)?;
            }
            if let Some(below) = below_right {
                self.directory(below_left.as_ref(), &below)?;
            }
            if same {
                // Packed meanwhile, or nothing in it differed.
                self.unpacked.pop_if(|parent| parent.path == self.path);
            }
        } else if !same {
            self.pack_parents()?;
            self.packer.entry(right, name, &self.path, &after)?;
        }
        self.path.truncate(length);
        Ok(())
    }

    fn pack_parents(&mut self) -> Result<()> {
        for parent in std::mem::take(&mut self.unpacked) {
            self.packer.entry(&parent.dir, &parent.name, &parent.path, &parent.stat)?;
        }
        Ok(())
    }
}

/// Whether an entry is the same on both sides. Contents are taken for equal when length and time are.
fn is_same(left: &Dir, right: &Dir, name: &OsStr, before: &FileStat, after: &FileStat) -> Result<bool> {
    if before.kind != after.kind
        || (before.mode, before.uid, before.gid) != (after.mode, after.uid, after.gid)
    {
        return Ok(false);
    }
    let contents_same = match after.kind {
        EntryKind::Directory => true,
        EntryKind::File => (before.size, before.modified) == (after.size, after.modified),
        EntryKind::Symlink => left.read_link(name)? == right.read_link(name)?,
        EntryKind::CharDevice | EntryKind::BlockDevice => before.special == after.special,
        EntryKind::Fifo | EntryKind::Socket => true,
    };
    if !contents_same {
        return Ok(false);
    }
    let visible = |dir: &Dir| -> Result<Vec<(OsString, Vec<u8>)>> {
        let mut attributes = dir.xattrs(name)?;
        attributes.retain(|(name, _)| !name.as_bytes().starts_with(b"trusted.overlay."));
        Ok(attributes)
    };
    Ok(visible(left)? == visible(right)?)
}
