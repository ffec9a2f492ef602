//! Packs local files into a tar, and unpacks a tar into local files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use gantry_archive::tar::{Entry, Kind, Reader, Writer};
use gantry_rooted::{EntryKind, Root, Time};
use rustix::fs::{Mode, OFlags};

use super::place::{Plan, Source};

/// A local source of a copy.
#[derive(Debug)]
pub struct Found {
    pub source: Source,
    pub is_dir: bool,
}

impl Found {
    /// Looks at a path; at the target of a link, with `follow` or if the path ends with a slash.
    pub fn at(path: &str, follow: bool) -> Result<Self> {
        let mut source = Source::named(&super::absolute(path)?);
        let named_folder = path.ends_with('/') || path.ends_with("/.") || path == ".";
        let look = if follow || named_folder { fs::metadata(path) } else { fs::symlink_metadata(path) };
        let found = look.with_context(|| format!("look at {path}"))?;
        if named_folder && !found.is_dir() {
            bail!("{path}: not a directory");
        }
        if follow && !named_folder && fs::symlink_metadata(path)?.is_symlink() {
            let real = fs::canonicalize(path).with_context(|| format!("follow {path}"))?;
            source = Source { called: Some(source.base), ..Source::named(&real.display().to_string()) };
        }
        Ok(Self { source, is_dir: found.is_dir() })
    }
}

/// How many bytes to read or write at once.
const BUFFER: usize = 256 << 10;

/// Sends files, by the plan's names.
pub fn pack(stream: std::os::unix::net::UnixStream, found: &Found, plan: &Plan) -> Result<()> {
    pack_into(&stream, found, plan)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    Ok(())
}

/// Writes files as a tar, by the plan's names.
pub fn pack_into(target: impl Write, found: &Found, plan: &Plan) -> Result<()> {
    let tar = Writer::new(BufWriter::with_capacity(BUFFER, target));
    let mut packing = Packing { tar, plan, links: HashMap::new() };
    packing.add(Path::new(&found.source.path), Path::new(&found.source.base))?;
    packing.tar.finish()?;
    Ok(())
}

struct Packing<'a, W: Write> {
    tar: Writer<W>,
    plan: &'a Plan,
    /// Files with several hard links, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl<W: Write> Packing<'_, W> {
    /// Adds a file, or a folder with its contents.
    fn add(&mut self, path: &Path, name: &Path) -> Result<()> {
        let at = || format!("copy {}", path.display());
        let found = fs::symlink_metadata(path).with_context(at)?;
        // A slash at the path's end says that it is a folder.
        let found = if found.is_symlink() && path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            fs::metadata(path).with_context(at)?
        } else {
            found
        };
        let kind = match EntryKind::from_mode(found.mode()) {
            Some(EntryKind::File) => Kind::File,
            Some(EntryKind::Directory) => Kind::Directory,
            Some(EntryKind::Symlink) => Kind::Symlink,
            Some(EntryKind::Fifo) => Kind::Fifo,
            Some(EntryKind::CharDevice) => Kind::CharDevice,
            Some(EntryKind::BlockDevice) => Kind::BlockDevice,
            // A socket is of no use elsewhere.
            Some(EntryKind::Socket) | None => return Ok(()),
        };
        let mut entry = Entry {
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
            mtime: Time { seconds: found.mtime(), nanos: 0 },
            size: found.len(),
            device: (rustix::fs::major(found.rdev()), rustix::fs::minor(found.rdev())),
            ..Entry::new(self.plan.name(name).into_os_string().into_encoded_bytes(), kind)
        };
        match kind {
            Kind::File => {
                if found.nlink() > 1 {
                    if let Some(first) = self.links.get(&(found.dev(), found.ino())) {
                        (entry.kind, entry.link) = (Kind::HardLink, first.clone());
                        return self.tar.entry(&entry).with_context(at);
                    }
                    self.links.insert((found.dev(), found.ino()), entry.path.clone());
                }
                let file = fs::File::open(path).with_context(at)?;
                self.tar.entry(&entry).with_context(at)?;
                // If a file grows meanwhile, cut it; if it shrinks, fill it with zeros: the tar stays valid.
                std::io::copy(&mut file.take(found.len()), &mut self.tar).with_context(at)?;
                return Ok(());
            }
            Kind::Symlink => {
                entry.link = fs::read_link(path).with_context(at)?.into_os_string().into_encoded_bytes();
            }
            // Names of folders end with a slash in a tar.
            Kind::Directory if !entry.path.ends_with(b"/") => entry.path.push(b'/'),
            _ => {}
        }
        self.tar.entry(&entry).with_context(at)?;
        if kind == Kind::Directory {
            let mut entries =
                fs::read_dir(path).with_context(at)?.collect::<Result<Vec<_>, _>>().with_context(at)?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                self.add(&entry.path(), &name.join(entry.file_name()))?;
            }
        }
        Ok(())
    }
}

/// Unpacks a tar below the plan's folder and nowhere else, whatever names and links the tar has: its maker is not
/// trusted.
pub fn unpack(stream: impl Read, plan: &Plan, keep_owners: bool) -> Result<()> {
    let mut reader = Reader::new(BufReader::with_capacity(BUFFER, stream));
    let root = Root::open_path(Path::new(&plan.folder))?;
    let unpacking = Unpacking { root, keep_owners };
    // A folder's mode may forbid writing into it, and writing changes its time.
    let mut folders = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let name = plain(&plan.name(path(&entry.path)))?;
        if name.as_os_str().is_empty() {
            // The folder itself, which exists.
            continue;
        }
        let made = unpacking.make(&mut reader, &entry, &name, plan);
        made.with_context(|| format!("make {}", Path::new(&plan.folder).join(&name).display()))?;
        if entry.kind == Kind::Directory {
            folders.push((name, entry));
        }
    }
    for (name, entry) in folders.into_iter().rev() {
        unpacking.finish(&name, &entry).with_context(|| format!("change {}", name.display()))?;
    }
    Ok(())
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A name without `/` at the start, and without `.`.
fn plain(name: &Path) -> Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => bail!("the name {name:?} leads out of where it belongs"),
        }
    }
    Ok(plain)
}

struct Unpacking {
    root: Root,
    keep_owners: bool,
}

impl Unpacking {
    /// Makes one entry. It replaces what has its name, but no folder by a file, nor a file by a folder.
    fn make(&self, reader: &mut Reader<impl BufRead>, entry: &Entry, name: &Path, plan: &Plan) -> Result<()> {
        let there = self.root.stat(name).ok().map(|there| rustix::fs::FileType::from_raw_mode(there.st_mode));
        match (there, entry.kind) {
            (Some(rustix::fs::FileType::Directory), Kind::Directory) => return Ok(()),
            (Some(rustix::fs::FileType::Directory), _) => {
                bail!("cannot overwrite a directory with what is none")
            }
            (Some(_), Kind::Directory) => bail!("cannot overwrite what is no directory with one"),
            (Some(_), _) => self.root.remove_file(name)?,
            (None, _) => {}
        }
        if let Some(parent) = name.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.root.create_dir_all(parent, 0o755)?;
        }
        let device = rustix::fs::makedev(entry.device.0, entry.device.1);
        match entry.kind {
            Kind::Directory => return Ok(self.root.create_dir(name, 0o700)?),
            Kind::Symlink => self.root.symlink(OsStr::from_bytes(&entry.link), name)?,
            Kind::HardLink => {
                return Ok(self.root.hardlink(&plain(&plan.name(path(&entry.link)))?, name)?);
            }
            Kind::Fifo => self.root.mknod(name, EntryKind::Fifo, 0o600, 0)?,
            Kind::CharDevice => self.root.mknod(name, EntryKind::CharDevice, 0o600, device)?,
            Kind::BlockDevice => self.root.mknod(name, EntryKind::BlockDevice, 0o600, device)?,
            Kind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let file = fs::File::from(self.root.open(name, flags, Mode::from_raw_mode(0o600))?);
                reader.write_to(entry, &file)?;
            }
        }
        self.finish(name, entry)
    }

    /// Sets an entry's owner, mode and time.
    fn finish(&self, name: &Path, entry: &Entry) -> Result<()> {
        if self.keep_owners {
            self.root.set_owner(name, entry.uid, entry.gid)?;
        }
        if entry.kind == Kind::Symlink {
            return Ok(());
        }
        self.root.set_mode(name, entry.mode)?;
        let (parent, leaf) = self.root.open_parent(name)?;
        let time =
            rustix::fs::Timespec { tv_sec: entry.mtime.seconds, tv_nsec: i64::from(entry.mtime.nanos) };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::utimensat(&parent, leaf, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar with a link out of the folder, and a file behind that link.
    fn hostile(target: &Path) -> Vec<u8> {
        let mut tar = Writer::new(Vec::new());
        let target = target.as_os_str().as_bytes().to_vec();
        tar.entry(&Entry { link: target, ..Entry::new("dir/out", Kind::Symlink) }).expect("added");
        tar.entry(&Entry { size: 4, ..Entry::new("dir/out/file", Kind::File) }).expect("added");
        tar.write_all(b"evil").expect("added");
        tar.finish().expect("written")
    }

    #[test]
    fn links_of_a_tar_lead_nowhere_else() {
        let base = std::env::temp_dir().join(format!("gantry-cp-{}", std::process::id()));
        let (inside, outside) = (base.join("inside"), base.join("outside"));
        for folder in [&inside, &outside] {
            fs::create_dir_all(folder).expect("made");
        }
        let plan = Plan::of_all(&inside.display().to_string());
        // The tar is refused, or its file lands below the folder.
        let _ = unpack(hostile(&outside).as_slice(), &plan, false);
        assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
        assert!(plain(Path::new("../x")).is_err());
        assert_eq!(plain(Path::new("/./a/b")).expect("plain"), Path::new("a/b"));
        fs::remove_dir_all(base).expect("removed");
    }

    #[test]
    fn root_a_tree_survives_the_way_there_and_back() {
        let base = std::env::temp_dir().join(format!("gantry-cp-tree-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("to"));
        fs::create_dir_all(from.join("sub")).expect("made");
        fs::create_dir_all(&to).expect("made");
        fs::write(from.join("sub/a"), "content").expect("written");
        fs::hard_link(from.join("sub/a"), from.join("b")).expect("linked");
        std::os::unix::fs::symlink("sub/a", from.join("link")).expect("linked");
        fs::set_permissions(from.join("sub"), std::os::unix::fs::PermissionsExt::from_mode(0o500))
            .expect("ours");
        let (sender, receiver) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let found = Found::at(&from.display().to_string(), false).expect("found");
        let keep = Plan::of_all("");
        let packer = std::thread::spawn(move || pack(sender, &found, &keep));
        let plan =
            Plan { folder: to.display().to_string(), rename: Some(("from".to_owned(), "new".to_owned())) };
        unpack(receiver, &plan, false).expect("unpacked");
        packer.join().expect("it ends").expect("packed");
        let new = to.join("new");
        assert_eq!(fs::read_to_string(new.join("link")).expect("read"), "content");
        assert_eq!(
            fs::metadata(new.join("b")).expect("there").ino(),
            fs::metadata(new.join("sub/a")).expect("there").ino()
        );
        assert_eq!(fs::metadata(new.join("sub")).expect("there").mode() & 0o777, 0o500);
        fs::remove_dir_all(base).expect("removed");
    }
}
