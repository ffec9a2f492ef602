//! Packs a part of a file system into a tar: attributes, hard links and extended attributes are kept, and no symlink
//! is followed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use gantry_archive::tar::{self, Kind, LONGEST_NAME, Writer};
use gantry_rooted::{Entry, EntryKind, Root, Spot, Time, View};

use super::place::Place;
use super::stat::Found;
use crate::error::{Error, Result};
use crate::root::kernel;

/// Packs what was found at a place under its own name. The names of a root's entries begin with a slash, as in
/// Docker.
pub fn pack(place: &Place, found: &Found, out: impl Write) -> Result<()> {
    let mut packer = Packer::new(&place.view, out);
    let name = if found.name == "/" { "" } else { &found.name };
    let spot = found.spot.try_clone().map_err(kernel)?;
    if let Some(directory) = packer.entry(spot, name.as_bytes())? {
        packer.directory(directory, name.into(), Some(b'/'))?;
    }
    packer.finish()
}

/// Packs everything in a root, without the root itself.
pub fn pack_all(root: Root, out: impl Write) -> Result<()> {
    let view = View::new(root).map_err(kernel)?;
    let mut packer = Packer::new(&view, out);
    let root = view.find("/".as_ref(), gantry_rooted::Last::Follow).map_err(kernel)?;
    packer.directory(root, Vec::new(), None)?;
    packer.finish()
}

struct Packer<'v, W: Write> {
    view: &'v View,
    tar: Writer<W>,
    /// Names of packed files that have more than one hard link, by device and inode.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

/// A directory that is being packed: its remaining entries, the directory, and the prefix of its entries' names.
type Open = (std::vec::IntoIter<Entry>, Spot, Vec<u8>);

impl<'v, W: Write> Packer<'v, W> {
    fn new(view: &'v View, out: W) -> Self {
        Packer { view, tar: Writer::new(out), linked: HashMap::new() }
    }

    fn finish(self) -> Result<()> {
        self.tar.finish().map(drop).map_err(|error| write(b"the end", error))
    }

    /// Packs everything in a directory. It does not recurse, because the container decides how deep its directories
    /// are.
    fn directory(&mut self, directory: Spot, mut name: Vec<u8>, slash: Option<u8>) -> Result<()> {
        name.extend(slash);
        let mut open: Vec<Open> = vec![(entries(&directory)?, directory, name)];
        while let Some((rest, parent, before)) = open.last_mut() {
            let Some(entry) = rest.next() else {
                open.pop();
                continue;
            };
            let mut name = [before.as_slice(), entry.name.as_bytes()].concat();
            // A file that vanished since the directory was listed is left out.
            let Some(spot) = self.view.child(parent, &entry.name).map_err(kernel)? else { continue };
            if let Some(below) = self.entry(spot, &name)? {
                name.push(b'/');
                open.push((entries(&below)?, below, name));
            }
        }
        Ok(())
    }

    /// Packs one entry. If the entry is a directory, returns it so that the caller packs its content.
    fn entry(&mut self, spot: Spot, name: &[u8]) -> Result<Option<Spot>> {
        // No program could open a path of this length.
        if name.len() > LONGEST_NAME {
            return Err(Error::Archive(format!("pack: the path of {} is too long", spot.path.display())));
        }
        let stat = &spot.stat;
        let kind = match stat.kind {
            EntryKind::File => Kind::File,
            EntryKind::Directory => Kind::Directory,
            EntryKind::Symlink => Kind::Symlink,
            EntryKind::Fifo => Kind::Fifo,
            EntryKind::CharDevice => Kind::CharDevice,
            EntryKind::BlockDevice => Kind::BlockDevice,
            // A tar has no sockets.
            EntryKind::Socket => return Ok(None),
        };
        let mut entry = tar::Entry {
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            // Whole seconds, as Docker writes them.
            mtime: Time { seconds: stat.modified.seconds, nanos: 0 },
            size: stat.size,
            device: stat.special,
            ..tar::Entry::new(name, kind)
        };
        if kind != Kind::Directory && stat.links > 1 {
            if let Some(first) = self.linked.get(&(stat.device, stat.inode)) {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first);
                return self.append(&entry).map(|()| None);
            }
            self.linked.insert((stat.device, stat.inode), name.to_owned());
        }
        entry.xattrs = extended(&spot);
        match kind {
            Kind::File => {
                let Ok(file) = spot.open_file() else { return Ok(None) };
                self.append(&entry)?;
                // The header with the size is already written: a file that grows meanwhile is cut, one that shrinks
                // is padded.
                let copied = std::io::copy(&mut file.take(stat.size), &mut self.tar);
                copied.map(|_| None).map_err(|error| write(name, error))
            }
            Kind::Directory => {
                entry.path.push(b'/');
                self.append(&entry).map(|()| Some(spot))
            }
            Kind::Symlink => {
                entry.link = spot.read_link().map_err(kernel)?.as_bytes().to_vec();
                self.append(&entry).map(|()| None)
            }
            _ => self.append(&entry).map(|()| None),
        }
    }

    fn append(&mut self, entry: &tar::Entry) -> Result<()> {
        self.tar.entry(entry).map_err(|error| write(&entry.path, error))
    }
}

/// Returns the extended attributes without overlay's own, which a container does not see.
fn extended(spot: &Spot) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = spot.xattrs().unwrap_or_default().into_iter();
    let seen = all.filter(|(key, _)| !key.as_bytes().starts_with(b"trusted.overlay."));
    seen.map(|(key, value)| (key.into_vec(), value)).collect()
}

fn entries(directory: &Spot) -> Result<std::vec::IntoIter<Entry>> {
    let entries = directory.dir().and_then(|directory| directory.entries());
    entries.map(Vec::into_iter).map_err(kernel)
}

fn write(name: &[u8], error: std::io::Error) -> Error {
    Error::Archive(format!("pack {}: {error}", OsStr::from_bytes(name).display()))
}

#[cfg(test)]
mod tests {
    use ::tar::{Archive, EntryType};
    use gantry_rooted::{Access, Dir, Last};

    use super::*;

    fn names(out: &[u8]) -> Vec<(String, EntryType)> {
        Archive::new(out)
            .entries()
            .expect("a tar")
            .map(|entry| {
                let entry = entry.expect("whole");
                (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), entry.header().entry_type())
            })
            .collect()
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
        assert!(pack_all(Root::open_path(dir.path()).expect("opened"), std::io::sink()).is_err());
    }

    #[test]
    fn what_is_mounted_is_packed_in_its_place_and_under_its_own_name() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for folder in ["root/data/vol/hidden", "root/after", "volume/sub"] {
            std::fs::create_dir_all(dir.path().join(folder)).expect("made");
        }
        std::fs::write(dir.path().join("volume/sub/x"), "x").expect("written");
        let mut view = View::new(Root::open_path(&dir.path().join("root")).expect("opened")).expect("a view");
        let volume = gantry_rooted::open_path(&dir.path().join("volume")).expect("opened");
        assert!(view.mount("/data/vol".as_ref(), volume, Access::Read).expect("put"));
        let mut place = Place {
            view,
            path: "/".into(),
            read_only_root: false,
            covered: Vec::new(),
            _turn: None,
            _held: None,
        };
        for (path, name, seen) in [
            ("/", "/", vec!["/", "/after/", "/data/", "/data/vol/", "/data/vol/sub/", "/data/vol/sub/x"]),
            ("/data/vol", "vol", vec!["vol/", "vol/sub/", "vol/sub/x"]),
            ("/data/.", ".", vec!["./", "./vol/", "./vol/sub/", "./vol/sub/x"]),
        ] {
            place.path = path.into();
            let spot = place.view.find(path.as_ref(), Last::Keep).expect("found");
            let mut out = Vec::new();
            pack(&place, &Found { spot, name: name.to_owned() }, &mut out).expect("packed");
            let names: Vec<String> = names(&out).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, seen, "{path}");
        }
    }

    #[test]
    fn a_tree_is_packed_with_its_links() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let long = "long".repeat(40);
        std::fs::create_dir(dir.path().join("sub")).expect("made");
        std::fs::write(dir.path().join("sub/file"), "hello").expect("written");
        std::fs::hard_link(dir.path().join("sub/file"), dir.path().join("sub/twin")).expect("linked");
        std::os::unix::fs::symlink(&long, dir.path().join("link")).expect("linked");
        std::fs::write(dir.path().join(&long), "a long name").expect("written");
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("sub/socket")).expect("bound");
        let mut out = Vec::new();
        pack_all(Root::open_path(dir.path()).expect("opened"), &mut out).expect("packed");
        assert_eq!(
            names(&out),
            [
                ("link".to_owned(), EntryType::Symlink),
                (long.clone(), EntryType::Regular),
                ("sub/".to_owned(), EntryType::Directory),
                ("sub/file".to_owned(), EntryType::Regular),
                ("sub/twin".to_owned(), EntryType::Link),
            ]
        );
        let mut archive = Archive::new(out.as_slice());
        let link = archive.entries().expect("a tar").next().expect("one").expect("whole");
        assert_eq!(link.link_name_bytes().expect("a target"), long.as_bytes());
    }
}
