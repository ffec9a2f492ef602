//! Unpacks a tar that a client sends into a directory of a container.
//!
//! A name that leads out of the directory is refused. Every name is resolved inside the container's file system, and
//! the last part is never followed. An entry replaces what exists under its name, unless the client asked that
//! directories and other files keep their kind. A mount of the container is never replaced, and neither is a
//! directory that contains one.

mod make;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use gantry_archive::compression::Form;
use gantry_archive::tar::{self, Entry, Kind, Reader};
use gantry_rooted::{Access, Dir, EntryKind, Spot, Time};

use self::make::{Attributes, make};
use super::place::Place;
use super::words;
use crate::error::{Error, Result};
use crate::root::kernel;

/// Bytes per read.
const BUFFER: usize = 128 * 1024;

/// How a tar is unpacked.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Whether to refuse to replace a directory by another kind of file, and the reverse.
    pub keep_kinds: bool,
    /// Owner and group of every entry, in place of those in the tar.
    pub owner: Option<(u32, u32)>,
    /// The container, as the user named it; for errors.
    pub container: String,
    /// The directory, as the user named it; for errors.
    pub path: String,
}

/// A directory of a container that takes a tar.
pub struct Target {
    place: Place,
    directory: Spot,
    manner: Manner,
}

impl Target {
    /// Checks that a tar can be unpacked into `directory`.
    pub fn new(place: Place, directory: Spot, manner: Manner) -> Result<Target> {
        let within = |mount: &Path| directory.path.starts_with(mount);
        if directory.stat.kind != EntryKind::Directory {
            return Err(Error::Invalid("extraction point is not a directory".to_owned()));
        }
        if directory.access == Access::Read {
            return Err(Error::Invalid("mounted volume is marked read-only".to_owned()));
        }
        if place.read_only_root && !place.view.mounted().any(within) {
            return Err(Error::Invalid("container rootfs is marked read-only".to_owned()));
        }
        Ok(Target { place, directory, manner })
    }

    /// Unpacks a tar, which may be compressed.
    pub fn unpack(&self, input: impl Read) -> Result<()> {
        let input = BufReader::with_capacity(BUFFER, input);
        self.unpack_plain(Form::decoded(input).map_err(reading)?)
    }

    fn unpack_plain(&self, input: impl Read) -> Result<()> {
        let mut reader = Reader::new(BufReader::with_capacity(BUFFER, input));
        let mut unpacker = Unpacker { target: self, last: None, times: Vec::new() };
        while let Some(entry) = reader.next_entry()? {
            unpacker.entry(&entry, &mut reader)?;
        }
        unpacker.finish()?;
        // Reads padding after the archive too, so that the sender can finish sending.
        std::io::copy(&mut reader.into_source(), &mut std::io::sink()).map_err(reading)?;
        Ok(())
    }
}

struct Unpacker<'a> {
    target: &'a Target,
    /// The directory of the last entry, by its name in the tar. Most entries are in the same directory as the one
    /// before.
    last: Option<(PathBuf, Spot)>,
    /// Times of directories, set after the last entry was made.
    times: Vec<(PathBuf, Time)>,
}

impl Unpacker<'_> {
    fn entry(&mut self, entry: &Entry, reader: &mut Reader<impl BufRead>) -> Result<()> {
        let path = Path::new(OsStr::from_bytes(&entry.path));
        let name = safe(path)
            .ok_or_else(|| Error::Path(format!("invalid entry name {:?}", path.to_string_lossy())))?;
        let Some(last) = name.file_name().map(OsStr::to_owned) else {
            // The directory that the tar is unpacked into exists already and keeps its attributes.
            return Ok(());
        };
        let parent = self.parent(&name)?;
        let is_dir = entry.kind == Kind::Directory;
        let existing = self.make_room(&parent, &last, &name, is_dir)?;
        parent.writable().map_err(|error| writing("openat", &name, error))?;
        let directory = Dir::from(parent.try_clone().map_err(kernel)?);
        let attributes = Attributes::of(entry, self.target.manner.owner);
        let failed = |error| writing("openat", &name, error);
        match entry.kind {
            Kind::File => {
                let file = directory.create_file(&last, 0o600).map_err(failed)?;
                reader.write_to(entry, &file).map_err(|error| copying(&name, error))?;
                return attributes.give_file(&file).map_err(failed);
            }
            Kind::HardLink => return self.link(entry, &directory, &last, &name),
            Kind::Directory if existing.is_some() => {}
            _ => make(&directory, &last, entry).map_err(failed)?,
        }
        if entry.kind == Kind::Symlink {
            self.last = None;
        }
        let made = self.target.place.view.child(&parent, &last).map_err(kernel)?;
        let (directory, last) = match made {
            // Set through the descriptor, because something may be mounted over the name.
            Some(made) if is_dir && made.stat.kind == EntryKind::Directory => {
                (Dir::from(made), OsString::from("."))
            }
            _ => (directory, last),
        };
        attributes.give(&directory, &last, entry.kind).map_err(failed)?;
        if is_dir {
            self.times.push((name, attributes.modified));
        }
        Ok(())
    }

    /// Makes a hard link. The tar names the link's target relative to the directory that it is unpacked into.
    fn link(&mut self, entry: &Entry, directory: &Dir, last: &OsStr, name: &Path) -> Result<()> {
        let target = Path::new(OsStr::from_bytes(&entry.link));
        let target = safe(target).ok_or_else(|| {
            Error::Path(format!("invalid hardlink target {:?}", target.display().to_string()))
        })?;
        let from = self.parent(&target)?;
        let existing = target.file_name().unwrap_or_default();
        directory.link(&from, existing, last).map_err(|error| {
            if error.is_not_found() {
                let Manner { container, path, .. } = self.target.manner.clone();
                return Error::NoSuchFile { container, path };
            }
            writing("link", name, error)
        })
    }

    /// Removes what exists under an entry's name. A directory that the entry is a directory for is kept and returned.
    fn make_room(&mut self, parent: &Spot, last: &OsStr, name: &Path, is_dir: bool) -> Result<Option<Spot>> {
        let Some(existing) = self.target.place.view.child(parent, last).map_err(kernel)? else {
            return Ok(None);
        };
        let was_dir = existing.stat.kind == EntryKind::Directory;
        let (keep_kinds, to) = (self.target.manner.keep_kinds, self.target.directory.path.display());
        match (was_dir, is_dir) {
            (true, true) => return Ok(Some(existing)),
            (true, false) if keep_kinds => {
                return Err(Error::Path(format!(
                    "cannot overwrite directory {name:?} with non-directory \"{to}\""
                )));
            }
            (false, true) if keep_kinds => {
                return Err(Error::Path(format!(
                    "cannot overwrite non-directory {name:?} with directory \"{to}\""
                )));
            }
            _ => {}
        }
        if self.is_mounted(&existing) || existing.is_mounted_in(parent).map_err(kernel)? {
            return Err(Error::Path(format!("RemoveAll {}: device or resource busy", name.display())));
        }
        parent.writable().map_err(|error| writing("RemoveAll", name, error))?;
        self.last = None;
        let directory = Dir::from(parent.try_clone().map_err(kernel)?);
        directory.remove(last).map_err(|error| writing("RemoveAll", name, error))?;
        Ok(None)
    }

    /// Whether the container has a mount at this place or below it.
    fn is_mounted(&self, spot: &Spot) -> bool {
        let place = &self.target.place;
        let covered = place.covered.iter().map(PathBuf::as_path);
        place.view.mounted().chain(covered).any(|mount| mount.starts_with(&spot.path))
    }

    /// Opens the directory of an entry, and makes it where it is missing.
    fn parent(&mut self, name: &Path) -> Result<Spot> {
        let parent = name.parent().unwrap_or(Path::new(""));
        if let Some((last, spot)) = &self.last
            && last == parent
        {
            return spot.try_clone().map_err(kernel);
        }
        let target = &self.target;
        let path = target.directory.path.join(parent);
        let spot = target.place.view.create_dir_all(&path, 0o755);
        let spot = spot.map_err(|error| writing("openat", name, error))?;
        self.last = Some((parent.to_owned(), spot.try_clone().map_err(kernel)?));
        Ok(spot)
    }

    fn finish(mut self) -> Result<()> {
        for (name, time) in std::mem::take(&mut self.times).into_iter().rev() {
            let parent = self.parent(&name)?;
            let directory = self.target.place.view.child(&parent, name.file_name().unwrap_or_default());
            match directory.map_err(kernel)? {
                Some(directory) if directory.stat.kind == EntryKind::Directory => {
                    let changed = Dir::from(directory).set_times(OsStr::new("."), time);
                    changed.map_err(|error| writing("chtimes", &name, error))?;
                }
                // A later entry, or the container, has replaced the directory.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns a name without root, `.` and `..`; `None` for a name that leads out of the directory.
fn safe(name: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir if path.pop() => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

impl From<tar::Error> for Error {
    fn from(error: tar::Error) -> Self {
        reading(error.into())
    }
}

fn reading(error: std::io::Error) -> Error {
    Error::Archive(format!("read: {error}"))
}

/// Tells a full disk from an unreadable archive.
fn copying(name: &Path, error: tar::Error) -> Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    match error {
        tar::Error::Write(source) if matches!(source.kind(), StorageFull | QuotaExceeded) => {
            Error::io("write", name, source)
        }
        error => error.into(),
    }
}

/// Words an error of a write as Docker does.
fn writing(op: &str, name: &Path, error: gantry_host::Error) -> Error {
    if error.is_out_of_space() {
        return kernel(error);
    }
    match error.io() {
        Some(source) => Error::Path(format!("{op} {}: {}", name.display(), words(source))),
        None => kernel(error),
    }
}

#[cfg(test)]
mod tests;
