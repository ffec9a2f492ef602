//! Unpacks a tar that a client sends into a directory of a container.
//!
//! Names with `..` are refused; every name is resolved inside the container's root, and the last part is never followed.
//! What stands in the way of an entry is replaced, unless the client asked that directories and others keep their kind.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use gantry_host::root::{Dir, EntryKind, Root, Time};

use super::place::{Below, Place};
use crate::error::{Error, Result};
use crate::root::kernel;

/// How entries are to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// A directory is not replaced by another kind, nor the other way round.
    pub keep_kinds: bool,
    /// Owner and group of everything, instead of what the tar says.
    pub owner: Option<(u32, u32)>,
}

/// Checks that a tar can be unpacked there.
pub fn check(place: &Place, container: &str, path: &str) -> Result<()> {
    if place.read_only {
        return Err(Error::Invalid("container rootfs is marked read-only".to_owned()));
    }
    match place.root.stat_followed(&place.path) {
        Ok(stat) if EntryKind::from_mode(stat.st_mode) == Some(EntryKind::Directory) => Ok(()),
        Ok(_) => Err(Error::Invalid(format!("extraction point {path} is not a directory"))),
        Err(error) if error.is_not_found() => {
            Err(Error::NoSuchFile { container: container.to_owned(), path: path.to_owned() })
        }
        Err(error) => Err(kernel(error)),
    }
}

/// Unpacks, whatever the tar is compressed with.
pub fn unpack(place: &Place, input: impl Read, manner: Manner) -> Result<()> {
    let mut input = BufReader::with_capacity(128 * 1024, input);
    let head = input.fill_buf().map_err(reading)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        return unpack_plain(place, gantry_gzip::Members::new(input), manner);
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::Decoder::with_buffer(input).map_err(reading)?;
        return unpack_plain(place, decoder, manner);
    }
    if head.starts_with(b"BZh") || head.starts_with(&[0xfd, b'7', b'z', b'X', b'Z']) {
        return Err(Error::NotBuilt(
            "archives compressed with bzip2 or xz are not supported: use gzip or zstd".to_owned(),
        ));
    }
    unpack_plain(place, input, manner)
}

fn unpack_plain(place: &Place, mut input: impl Read, manner: Manner) -> Result<()> {
    let mut archive = tar::Archive::new(&mut input);
    let base = place.root.open_dir(&place.path).map_err(kernel)?;
    let mut unpacker = Unpacker { place, base: base.into(), manner, times: Vec::new() };
    for entry in archive.entries().map_err(reading)? {
        unpacker.entry(entry.map_err(reading)?)?;
    }
    unpacker.finish()?;
    // A sender that pads its archive must be able to send all of it.
    std::io::copy(&mut input, &mut std::io::sink()).map_err(reading)?;
    Ok(())
}

struct Unpacker<'a> {
    place: &'a Place,
    base: Dir,
    manner: Manner,
    /// Times of directories, set when nothing is made in them any more.
    times: Vec<(PathBuf, Time)>,
}

impl Unpacker<'_> {
    fn entry(&mut self, mut entry: tar::Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, tar::EntryType::XGlobalHeader) {
            return Ok(());
        }
        let name = safe(&entry.path().map_err(reading)?)?;
        let modified = time_of(&entry);
        let Some(last) = name.file_name().map(OsStr::to_owned) else {
            // The directory itself: it is there, and keeps what it is.
            return Ok(());
        };
        if self.place.below.iter().any(|mount| mount.path == name) {
            // What is mounted somewhere is there, and keeps what it is; only what is in it changes.
            return match kind {
                tar::EntryType::Directory => Ok(()),
                _ => Err(Error::Invalid(format!("cannot overwrite the mount point {name:?}"))),
            };
        }
        let parent = self.parent(&name)?;
        let existing = parent.stat(&last).map_err(kernel)?.map(|stat| stat.kind);
        let is_dir = kind == tar::EntryType::Directory;
        match existing {
            Some(EntryKind::Directory) if is_dir => {}
            Some(EntryKind::Directory) if self.manner.keep_kinds => {
                return Err(Error::Invalid(format!(
                    "cannot overwrite directory {:?} with non-directory",
                    name
                )));
            }
            Some(other) if is_dir && self.manner.keep_kinds && other != EntryKind::Directory => {
                return Err(Error::Invalid(format!(
                    "cannot overwrite non-directory {:?} with directory",
                    name
                )));
            }
            Some(_) => parent.remove(&last).map_err(writing)?,
            None => {}
        }
        let attributes = attributes(&mut entry)?;
        let mode = entry.header().mode().map_err(reading)? & 0o7777;
        let owner = match self.manner.owner {
            Some(owner) => owner,
            None => (number(entry.header().uid())?, number(entry.header().gid())?),
        };
        match kind {
            tar::EntryType::Directory => {
                if existing != Some(EntryKind::Directory) {
                    parent.make_dir(&last, 0o700).map_err(writing)?;
                }
                self.times.push((name.clone(), modified));
            }
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                let mut file = parent.create_file(&last, 0o600).map_err(writing)?;
                std::io::copy(&mut entry, &mut file).map_err(|error| copying(&name, error))?;
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                parent.symlink(OsStr::from_bytes(&target), &last).map_err(writing)?;
            }
            tar::EntryType::Link => {
                let target = entry.link_name().map_err(reading)?.unwrap_or_default().into_owned();
                let target = safe(&target)?;
                let from = self.parent(&target)?;
                let existing = target.file_name().unwrap_or_default();
                return parent.link(&from, existing, &last).map_err(writing);
            }
            tar::EntryType::Fifo => parent.mknod(&last, EntryKind::Fifo, 0o600, (0, 0)).map_err(writing)?,
            tar::EntryType::Char | tar::EntryType::Block => {
                let header = entry.header();
                let device = (
                    header.device_major().map_err(reading)?.unwrap_or(0),
                    header.device_minor().map_err(reading)?.unwrap_or(0),
                );
                let kind =
                    if kind == tar::EntryType::Char { EntryKind::CharDevice } else { EntryKind::BlockDevice };
                parent.mknod(&last, kind, 0o600, device).map_err(writing)?;
            }
            other => return Err(Error::Archive(format!("entry {name:?} has the unknown type {other:?}"))),
        }
        parent.set_owner(&last, owner.0, owner.1).map_err(writing)?;
        if kind != tar::EntryType::Symlink {
            parent.set_mode(&last, mode).map_err(writing)?;
        }
        for (key, value) in attributes {
            parent.set_xattr(&last, &key, &value).map_err(writing)?;
        }
        parent.set_times(&last, modified).map_err(writing)
    }

    /// The directory of an entry, made where it is missing.
    fn parent(&self, name: &Path) -> Result<Dir> {
        match name.parent() {
            None => self.base.try_clone().map_err(kernel),
            Some(parent) if parent.as_os_str().is_empty() => self.base.try_clone().map_err(kernel),
            Some(parent) => match self.mounted(parent) {
                Some((mount, path)) => {
                    if mount.read_only {
                        return Err(read_only());
                    }
                    let root = Root::open_path(&mount.source).map_err(kernel)?;
                    root.create_dir_all(&Path::new("/").join(path), 0o755).map(Dir::from).map_err(writing)
                }
                None => {
                    let path = self.place.path.join(parent);
                    self.place.root.create_dir_all(&path, 0o755).map(Dir::from).map_err(writing)
                }
            },
        }
    }

    /// The mount that a path is in, and where in it.
    fn mounted<'p>(&self, path: &'p Path) -> Option<(&Below, &'p Path)> {
        let below = self.place.below.iter();
        below
            .filter_map(|mount| path.strip_prefix(&mount.path).ok().map(|rest| (mount, rest)))
            .max_by_key(|(mount, _)| mount.path.components().count())
    }

    fn finish(self) -> Result<()> {
        for (name, time) in self.times.iter().rev() {
            let parent = self.parent(name)?;
            if let Some(last) = name.file_name() {
                parent.set_times(last, *time).map_err(writing)?;
            }
        }
        Ok(())
    }
}

/// A name without root and `.`; one with `..` is refused.
fn safe(name: &Path) -> Result<PathBuf> {
    let mut path = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::Archive(format!("entry {name:?} would leave the destination")));
            }
        }
    }
    Ok(path)
}

fn time_of(entry: &tar::Entry<'_, impl Read>) -> Time {
    let seconds = i64::try_from(entry.header().mtime().unwrap_or(0)).unwrap_or(0);
    Time { seconds, nanos: 0 }
}

/// Extended attributes from the entry's PAX header.
fn attributes(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<(OsString, Vec<u8>)>> {
    let mut found = Vec::new();
    if let Some(extensions) = entry.pax_extensions().map_err(reading)? {
        for extension in extensions {
            let extension = extension.map_err(reading)?;
            if let Some(key) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.".as_slice())
                && !key.starts_with(b"trusted.overlay.")
            {
                found.push((OsStr::from_bytes(key).to_owned(), extension.value_bytes().to_vec()));
            }
        }
    }
    Ok(found)
}

fn number(value: std::io::Result<u64>) -> Result<u32> {
    let value = value.map_err(reading)?;
    u32::try_from(value).map_err(|_| Error::Archive(format!("the owner {value} is no user id")))
}

fn reading(error: std::io::Error) -> Error {
    Error::Archive(format!("read: {error}"))
}

/// A full disk is not the archive's fault.
fn copying(name: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => Error::io("write", name, error),
        _ => reading(error),
    }
}

/// A refusal to write; a read-only file system is the client's mistake.
fn writing(error: gantry_host::Error) -> Error {
    let read_only = error.io().is_some_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem);
    if read_only { self::read_only() } else { kernel(error) }
}

fn read_only() -> Error {
    Error::Invalid("container rootfs or volume is marked read-only".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(7);
            if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
                header.set_size(0);
                header.set_link_name(content).expect("short");
                set_name(&mut header, name);
                builder.append(&header, std::io::empty()).expect("appended");
            } else {
                header.set_size(content.len() as u64);
                set_name(&mut header, name);
                builder.append(&header, content.as_bytes()).expect("appended");
            }
        }
        builder.into_inner().expect("finished")
    }

    /// Also names that the library itself would refuse.
    fn set_name(header: &mut tar::Header, name: &str) {
        header.as_gnu_mut().expect("a GNU header").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
    }

    fn place(dir: &Path) -> Place {
        Place {
            root: Root::open_path(dir).expect("opened"),
            path: PathBuf::from("/"),
            read_only: false,
            below: Vec::new(),
            _turn: None,
        }
    }

    fn here() -> Manner {
        Manner { keep_kinds: true, owner: None }
    }

    #[test]
    fn files_arrive_with_their_directories() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let tar =
            tar_of(&[("a/b/c", tar::EntryType::Regular, "hello"), ("a/l", tar::EntryType::Symlink, "b/c")]);
        unpack(&place(dir.path()), tar.as_slice(), here()).expect("unpacked");
        assert_eq!(std::fs::read_to_string(dir.path().join("a/l")).expect("read"), "hello");
    }

    #[test]
    fn nothing_leaves_the_root() {
        let outside = tempfile::tempdir().expect("a temporary directory");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let away = outside.path().display().to_string();
        let dotted = tar_of(&[("../x", tar::EntryType::Regular, "out")]);
        assert!(unpack(&place(dir.path()), dotted.as_slice(), here()).is_err());
        let through =
            tar_of(&[("link", tar::EntryType::Symlink, &away), ("link/x", tar::EntryType::Regular, "out")]);
        let _ = unpack(&place(dir.path()), through.as_slice(), here());
        assert_eq!(std::fs::read_dir(outside.path()).expect("listed").count(), 0);
        let linked = tar_of(&[("pw", tar::EntryType::Link, "../../../../etc/passwd")]);
        assert!(unpack(&place(dir.path()), linked.as_slice(), here()).is_err());
    }

    #[test]
    fn what_is_mounted_below_gets_its_files() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let volume = tempfile::tempdir().expect("a temporary directory");
        let mount =
            |read_only| Below { path: "data/vol".into(), source: volume.path().to_owned(), read_only };
        let mut place = Place { below: vec![mount(false)], ..place(dir.path()) };
        let tar = tar_of(&[
            ("data/vol/", tar::EntryType::Directory, ""),
            ("data/vol/sub/x", tar::EntryType::Regular, "in the volume"),
            ("data/volume", tar::EntryType::Regular, "beside it"),
        ]);
        unpack(&place, tar.as_slice(), here()).expect("unpacked");
        assert_eq!(std::fs::read_to_string(volume.path().join("sub/x")).expect("read"), "in the volume");
        assert!(dir.path().join("data/volume").exists() && !dir.path().join("data/vol").exists());
        place.below = vec![mount(true)];
        assert!(unpack(&place, tar.as_slice(), here()).is_err());
    }

    #[test]
    fn kinds_are_kept_when_asked() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("d")).expect("made");
        let tar = tar_of(&[("d", tar::EntryType::Regular, "x")]);
        assert!(unpack(&place(dir.path()), tar.as_slice(), here()).is_err());
        unpack(&place(dir.path()), tar.as_slice(), Manner::default()).expect("replaced");
        assert!(dir.path().join("d").is_file());
    }

    #[test]
    fn compressed_tars_are_taken() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let tar = tar_of(&[("x", tar::EntryType::Regular, "zipped")]);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &tar).expect("written");
        unpack(&place(dir.path()), encoder.finish().expect("finished").as_slice(), here()).expect("unpacked");
        assert_eq!(std::fs::read_to_string(dir.path().join("x")).expect("read"), "zipped");
        assert!(unpack(&place(dir.path()), b"BZh91AY".as_slice(), here()).is_err());
    }
}
