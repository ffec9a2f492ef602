//! Extracting an archive into a root.
//!
//! Every name is resolved inside the root, one open directory at a time ([`Directories`]). Files are made anew
//! (`O_EXCL`), so that nothing is ever written through a link; what stands in the way is removed first, as later
//! entries of a layer replace earlier ones. Times and special bits of directories come last: making entries in a
//! directory would change them.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io::{BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_archive::tar::{Entry, Kind, Reader};
use gantry_rooted::{self as root, Dir, EntryKind, Root, Time};
use gantry_types::Digest;

use super::directories::Directories;
use super::name;
use super::stream::{Decompressed, decompressed};
use super::whiteout::{self, Meaning};
use crate::{Error, Result};

/// What is extracted into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// An empty directory that will be a layer of overlay's: removals become overlay's marks.
    Overlay,
    /// A whole file system with the layers below in it: removals are done.
    Merged,
}

/// Tells an extraction to give up. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Gives up at the next entry.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was given up.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The result of an extraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// The digest of the uncompressed archive.
    pub diff_id: Digest,
    /// Its length.
    pub size: u64,
    /// Directories that had to be made though the archive does not have them, parents first; the root is the empty name.
    pub implied: Vec<Vec<u8>>,
}

/// Extracts the possibly compressed archive that `source` yields. Blocks; uses a second thread.
///
/// After an error the caller has to remove what was written.
pub fn extract(source: impl Read + Send, root: &Root, mode: Mode, cancel: &Cancel) -> Result<Extracted> {
    decompressed(source, |bytes| {
        let mut work = Extraction::new(root, mode)?;
        let mut reader = Reader::new(bytes);
        while let Some(entry) = reader.next_entry()? {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            work.take(&entry, &mut reader)?;
        }
        let (diff_id, size) = finish(reader)?;
        let implied = work.finish()?;
        Ok(Extracted { diff_id, size, implied })
    })
}

fn finish(reader: Reader<Decompressed>) -> Result<(Digest, u64)> {
    reader.into_source().finish().map_err(|error| Error::Tar(error.into()))
}

struct Extraction<'r> {
    root: &'r Root,
    mode: Mode,
    open: Directories<'r>,
    /// In the mode `Merged`: what this layer made. The layer's own removals must spare it.
    made: HashSet<Vec<u8>>,
    /// Modes and times that directories get in the end: those of each one's last entry.
    late: BTreeMap<Vec<u8>, (u32, Time)>,
    root_given: bool,
}

impl<'r> Extraction<'r> {
    fn new(root: &'r Root, mode: Mode) -> Result<Self> {
        let open = Directories::new(root, mode)?;
        Ok(Self { root, mode, open, made: HashSet::new(), late: BTreeMap::new(), root_given: false })
    }

    fn take(&mut self, entry: &Entry, reader: &mut Reader<impl BufRead>) -> Result<()> {
        let parts = name::split(&entry.path)?;
        let Some((name, parents)) = parts.split_last() else {
            return self.take_root(entry);
        };
        let result = match whiteout::meaning(&entry.path, &parts)? {
            Meaning::Entry => {
                if self.mode == Mode::Merged {
                    self.note(&parts);
                }
                self.make(entry, parents, OsStr::from_bytes(name), reader)
            }
            Meaning::Metadata => Ok(()),
            Meaning::Whiteout(removed) => self.remove(parents, removed),
            Meaning::Opaque => self.clear(parents),
        };
        result.map_err(|error| error.at(&entry.path))
    }

    fn make(
        &mut self,
        entry: &Entry,
        parents: &[&[u8]],
        name: &OsStr,
        reader: &mut Reader<impl BufRead>,
    ) -> Result<()> {
        let owned = self.mode == Mode::Merged || entry.uid != 0 || entry.gid != 0;
        if entry.kind == Kind::Directory {
            return self.make_directory(entry, parents, name, owned);
        }
        if entry.kind == Kind::HardLink {
            return self.make_link(entry, parents, name);
        }
        let dir = self.open.enter(parents)?;
        match entry.kind {
            Kind::File => {
                let file = replacing(dir, name, || dir.create_file(name, entry.mode & 0o777))?;
                reader.write_to(entry, &file)?;
                if owned {
                    root::set_file_owner(&file, entry.uid, entry.gid)?;
                }
                for (attribute, value) in attributes(entry) {
                    tolerate(root::set_file_xattr(&file, attribute, value), attribute)?;
                }
                if entry.mode & 0o7000 != 0 {
                    root::set_file_mode(&file, entry.mode)?;
                }
                root::set_file_times(&file, entry.mtime)?;
                return Ok(());
            }
            Kind::Symlink => {
                if entry.link.is_empty() {
                    return Err(Error::hostile(&entry.path, "it is a symlink to nothing"));
                }
                let target = OsStr::from_bytes(&entry.link);
                replacing(dir, name, || dir.symlink(target, name))?;
            }
            Kind::CharDevice => {
                replacing(dir, name, || dir.mknod(name, EntryKind::CharDevice, entry.mode, entry.device))?
            }
            Kind::BlockDevice => {
                replacing(dir, name, || dir.mknod(name, EntryKind::BlockDevice, entry.mode, entry.device))?;
            }
            Kind::Fifo => replacing(dir, name, || dir.mknod(name, EntryKind::Fifo, entry.mode, (0, 0)))?,
            Kind::Directory | Kind::HardLink => unreachable!("made above"),
        }
        if owned {
            dir.set_owner(name, entry.uid, entry.gid)?;
        }
        for (attribute, value) in attributes(entry) {
            tolerate(dir.set_xattr(name, attribute, value), attribute)?;
        }
        if owned && entry.kind != Kind::Symlink && entry.mode & 0o7000 != 0 {
            dir.set_mode(name, entry.mode)?;
        }
        dir.set_times(name, entry.mtime)?;
        Ok(())
    }

    fn make_directory(&mut self, entry: &Entry, parents: &[&[u8]], name: &OsStr, owned: bool) -> Result<()> {
        let dir = self.open.enter(parents)?;
        let permissions = entry.mode & 0o777;
        let mut late_mode = entry.mode & 0o7000 != 0;
        if let Err(error) = dir.make_dir(name, permissions) {
            if error.raw_os_error() != Some(EEXIST) {
                return Err(error.into());
            }
            let there = dir.stat(name)?;
            if there.is_some_and(|stat| stat.kind == EntryKind::Directory) {
                late_mode = true;
            } else {
                dir.remove_file(name)?;
                dir.make_dir(name, permissions)?;
                if self.mode == Mode::Overlay && there.is_some_and(|stat| stat.is_whiteout()) {
                    dir.set_xattr(name, OsStr::new(whiteout::OPAQUE), b"y")?;
                }
            }
        }
        if owned || late_mode {
            dir.set_owner(name, entry.uid, entry.gid)?;
        }
        for (attribute, value) in attributes(entry) {
            tolerate(dir.set_xattr(name, attribute, value), attribute)?;
        }
        let path = name::join(&[parents, &[name.as_bytes()]].concat());
        if late_mode {
            self.open.explain(&path);
        }
        self.late.insert(path, (if late_mode { entry.mode } else { KEEP }, entry.mtime));
        Ok(())
    }

    fn make_link(&mut self, entry: &Entry, parents: &[&[u8]], name: &OsStr) -> Result<()> {
        let target = name::split(&entry.link)?;
        let Some((last, target_parents)) = target.split_last() else {
            return Err(Error::hostile(&entry.path, "it is a hard link to the root"));
        };
        if target_parents == parents && *last == name.as_bytes() {
            return Ok(());
        }
        let last = OsStr::from_bytes(last);
        self.open.enter(parents)?;
        let elsewhere = if self.open.is_at(target_parents) {
            None
        } else {
            match self.root.dir(Path::new(OsStr::from_bytes(&name::join(target_parents)))) {
                Ok(dir) => Some(dir),
                Err(error) if error.is_not_found() => return self.missing(entry),
                Err(error) => return Err(error.into()),
            }
        };
        let dir = self.open.current();
        let from = elsewhere.as_ref().unwrap_or(dir);
        match from.stat(last)? {
            None => return self.missing(entry),
            Some(stat) if stat.is_whiteout() && self.mode == Mode::Overlay => return self.missing(entry),
            Some(stat) if stat.kind == EntryKind::Directory => {
                return Err(Error::hostile(&entry.path, "it is a hard link to a directory"));
            }
            Some(_) => {}
        }
        replacing(dir, name, || dir.link(from, last, name))
    }

    fn missing(&self, entry: &Entry) -> Result<()> {
        match self.mode {
            Mode::Overlay => Err(Error::needs_lower(&entry.path)),
            Mode::Merged => Err(Error::hostile(&entry.path, "it is a hard link to nothing")),
        }
    }

    fn take_root(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(Error::hostile(&entry.path, "it would replace the root"));
        }
        let base = self.open.base();
        base.set_own_owner(entry.uid, entry.gid)?;
        for (attribute, value) in attributes(entry) {
            tolerate(base.set_xattr(OsStr::new("."), attribute, value), attribute)?;
        }
        self.root_given = true;
        self.late.insert(Vec::new(), (entry.mode, entry.mtime));
        Ok(())
    }

    fn remove(&mut self, parents: &[&[u8]], name: &[u8]) -> Result<()> {
        match self.mode {
            Mode::Overlay => whiteout::mark(self.open.enter(parents)?, name),
            Mode::Merged => {
                let path = name::join(&[parents, &[name]].concat());
                if self.made.contains(&path) {
                    return Ok(());
                }
                Ok(self.open.enter(parents)?.remove(OsStr::from_bytes(name))?)
            }
        }
    }

    fn clear(&mut self, parents: &[&[u8]]) -> Result<()> {
        let path = name::join(parents);
        if parents.is_empty() && self.mode == Mode::Overlay {
            // Overlay merges the roots of its layers whatever their attributes say.
            return Err(Error::needs_lower(whiteout::OPAQUE_NAME));
        }
        let dir = self.open.enter(parents)?;
        match self.mode {
            Mode::Overlay => whiteout::mark_opaque(dir),
            Mode::Merged => clear_unmade(dir, &path, &self.made),
        }
    }

    /// Remembers an entry and its parents as this layer's.
    fn note(&mut self, parts: &[&[u8]]) {
        for depth in (1..=parts.len()).rev() {
            if !self.made.insert(name::join(&parts[..depth])) {
                return;
            }
        }
    }

    /// A directory whose parents lead through a symlink; `None` if there is none any more.
    fn behind_link(&self, parts: &[&[u8]]) -> Result<Option<Dir>> {
        let Some((name, parents)) = parts.split_last() else { return Ok(None) };
        let gone =
            |error: &gantry_host::Error| matches!(error.raw_os_error(), Some(ENOENT | ENOTDIR | ELOOP));
        let parent = match self.root.dir(Path::new(OsStr::from_bytes(&name::join(parents)))) {
            Ok(parent) => parent,
            Err(error) if gone(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match parent.open_dir(OsStr::from_bytes(name)) {
            Err(error) if !gone(&error) => Err(error.into()),
            answer => Ok(answer.ok().flatten()),
        }
    }

    /// Sets what had to wait; tells which directories the archive does not have.
    fn finish(mut self) -> Result<Vec<Vec<u8>>> {
        // Children before parents.
        for (path, (mode, time)) in std::mem::take(&mut self.late).iter().rev() {
            let parts = name::split(path)?;
            // What replaced the directory meanwhile has attributes of its own.
            if let Some(dir) = self.open.revisit(&parts)? {
                set_late(dir, *mode, *time)?;
            } else if let Some(dir) = self.behind_link(&parts)? {
                set_late(&dir, *mode, *time)?;
            }
        }
        let mut implied = self.open.into_implied();
        if !self.root_given {
            implied.insert(0, Vec::new());
        }
        Ok(implied)
    }
}

fn set_late(dir: &Dir, mode: u32, time: Time) -> Result<()> {
    if mode != KEEP {
        dir.set_own_mode(mode)?;
    }
    Ok(dir.set_own_times(time)?)
}

/// Stands for "the mode that it was made with".
const KEEP: u32 = u32::MAX;
/// The error number of an entry that is there already, the same on all of Linux.
const EEXIST: i32 = 17;
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const EINVAL: i32 = 22;
const ELOOP: i32 = 40;
const EOPNOTSUPP: i32 = 95;

/// Makes an entry; what has its name already is removed for it.
fn replacing<T>(dir: &Dir, name: &OsStr, make: impl Fn() -> gantry_host::Result<T>) -> Result<T> {
    match make() {
        Err(error) if error.raw_os_error() == Some(EEXIST) => {
            dir.remove(name)?;
            Ok(make()?)
        }
        answer => Ok(answer?),
    }
}

/// The attributes to set: not overlay's own, by which a layer could reach into others.
fn attributes(entry: &Entry) -> impl Iterator<Item = (&OsStr, &[u8])> {
    entry
        .xattrs
        .iter()
        .filter(|(name, _)| !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay."))
        .map(|(name, value)| (OsStr::from_bytes(name), value.as_slice()))
}

/// A file system without such attributes, or a kind of entry that cannot have them, is no reason to refuse a layer.
fn tolerate(result: gantry_host::Result<()>, attribute: &OsStr) -> Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(EOPNOTSUPP) => Ok(()),
            Some(EPERM | EACCES | EINVAL) if attribute.as_bytes().starts_with(b"user.") => Ok(()),
            _ => Err(error.into()),
        },
    }
}

/// Removes from a directory what the layer itself did not make.
fn clear_unmade(dir: &Dir, path: &[u8], made: &HashSet<Vec<u8>>) -> Result<()> {
    for entry in dir.entries()? {
        let mut below = path.to_vec();
        if !below.is_empty() {
            below.push(b'/');
        }
        below.extend(entry.name.as_bytes());
        if !made.contains(&below) {
            dir.remove(&entry.name)?;
        } else if let Some(inner) = dir.open_dir(&entry.name)? {
            clear_unmade(&inner, &below, made)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
