//! Packs a part of a file system into a tar: attributes, hard links and extended attributes kept, no symlink followed.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use gantry_host::root::{Dir, Entry, EntryKind, FileStat};

use super::place::Place;
use super::stat::Found;
use crate::error::{Error, Result};
use crate::root::kernel;

/// What no program could open by its path is not packed either (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// Packs what was found at a place, under its own name.
pub fn pack(place: &Place, found: &Found, out: impl Write) -> Result<()> {
    let mut packer = Packer::new(out);
    if found.stat.kind == EntryKind::Directory {
        let directory = place.root.dir(&place.path).map_err(kernel)?;
        // The root's own name would make every name absolute.
        let name = if found.name == "/" { "." } else { &found.name };
        packer.mounts = place
            .below
            .iter()
            .map(|mount| (Path::new(name).join(&mount.path), mount.source.clone()))
            .collect();
        packer.directory_itself(&directory, Path::new(name))?;
        packer.directory(&directory, Path::new(name))?;
    } else {
        let parent = place.path.parent().unwrap_or(Path::new("/"));
        let parent = place.root.dir(parent).map_err(kernel)?;
        packer.entry(&parent, OsStr::new(&found.name), Path::new(&found.name))?;
    }
    packer.finish()
}

/// Packs everything in a directory, without the directory itself.
pub fn pack_all(directory: &Dir, out: impl Write) -> Result<()> {
    let mut packer = Packer::new(out);
    packer.directory(directory, Path::new(""))?;
    packer.finish()
}

struct Packer<W: Write> {
    tar: tar::Builder<W>,
    /// Files with more names than one that have been packed, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
    /// What is mounted, still to be met: the source by its name in the tar.
    mounts: BTreeMap<PathBuf, PathBuf>,
}

/// A directory that is being packed: what is left of its entries, itself, and its name.
type Open = (std::vec::IntoIter<Entry>, Dir, PathBuf);

impl<W: Write> Packer<W> {
    fn new(out: W) -> Packer<W> {
        let mut tar = tar::Builder::new(out);
        tar.follow_symlinks(false);
        Packer { tar, linked: HashMap::new(), mounts: BTreeMap::new() }
    }

    fn finish(mut self) -> Result<()> {
        self.tar.finish().map_err(|error| self::write("the end", error))?;
        let mut out = self.tar.into_inner().map_err(|error| self::write("the end", error))?;
        out.flush().map_err(|error| self::write("the end", error))
    }

    fn directory_itself(&mut self, directory: &Dir, name: &Path) -> Result<()> {
        let stat = directory.own_stat().map_err(kernel)?;
        self.append(&stat, name, &[], std::io::empty())
    }

    /// Packs everything in a directory. No recursion: how deep the directories are is the container's choice.
    fn directory(&mut self, directory: &Dir, name: &Path) -> Result<()> {
        let mut open = Vec::new();
        self.enter(directory.try_clone().map_err(kernel)?, name.to_owned(), &mut open)?;
        while let Some((rest, parent, name)) = open.last_mut() {
            let Some(entry) = rest.next() else {
                open.pop();
                continue;
            };
            let name = name.join(&entry.name);
            if let Some(below) = self.entry(parent, &entry.name, &name)? {
                self.enter(below, name, &mut open)?;
            }
        }
        Ok(())
    }

    /// Begins a directory. A mount for which it has no entry, because the container was never started, comes first; one
    /// that only a symlink would lead to is not a part of it.
    fn enter(&mut self, directory: Dir, name: PathBuf, open: &mut Vec<Open>) -> Result<()> {
        let entries = directory.entries().map_err(kernel)?;
        let has = |first: Component<'_>| entries.iter().any(|entry| entry.name == first.as_os_str());
        let missing = |mount: &PathBuf| {
            let mut rest = mount.strip_prefix(&name).ok()?.components();
            let outermost = !self.mounts.keys().any(|other| other != mount && mount.starts_with(other));
            rest.next().is_some_and(|first| outermost && !has(first)).then(|| mount.clone())
        };
        let missing: Vec<PathBuf> = self.mounts.keys().filter_map(missing).collect();
        open.push((entries.into_iter(), directory, name));
        for name in missing {
            if let Some(source) = self.mounts.remove(&name)
                && let Some(below) = self.mounted(&source, &name)?
            {
                self.enter(below, name, open)?;
            }
        }
        Ok(())
    }

    /// Packs what is mounted somewhere; a source that has gone is left out.
    fn mounted(&mut self, source: &Path, name: &Path) -> Result<Option<Dir>> {
        let Ok(source) = source.canonicalize() else { return Ok(None) };
        if source.is_dir() {
            let directory = Dir::open(&source).map_err(kernel)?;
            self.directory_itself(&directory, name)?;
            return Ok(Some(directory));
        }
        match (source.parent(), source.file_name()) {
            (Some(parent), Some(own)) => self.entry(&Dir::open(parent).map_err(kernel)?, own, name),
            _ => Ok(None),
        }
    }

    /// Packs an entry; a directory is what remains to be packed. What vanishes meanwhile is left out.
    fn entry(&mut self, parent: &Dir, own: &OsStr, name: &Path) -> Result<Option<Dir>> {
        if name.as_os_str().len() > LONGEST_PATH {
            return Err(Error::Archive(format!("pack: the path of {own:?} is too long")));
        }
        if let Some(source) = self.mounts.remove(name) {
            return self.mounted(&source, name);
        }
        let Some(stat) = parent.stat(own).map_err(kernel)? else { return Ok(None) };
        let attributes = parent.xattrs(own).unwrap_or_default();
        if stat.kind != EntryKind::Directory && stat.links > 1 {
            if let Some(first) = self.linked.get(&(stat.device, stat.inode)) {
                let first = first.clone();
                self.append_link(&stat, name, tar::EntryType::Link, &first)?;
                return Ok(None);
            }
            self.linked.insert((stat.device, stat.inode), name.to_owned());
        }
        match stat.kind {
            EntryKind::File => {
                let Ok(file) = parent.open_file(own) else { return Ok(None) };
                // A file that shrinks while it is packed is filled up, one that grows is cut: the header is out already.
                let content = file.take(stat.size).chain(std::io::repeat(0)).take(stat.size);
                self.append(&stat, name, &attributes, content)?;
            }
            EntryKind::Directory => {
                self.append(&stat, name, &attributes, std::io::empty())?;
                return match parent.open_dir(own) {
                    Err(error) if error.is_not_found() => Ok(None),
                    below => below.map_err(kernel),
                };
            }
            EntryKind::Symlink => {
                let Ok(target) = parent.read_link(own) else { return Ok(None) };
                self.append_link(&stat, name, tar::EntryType::Symlink, Path::new(&target))?;
            }
            // A socket means nothing to anybody but the process that made it.
            EntryKind::Socket => {}
            EntryKind::Fifo | EntryKind::CharDevice | EntryKind::BlockDevice => {
                self.append(&stat, name, &attributes, std::io::empty())?;
            }
        }
        Ok(None)
    }

    fn append(
        &mut self,
        stat: &FileStat,
        name: &Path,
        attributes: &[(std::ffi::OsString, Vec<u8>)],
        content: impl Read,
    ) -> Result<()> {
        self.extended(name, attributes)?;
        let mut header = header(stat);
        let result = if stat.kind == EntryKind::Directory {
            let mut text = name.as_os_str().to_owned();
            text.push("/");
            self.tar.append_data(&mut header, Path::new(&text), content)
        } else {
            self.tar.append_data(&mut header, name, content)
        };
        result.map_err(|error| write(name.display(), error))
    }

    fn append_link(
        &mut self,
        stat: &FileStat,
        name: &Path,
        kind: tar::EntryType,
        target: &Path,
    ) -> Result<()> {
        let mut header = header(stat);
        header.set_entry_type(kind);
        header.set_size(0);
        self.tar.append_link(&mut header, name, target).map_err(|error| write(name.display(), error))
    }

    /// Extended attributes go before their entry, as records of a PAX header.
    fn extended(&mut self, name: &Path, attributes: &[(std::ffi::OsString, Vec<u8>)]) -> Result<()> {
        let mut records = Vec::new();
        for (key, value) in attributes {
            // Overlay's own marks are not part of what a container sees.
            if key.as_bytes().starts_with(b"trusted.overlay.") {
                continue;
            }
            records.extend(pax_record(key.as_bytes(), value));
        }
        if records.is_empty() {
            return Ok(());
        }
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(records.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        self.tar
            .append_data(&mut header, "PaxHeaders.0/attributes", records.as_slice())
            .map_err(|error| write(name.display(), error))
    }
}

/// `length key=value\n`, where the length counts its own digits.
fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = b" SCHILY.xattr.".len() + key.len() + 1 + value.len() + 1;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} SCHILY.xattr.").into_bytes();
    record.extend_from_slice(key);
    record.push(b'=');
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

fn header(stat: &FileStat) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(stat.mode);
    header.set_uid(u64::from(stat.uid));
    header.set_gid(u64::from(stat.gid));
    header.set_mtime(u64::try_from(stat.modified.seconds).unwrap_or(0));
    header.set_size(if stat.kind == EntryKind::File { stat.size } else { 0 });
    header.set_entry_type(match stat.kind {
        EntryKind::Directory => tar::EntryType::Directory,
        EntryKind::Symlink => tar::EntryType::Symlink,
        EntryKind::Fifo => tar::EntryType::Fifo,
        EntryKind::CharDevice => tar::EntryType::Char,
        EntryKind::BlockDevice => tar::EntryType::Block,
        EntryKind::File | EntryKind::Socket => tar::EntryType::Regular,
    });
    if matches!(stat.kind, EntryKind::CharDevice | EntryKind::BlockDevice) {
        // A GNU header has the fields: this cannot fail.
        let _ = header.set_device_major(stat.special.0);
        let _ = header.set_device_minor(stat.special.1);
    }
    header
}

fn write(name: impl std::fmt::Display, error: std::io::Error) -> Error {
    Error::Archive(format!("pack {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_lengths_count_themselves() {
        let record = pax_record(b"user.x", b"1");
        assert_eq!(record, b"25 SCHILY.xattr.user.x=1\n");
        assert_eq!(record.len(), 25);
        let long = pax_record(b"user.x", &[b'a'; 73]);
        assert!(long.starts_with(b"97 "));
        assert_eq!(long.len(), 97);
    }

    #[test]
    fn a_path_that_nobody_could_open_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let name = std::ffi::OsString::from("long".repeat(60));
        let mut directory = Dir::open(dir.path()).expect("opened");
        for _ in 0..20 {
            directory.make_dir(&name, 0o700).expect("made");
            directory = directory.open_dir(&name).expect("opened").expect("a directory");
        }
        assert!(pack_all(&Dir::open(dir.path()).expect("opened"), std::io::sink()).is_err());
    }

    #[test]
    fn what_is_mounted_below_is_packed_in_its_place() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let source = |name: &str| {
            let source = dir.path().join("volumes").join(name);
            std::fs::create_dir_all(&source).expect("made");
            std::fs::write(source.join(name), name).expect("written");
            source
        };
        let data = dir.path().join("data");
        std::fs::create_dir_all(data.join("covered/hidden")).expect("made");
        std::os::unix::fs::symlink("/etc", data.join("link")).expect("linked");
        let mut packer = Packer::new(Vec::new());
        for (at, name) in
            [("covered", "one"), ("never/made", "two"), ("never/made/deep", "three"), ("link/x", "four")]
        {
            packer.mounts.insert(Path::new("data").join(at), source(name));
        }
        packer.directory(&Dir::open(&data).expect("opened"), Path::new("data")).expect("packed");
        packer.tar.finish().expect("finished");
        let out = packer.tar.into_inner().expect("finished");
        let mut seen: Vec<String> = tar::Archive::new(out.as_slice())
            .entries()
            .expect("a tar")
            .map(|entry| entry.expect("whole").path().expect("a name").display().to_string())
            .collect();
        seen.sort();
        let whole = [
            "data/covered/",
            "data/covered/one",
            "data/link",
            "data/never/made/",
            "data/never/made/deep/",
            "data/never/made/deep/three",
            "data/never/made/two",
        ];
        assert_eq!(seen, whole);
    }

    #[test]
    fn a_tree_is_packed_with_its_links() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("sub")).expect("made");
        std::fs::write(dir.path().join("sub/file"), "hello").expect("written");
        std::fs::hard_link(dir.path().join("sub/file"), dir.path().join("sub/twin")).expect("linked");
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).expect("linked");
        let mut out = Vec::new();
        pack_all(&Dir::open(dir.path()).expect("opened"), &mut out).expect("packed");
        let mut archive = tar::Archive::new(out.as_slice());
        let seen: Vec<(String, tar::EntryType)> = archive
            .entries()
            .expect("a tar")
            .map(|entry| {
                let entry = entry.expect("whole");
                (entry.path().expect("a name").display().to_string(), entry.header().entry_type())
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("link".to_owned(), tar::EntryType::Symlink),
                ("sub/".to_owned(), tar::EntryType::Directory),
                ("sub/file".to_owned(), tar::EntryType::Regular),
                ("sub/twin".to_owned(), tar::EntryType::Link),
            ]
        );
    }
}
