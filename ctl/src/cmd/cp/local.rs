//! Files of ours as a tar, and a tar as files of ours.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use gantry_rooted::{EntryKind, Root};
use rustix::fs::{Mode, OFlags};
use tar::{Archive, Builder, EntryType, Header};

use super::place::{Plan, Source};

/// Something of ours that is to be copied.
#[derive(Debug)]
pub struct Found {
    pub source: Source,
    pub is_dir: bool,
}

impl Found {
    /// Looks at a path; what a link leads to, when `follow` says so, or the path's end does.
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

/// Sends files, named as the plan says.
pub fn pack(mut stream: std::os::unix::net::UnixStream, found: &Found, plan: &Plan) -> Result<()> {
    let mut builder = Builder::new(std::io::BufWriter::with_capacity(256 << 10, &mut stream));
    let base = Path::new(&found.source.base);
    let mut packing = Packing { builder: &mut builder, plan, links: HashMap::new() };
    packing.add(Path::new(&found.source.path), base)?;
    builder.into_inner()?.flush()?;
    stream.shutdown(std::net::Shutdown::Write)?;
    Ok(())
}

struct Packing<'a, W: Write> {
    builder: &'a mut Builder<W>,
    plan: &'a Plan,
    /// Files with several names, by what tells them from others.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packing<'_, W> {
    /// Adds a file, or a folder with all that is in it.
    fn add(&mut self, path: &Path, name: &Path) -> Result<()> {
        let at = || format!("copy {}", path.display());
        let found = fs::symlink_metadata(path).with_context(at)?;
        // The path's own end may say that it is a folder.
        let found = if found.is_symlink() && path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            fs::metadata(path).with_context(at)?
        } else {
            found
        };
        let kind = found.file_type();
        if kind.is_socket() {
            // It is of no use elsewhere.
            return Ok(());
        }
        let mut header = Header::new_gnu();
        header.set_metadata(&found);
        let wanted = self.plan.name(name);
        if kind.is_file() && found.nlink() > 1 {
            if let Some(first) = self.links.get(&(found.dev(), found.ino())) {
                header.set_entry_type(EntryType::Link);
                header.set_size(0);
                let first = first.clone();
                return self.builder.append_link(&mut header, &wanted, &first).with_context(at);
            }
            self.links.insert((found.dev(), found.ino()), wanted.clone());
        }
        if kind.is_symlink() {
            header.set_size(0);
            let target = fs::read_link(path).with_context(at)?;
            return self.builder.append_link(&mut header, &wanted, &target).with_context(at);
        }
        if kind.is_file() {
            let file = fs::File::open(path).with_context(at)?;
            // One that grows meanwhile is cut, one that shrinks is filled up: the tar stays whole.
            let content = file.chain(std::io::repeat(0)).take(found.len());
            return self.builder.append_data(&mut header, &wanted, content).with_context(at);
        }
        self.builder
            .append_data(&mut header, as_folder(&wanted, kind.is_dir()), std::io::empty())
            .with_context(at)?;
        if kind.is_dir() {
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

/// Names of folders end with a slash in a tar.
fn as_folder(name: &Path, is_dir: bool) -> PathBuf {
    if is_dir { name.join("") } else { name.to_owned() }
}

/// Makes files of a tar below the plan's folder, and nowhere else, whatever names and links are in it: it may be anybody's.
pub fn unpack(stream: impl Read, plan: &Plan, keep_owners: bool) -> Result<()> {
    let mut archive = Archive::new(std::io::BufReader::with_capacity(256 << 10, stream));
    let root = Root::open_path(Path::new(&plan.folder))?;
    let unpacking = Unpacking { root, keep_owners };
    // A folder's mode may forbid to write into it, and what is written changes its time.
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = plain(&plan.name(&entry.path()?))?;
        let link = entry.link_name()?.map(|link| link.into_owned());
        let header = entry.header().clone();
        if name.as_os_str().is_empty() {
            // The folder itself, which is there.
            continue;
        }
        let link = match header.entry_type() {
            EntryType::Link => link.map(|link| plain(&plan.name(&link))).transpose()?,
            _ => link,
        };
        let made = unpacking.make(&mut entry, &header, &name, link.as_deref());
        made.with_context(|| format!("make {}", Path::new(&plan.folder).join(&name).display()))?;
        if header.entry_type() == EntryType::Directory {
            folders.push((name, header));
        }
    }
    for (name, header) in folders.into_iter().rev() {
        unpacking.finish(&name, &header).with_context(|| format!("change {}", name.display()))?;
    }
    Ok(())
}

/// A name without roots and dots.
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
    /// Makes one entry. What has its name goes, but no folder gives way to a file, nor a file to a folder.
    fn make(&self, content: &mut impl Read, header: &Header, name: &Path, link: Option<&Path>) -> Result<()> {
        let kind = header.entry_type();
        let there = self.root.stat(name).ok().map(|there| rustix::fs::FileType::from_raw_mode(there.st_mode));
        match (there, kind) {
            (Some(rustix::fs::FileType::Directory), EntryType::Directory) => return Ok(()),
            (Some(rustix::fs::FileType::Directory), _) => {
                bail!("cannot overwrite a directory with what is none")
            }
            (Some(_), EntryType::Directory) => bail!("cannot overwrite what is no directory with one"),
            (Some(_), _) => self.root.remove_file(name)?,
            (None, _) => {}
        }
        if let Some(parent) = name.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.root.create_dir_all(parent, 0o755)?;
        }
        let device = || -> Result<u64> {
            let number = |part: Option<u32>| part.context("a device has no number");
            Ok(rustix::fs::makedev(number(header.device_major()?)?, number(header.device_minor()?)?))
        };
        match kind {
            EntryType::Directory => return Ok(self.root.create_dir(name, 0o700)?),
            EntryType::Symlink => {
                self.root.symlink(link.context("a link leads nowhere")?.as_os_str(), name)?;
            }
            EntryType::Link => {
                return Ok(self.root.hardlink(link.context("a link leads nowhere")?, name)?);
            }
            EntryType::Fifo => self.root.mknod(name, EntryKind::Fifo, 0o600, 0)?,
            EntryType::Char => self.root.mknod(name, EntryKind::CharDevice, 0o600, device()?)?,
            EntryType::Block => self.root.mknod(name, EntryKind::BlockDevice, 0o600, device()?)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let mut file = fs::File::from(self.root.open(name, flags, Mode::from_raw_mode(0o600))?);
                std::io::copy(content, &mut file)?;
            }
            other => bail!("an entry of the type {other:?}"),
        }
        self.finish(name, header)
    }

    /// Gives an entry its owner, mode and time.
    fn finish(&self, name: &Path, header: &Header) -> Result<()> {
        if self.keep_owners {
            self.root.set_owner(name, u32::try_from(header.uid()?)?, u32::try_from(header.gid()?)?)?;
        }
        if header.entry_type() == EntryType::Symlink {
            return Ok(());
        }
        self.root.set_mode(name, header.mode()? & 0o7777)?;
        let (parent, leaf) = self.root.open_parent(name)?;
        let time = rustix::fs::Timespec { tv_sec: i64::try_from(header.mtime()?)?, tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        Ok(rustix::fs::utimensat(&parent, leaf, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar with a link that leads out, and a file behind it.
    fn hostile(target: &Path) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        builder.append_link(&mut header, "dir/out", target).expect("added");
        let mut header = Header::new_gnu();
        header.set_size(4);
        header.set_mode(0o644);
        builder.append_data(&mut header, "dir/out/file", &b"evil"[..]).expect("added");
        builder.into_inner().expect("written")
    }

    #[test]
    fn links_of_a_tar_lead_nowhere_else() {
        let base = std::env::temp_dir().join(format!("gantry-cp-{}", std::process::id()));
        let (inside, outside) = (base.join("inside"), base.join("outside"));
        for folder in [&inside, &outside] {
            fs::create_dir_all(folder).expect("made");
        }
        let plan = Plan { folder: inside.display().to_string(), rename: None };
        // It is refused, or lands below the folder.
        let _ = unpack(hostile(&outside).as_slice(), &plan, false);
        assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
        assert!(plain(Path::new("../x")).is_err());
        assert_eq!(plain(Path::new("/./a/b")).expect("plain"), Path::new("a/b"));
        fs::remove_dir_all(base).expect("removed");
    }

    #[test]
    fn a_tree_survives_the_way_there_and_back() {
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
        let keep = Plan { folder: String::new(), rename: None };
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
