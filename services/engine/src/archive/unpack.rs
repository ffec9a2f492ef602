//! Unpacks a tar that a client sends into a directory of a container.
//!
//! Names that lead out of the directory are refused; every name is resolved inside the container's file system, and the
//! last part is never followed. What stands in the way of an entry is replaced, unless the client asked that directories
//! and others keep their kind; what the container has mounted somewhere is never replaced, nor is what holds it.

use std::ffi::{OsStr, OsString};
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use gantry_archive::compression::Form;
use gantry_rooted::{self as root, Access, Dir, EntryKind, Spot, Time};

use super::place::Place;
use super::words;
use crate::error::{Error, Result};
use crate::root::kernel;

/// How entries are to be made.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// A directory is not replaced by another kind, nor the other way round.
    pub keep_kinds: bool,
    /// Owner and group of everything, instead of what the tar says.
    pub owner: Option<(u32, u32)>,
    /// The container, as the user named it.
    pub container: String,
    /// The directory, as the user named it.
    pub path: String,
}

/// A directory of a container that takes a tar.
pub struct Target {
    place: Place,
    directory: Spot,
    manner: Manner,
}

impl Target {
    /// Checks that a tar can be unpacked there.
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

    /// Unpacks, whatever the tar is compressed with.
    pub fn unpack(&self, input: impl Read) -> Result<()> {
        let input = BufReader::with_capacity(128 * 1024, input);
        self.unpack_plain(Form::decoded(input).map_err(reading)?)
    }

    fn unpack_plain(&self, mut input: impl Read) -> Result<()> {
        let mut archive = tar::Archive::new(&mut input);
        let mut unpacker = Unpacker { target: self, last: None, times: Vec::new() };
        for entry in archive.entries().map_err(reading)? {
            unpacker.entry(entry.map_err(reading)?)?;
        }
        unpacker.finish()?;
        // A sender that pads its archive must be able to send all of it.
        std::io::copy(&mut input, &mut std::io::sink()).map_err(reading)?;
        Ok(())
    }
}

struct Unpacker<'a> {
    target: &'a Target,
    /// The directory that the last entry was in, by its name in the tar: most entries are beside the one before.
    last: Option<(PathBuf, Spot)>,
    /// Times of directories, set when nothing is made in them any more.
    times: Vec<(PathBuf, Time)>,
}

impl Unpacker<'_> {
    fn entry(&mut self, mut entry: tar::Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, tar::EntryType::XGlobalHeader) {
            return Ok(());
        }
        let name = safe(&entry.path().map_err(reading)?).ok_or_else(|| {
            Error::Path(format!("invalid entry name {:?}", String::from_utf8_lossy(&entry.path_bytes())))
        })?;
        let Some(last) = name.file_name().map(OsStr::to_owned) else {
            // The directory itself: it is there, and keeps what it is.
            return Ok(());
        };
        let parent = self.parent(&name)?;
        let is_dir = kind == tar::EntryType::Directory;
        let existing = self.make_room(&parent, &last, &name, is_dir)?;
        parent.writable().map_err(|error| writing("openat", &name, error))?;
        let directory = Dir::from(parent.try_clone().map_err(kernel)?);
        let attributes = attributes(&mut entry)?;
        let header = entry.header();
        let mode = field::<u32, _>(&header.as_old().mode, header.mode())? & 0o7777;
        let owner = match self.target.manner.owner {
            Some(owner) => owner,
            None => (field(&header.as_old().uid, header.uid())?, field(&header.as_old().gid, header.gid())?),
        };
        let modified = time_of(&entry);
        let failed = |error| writing("openat", &name, error);
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                let mut file = directory.create_file(&last, 0o600).map_err(failed)?;
                std::io::copy(&mut entry, &mut file).map_err(|error| copying(&name, error))?;
                // By its descriptor: the container may have put something else in its place by now.
                root::set_file_owner(&file, owner.0, owner.1).map_err(failed)?;
                root::set_file_mode(&file, mode).map_err(failed)?;
                for (key, value) in attributes {
                    root::set_file_xattr(&file, &key, &value).map_err(failed)?;
                }
                return root::set_file_times(&file, modified).map_err(failed);
            }
            tar::EntryType::Directory => {
                if existing.is_none() {
                    directory.make_dir(&last, 0o700).map_err(failed)?;
                }
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                directory.symlink(OsStr::from_bytes(&target), &last).map_err(failed)?;
                self.last = None;
            }
            tar::EntryType::Link => return self.link(&entry, &directory, &last, &name),
            tar::EntryType::Fifo => {
                directory.mknod(&last, EntryKind::Fifo, 0o600, (0, 0)).map_err(failed)?;
            }
            tar::EntryType::Char | tar::EntryType::Block => {
                let device = device(entry.header())?;
                let kind =
                    if kind == tar::EntryType::Char { EntryKind::CharDevice } else { EntryKind::BlockDevice };
                directory.mknod(&last, kind, 0o600, device).map_err(failed)?;
            }
            other => return Err(Error::Archive(format!("entry {name:?} has the unknown type {other:?}"))),
        }
        let (directory, last) = match self.target.place.view.child(&parent, &last).map_err(kernel)? {
            // By its descriptor, also because it may be a directory of elsewhere that is mounted there.
            Some(made) if is_dir && made.stat.kind == EntryKind::Directory => {
                (Dir::from(made), OsString::from("."))
            }
            _ => (directory, last),
        };
        directory.set_owner(&last, owner.0, owner.1).map_err(failed)?;
        if kind != tar::EntryType::Symlink {
            directory.set_mode(&last, mode).map_err(failed)?;
        }
        for (key, value) in attributes {
            directory.set_xattr(&last, &key, &value).map_err(failed)?;
        }
        directory.set_times(&last, modified).map_err(failed)?;
        if is_dir {
            self.times.push((name, modified));
        }
        Ok(())
    }

    /// A second name for a file, which the tar names from the directory that it is unpacked to.
    fn link(
        &mut self,
        entry: &tar::Entry<'_, impl Read>,
        directory: &Dir,
        last: &OsStr,
        name: &Path,
    ) -> Result<()> {
        let target = entry.link_name().map_err(reading)?.unwrap_or_default().into_owned();
        let target = safe(&target).ok_or_else(|| {
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

    /// Takes away what stands in the way of an entry. A directory in the place of a directory stays, and is answered.
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

    /// Whether the container has something mounted there or below.
    fn is_mounted(&self, spot: &Spot) -> bool {
        let place = &self.target.place;
        let covered = place.covered.iter().map(PathBuf::as_path);
        place.view.mounted().chain(covered).any(|mount| mount.starts_with(&spot.path))
    }

    /// The directory of an entry, made where it is missing.
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
                // A later entry, or the container, has put something else there.
                _ => {}
            }
        }
        Ok(())
    }
}

/// A name without root, `.` and `..`; none for one that leads out.
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

/// A number of a header; a field of blanks is 0, as elsewhere.
fn field<T: TryFrom<u64> + Default, U: Into<u64>>(bytes: &[u8], value: std::io::Result<U>) -> Result<T> {
    if bytes.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(T::default());
    }
    let value: u64 = value.map_err(reading)?.into();
    T::try_from(value).map_err(|_| Error::Archive(format!("the number {value} is too large")))
}

fn device(header: &tar::Header) -> Result<(u32, u32)> {
    let fields = header.as_ustar().map(|header| (&header.dev_major, &header.dev_minor));
    let fields = fields.or(header.as_gnu().map(|header| (&header.dev_major, &header.dev_minor)));
    let Some((major, minor)) = fields else { return Ok((0, 0)) };
    let number = |value: std::io::Result<Option<u32>>| value.map(Option::unwrap_or_default);
    Ok((field(major, number(header.device_major()))?, field(minor, number(header.device_minor()))?))
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

/// A refusal to write, as Docker words it.
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
mod tests {
    use gantry_rooted::{Last, Root, View};

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

    fn place(dir: &Path, over: &[(&str, &Path, Access)]) -> Place {
        let mut view = View::new(Root::open_path(dir).expect("opened")).expect("a view");
        for (path, source, access) in over {
            let source = root::open_path(source).expect("opened");
            assert!(view.mount(Path::new(path), source, *access).expect("put"));
        }
        let covered = vec!["/proc".into()];
        Place { view, path: "/".into(), read_only_root: false, covered, _turn: None, _held: None }
    }

    fn put(place: Place, keep_kinds: bool, tar: &[u8]) -> Result<()> {
        let directory = place.view.find(&place.path, Last::Follow).expect("found");
        Target::new(place, directory, Manner { keep_kinds, ..Manner::default() })?.unpack(tar)
    }

    #[test]
    fn files_arrive_with_their_directories() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let tar =
            tar_of(&[("a/b/../c", tar::EntryType::Regular, "hello"), ("a/l", tar::EntryType::Symlink, "c")]);
        put(place(dir.path(), &[]), true, &tar).expect("unpacked");
        assert_eq!(std::fs::read_to_string(dir.path().join("a/l")).expect("read"), "hello");
    }

    #[test]
    fn nothing_leaves_the_root() {
        let outside = tempfile::tempdir().expect("a temporary directory");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let away = outside.path().display().to_string();
        let dotted = tar_of(&[("a/../../x", tar::EntryType::Regular, "out")]);
        let error = put(place(dir.path(), &[]), true, &dotted).expect_err("refused");
        assert_eq!(error.to_string(), "invalid entry name \"a/../../x\"");
        let through =
            tar_of(&[("link", tar::EntryType::Symlink, &away), ("link/x", tar::EntryType::Regular, "out")]);
        let _ = put(place(dir.path(), &[]), true, &through);
        assert_eq!(std::fs::read_dir(outside.path()).expect("listed").count(), 0);
        let linked = tar_of(&[("pw", tar::EntryType::Link, "../../../../etc/passwd")]);
        assert!(put(place(dir.path(), &[]), true, &linked).is_err());
    }

    #[test]
    fn what_is_mounted_gets_its_files_also_through_symlinks() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let volume = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir_all(dir.path().join("data/vol")).expect("made");
        std::os::unix::fs::symlink("/data/vol", dir.path().join("link")).expect("linked");
        std::os::unix::fs::symlink("/elsewhere", volume.path().join("out")).expect("linked");
        let over = |access| place(dir.path(), &[("/data/vol", volume.path(), access)]);
        let tar = tar_of(&[
            ("data/vol/", tar::EntryType::Directory, ""),
            ("data/vol/sub/x", tar::EntryType::Regular, "in the volume"),
            ("data/volume", tar::EntryType::Regular, "beside it"),
            ("link/y", tar::EntryType::Regular, "in the volume"),
            ("link/out/z", tar::EntryType::Regular, "in the root"),
        ]);
        put(over(Access::Write), true, &tar).expect("unpacked");
        for inside in ["sub/x", "y"] {
            let text = std::fs::read_to_string(volume.path().join(inside));
            assert_eq!(text.expect("read"), "in the volume");
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("elsewhere/z")).expect("read"), "in the root");
        assert_eq!(std::fs::read_dir(dir.path().join("data/vol")).expect("listed").count(), 0);
        assert!(dir.path().join("data/volume").exists());
        let error = put(over(Access::Read), true, &tar).expect_err("refused");
        assert!(error.to_string().ends_with("read-only file system"), "{error}");
    }

    #[test]
    fn what_is_mounted_is_never_replaced() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let elsewhere = tempfile::tempdir().expect("a temporary directory");
        for folder in ["data/vol", "etc", "proc/fs"] {
            std::fs::create_dir_all(dir.path().join(folder)).expect("made");
        }
        std::fs::create_dir(elsewhere.path().join("vol")).expect("made");
        for file in ["vol/kept", "hosts"] {
            std::fs::write(elsewhere.path().join(file), "kept").expect("written");
        }
        std::fs::write(dir.path().join("etc/hosts"), "").expect("written");
        let (volume, hosts) = (elsewhere.path().join("vol"), elsewhere.path().join("hosts"));
        for name in ["data/vol", "data", "etc/hosts", "etc", "proc"] {
            let over = [("/data/vol", &*volume, Access::Write), ("/etc/hosts", &*hosts, Access::Write)];
            let tar = tar_of(&[(name, tar::EntryType::Regular, "new")]);
            let error = put(place(dir.path(), &over), false, &tar).expect_err(name);
            assert_eq!(error.to_string(), format!("RemoveAll {name}: device or resource busy"));
        }
        assert!(volume.join("kept").exists() && dir.path().join("proc/fs").exists());
        assert_eq!(std::fs::read_to_string(hosts).expect("read"), "kept");
    }

    #[test]
    fn kinds_are_kept_when_asked() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("d")).expect("made");
        let tar = tar_of(&[("d", tar::EntryType::Regular, "x")]);
        assert!(put(place(dir.path(), &[]), true, &tar).is_err());
        put(place(dir.path(), &[]), false, &tar).expect("replaced");
        assert!(dir.path().join("d").is_file());
    }

    #[test]
    fn blank_fields_are_zero() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut tar = tar_of(&[("x", tar::EntryType::Regular, "blank")]);
        // Mode, owner, group, time and device; the sum counts itself as blanks.
        for range in [100..124, 136..156, 329..345] {
            tar[range].fill(b' ');
        }
        let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
        tar[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        put(place(dir.path(), &[]), true, &tar).expect("unpacked");
        assert_eq!(std::fs::read_to_string(dir.path().join("x")).expect("read"), "blank");
    }

    #[test]
    fn compressed_tars_are_taken() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let tar = tar_of(&[("x", tar::EntryType::Regular, "zipped")]);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &tar).expect("written");
        put(place(dir.path(), &[]), true, &encoder.finish().expect("finished")).expect("unpacked");
        assert_eq!(std::fs::read_to_string(dir.path().join("x")).expect("read"), "zipped");
        assert!(put(place(dir.path(), &[]), true, b"BZh91AY").is_err());
    }
}
