//! Packs a part of a file system into a tar: attributes, hard links and extended attributes kept, no symlink followed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;

use gantry_rooted::{Entry, EntryKind, FileStat, Root, Spot, View};

use super::place::Place;
use super::stat::Found;
use crate::error::{Error, Result};
use crate::root::kernel;

/// What no program could open by its path is not packed either (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;
/// What a tar header holds of a name, or of a link's target.
const SHORT: usize = 100;

/// Packs what was found at a place, under its own name. Those of a root's entries begin with a slash, as Docker's do.
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
    tar: tar::Builder<W>,
    /// Files with more names than one that have been packed, by device and inode.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

/// A directory that is being packed: what is left of its entries, itself, and how the names of its entries begin.
type Open = (std::vec::IntoIter<Entry>, Spot, Vec<u8>);

impl<'v, W: Write> Packer<'v, W> {
    fn new(view: &'v View, out: W) -> Self {
        Packer { view, tar: tar::Builder::new(out), linked: HashMap::new() }
    }

    fn finish(mut self) -> Result<()> {
        self.tar.finish().map_err(|error| self::write(b"the end", error))?;
        let mut out = self.tar.into_inner().map_err(|error| self::write(b"the end", error))?;
        out.flush().map_err(|error| self::write(b"the end", error))
    }

    /// Packs everything in a directory. No recursion: how deep the directories are is the container's choice.
    fn directory(&mut self, directory: Spot, mut name: Vec<u8>, slash: Option<u8>) -> Result<()> {
        name.extend(slash);
        let mut open: Vec<Open> = vec![(entries(&directory)?, directory, name)];
        while let Some((rest, parent, before)) = open.last_mut() {
            let Some(entry) = rest.next() else {
                open.pop();
                continue;
            };
            let mut name = [before.as_slice(), entry.name.as_bytes()].concat();
            // What vanishes meanwhile is left out.
            let Some(spot) = self.view.child(parent, &entry.name).map_err(kernel)? else { continue };
            if let Some(below) = self.entry(spot, &name)? {
                name.push(b'/');
                open.push((entries(&below)?, below, name));
            }
        }
        Ok(())
    }

    /// Packs one thing; a directory is what remains to be packed.
    fn entry(&mut self, spot: Spot, name: &[u8]) -> Result<Option<Spot>> {
        if name.len() > LONGEST_PATH {
            return Err(Error::Archive(format!("pack: the path of {} is too long", spot.path.display())));
        }
        let stat = &spot.stat;
        let attributes = spot.xattrs().unwrap_or_default();
        if stat.kind != EntryKind::Directory && stat.links > 1 {
            if let Some(first) = self.linked.get(&(stat.device, stat.inode)) {
                let mut header = header(stat);
                header.set_entry_type(tar::EntryType::Link);
                header.set_size(0);
                let first = first.clone();
                self.append(header, name, Some(&first), std::io::empty())?;
                return Ok(None);
            }
            self.linked.insert((stat.device, stat.inode), name.to_owned());
        }
        match stat.kind {
            EntryKind::File => {
                let Ok(file) = spot.open_file() else { return Ok(None) };
                self.extended(name, &attributes)?;
                // A file that shrinks while it is packed is filled up, one that grows is cut: the header is out already.
                let content = file.take(stat.size).chain(std::io::repeat(0)).take(stat.size);
                self.append(header(stat), name, None, content)?;
            }
            EntryKind::Directory => {
                self.extended(name, &attributes)?;
                self.append(header(stat), &[name, b"/"].concat(), None, std::io::empty())?;
                return Ok(Some(spot));
            }
            EntryKind::Symlink => {
                let target = spot.read_link().map_err(kernel)?;
                self.extended(name, &attributes)?;
                self.append(header(stat), name, Some(target.as_bytes()), std::io::empty())?;
            }
            // A tar has no sockets.
            EntryKind::Socket => {}
            EntryKind::Fifo | EntryKind::CharDevice | EntryKind::BlockDevice => {
                self.extended(name, &attributes)?;
                self.append(header(stat), name, None, std::io::empty())?;
            }
        }
        Ok(None)
    }

    /// Appends an entry with its name exactly as it is given: Docker's may begin with a slash, which the library refuses.
    fn append(
        &mut self,
        mut header: tar::Header,
        name: &[u8],
        target: Option<&[u8]>,
        content: impl Read,
    ) -> Result<()> {
        for (kind, text) in [(tar::EntryType::GNULongName, Some(name)), (tar::EntryType::GNULongLink, target)]
        {
            if let Some(text) = text.filter(|text| text.len() > SHORT) {
                self.long(kind, text).map_err(|error| write(name, error))?;
            }
        }
        let fields = header.as_old_mut();
        put(&mut fields.name, name);
        put(&mut fields.linkname, target.unwrap_or_default());
        header.set_cksum();
        self.tar.append(&header, content).map_err(|error| write(name, error))
    }

    /// What is too long for a header goes before it, as GNU has it.
    fn long(&mut self, kind: tar::EntryType, text: &[u8]) -> std::io::Result<()> {
        let mut header = tar::Header::new_gnu();
        put(&mut header.as_old_mut().name, b"././@LongLink");
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(text.len() as u64 + 1);
        header.set_cksum();
        self.tar.append(&header, text.chain([0].as_slice()))
    }

    /// Extended attributes go before their entry, as records of a PAX header.
    fn extended(&mut self, name: &[u8], attributes: &[(OsString, Vec<u8>)]) -> Result<()> {
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
            .map_err(|error| write(name, error))
    }
}

fn entries(directory: &Spot) -> Result<std::vec::IntoIter<Entry>> {
    let entries = directory.dir().and_then(|directory| directory.entries());
    entries.map(Vec::into_iter).map_err(kernel)
}

/// Fills a field of a header; what does not fit is cut.
fn put(field: &mut [u8; SHORT], text: &[u8]) {
    let length = text.len().min(SHORT);
    field[..length].copy_from_slice(&text[..length]);
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

fn write(name: &[u8], error: std::io::Error) -> Error {
    Error::Archive(format!("pack {}: {error}", OsStr::from_bytes(name).display()))
}

#[cfg(test)]
mod tests {
    use gantry_rooted::{Access, Dir, Last};

    use super::*;

    fn names(out: &[u8]) -> Vec<(String, tar::EntryType)> {
        tar::Archive::new(out)
            .entries()
            .expect("a tar")
            .map(|entry| {
                let entry = entry.expect("whole");
                (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), entry.header().entry_type())
            })
            .collect()
    }

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
                ("link".to_owned(), tar::EntryType::Symlink),
                (long.clone(), tar::EntryType::Regular),
                ("sub/".to_owned(), tar::EntryType::Directory),
                ("sub/file".to_owned(), tar::EntryType::Regular),
                ("sub/twin".to_owned(), tar::EntryType::Link),
            ]
        );
        let mut archive = tar::Archive::new(out.as_slice());
        let link = archive.entries().expect("a tar").next().expect("one").expect("whole");
        assert_eq!(link.link_name_bytes().expect("a target"), long.as_bytes());
    }
}
