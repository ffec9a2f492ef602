//! A root with files and directories over it: what a container sees, without mounting anything.
//!
//! A [`View`] walks from descriptor to descriptor, one component at a time, and continues at the mounted directory
//! where a component is a mount point. The view itself reads symbolic links, and the kernel never follows one; `..`
//! goes back to where the walk came from. So no path leads out, whatever other processes rename meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use super::{Dir, EntryKind, FileStat, Root, proc_path, xattr};
use crate::{Error, Result};

/// How many symbolic links a path may have, as in the kernel.
const MOST_LINKS: usize = 40;

/// Whether a file may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The mount may be written.
    Write,
    /// The mount is read-only.
    Read,
}

/// What happens to a symbolic link at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It is followed.
    Follow,
    /// It is not followed.
    Keep,
}

/// A root with its mounts.
#[derive(Debug)]
pub struct View {
    root: Spot,
    over: Vec<Spot>,
}

/// A file or directory in a view.
#[derive(Debug)]
pub struct Spot {
    /// Its path from the view's root, without symbolic links.
    pub path: PathBuf,
    /// Its attributes when it was found.
    pub stat: FileStat,
    /// Whether it may be written.
    pub access: Access,
    /// Opened with `O_PATH`.
    file: OwnedFd,
}

/// The result of a walk.
#[derive(Debug)]
pub enum Walked {
    /// The target of the path.
    Found(Spot),
    /// The path at which the target would be; its missing components are as they were written.
    Missing(PathBuf),
}

impl AsFd for Spot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The directory, to make and remove entries; [`Spot::dir`] lists them.
impl From<Spot> for Dir {
    fn from(spot: Spot) -> Self {
        Self::from(spot.file)
    }
}

impl View {
    /// A root without mounts.
    pub fn new(root: Root) -> Result<Self> {
        let root = Spot::new(root.directory, PathBuf::from("/"), Access::Write)?;
        Ok(Self { root, over: Vec::new() })
    }

    /// Mounts an open file or directory over the one at `place`. Returns `false`, and does nothing, when none of the
    /// same kind is there.
    pub fn mount(&mut self, place: &Path, file: OwnedFd, access: Access) -> Result<bool> {
        let Walked::Found(below) = self.walk(place, Last::Follow)? else { return Ok(false) };
        let spot = Spot::new(file, below.path, access)?;
        let is_directory = |spot: &Spot| spot.stat.kind == EntryKind::Directory;
        if is_directory(&spot) != (below.stat.kind == EntryKind::Directory) {
            return Ok(false);
        }
        self.over.retain(|other| other.path != spot.path);
        self.over.push(spot);
        Ok(true)
    }

    /// The mount points.
    pub fn mounted(&self) -> impl Iterator<Item = &Path> {
        self.over.iter().map(|spot| spot.path.as_path())
    }

    /// Finds the target of a path. Always follows symbolic links before the last component.
    pub fn walk(&self, path: &Path, last: Last) -> Result<Walked> {
        self.go(path, last, None)
    }

    /// Finds the target of a path; a missing one is an error.
    pub fn find(&self, path: &Path, last: Last) -> Result<Spot> {
        match self.walk(path, last)? {
            Walked::Found(spot) => Ok(spot),
            Walked::Missing(_) => Err(Error::path("open", path, Errno::NOENT)),
        }
    }

    /// Finds a directory; makes it with its missing parents.
    pub fn create_dir_all(&self, path: &Path, mode: u32) -> Result<Spot> {
        match self.go(path, Last::Follow, Some(mode))? {
            Walked::Found(spot) if spot.stat.kind == EntryKind::Directory => Ok(spot),
            _ => Err(Error::path("open", path, Errno::NOTDIR)),
        }
    }

    /// An entry of a directory, not followed; `None` if there is none.
    pub fn child(&self, parent: &Spot, name: &OsStr) -> Result<Option<Spot>> {
        let path = parent.path.join(name);
        if let Some(over) = self.over.iter().find(|over| over.path == path) {
            return over.try_clone().map(Some);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&parent.file, name, flags, Mode::empty()) {
            Ok(file) => Spot::new(file, path, parent.access).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::path("open", path, e)),
        }
    }

    /// Reads a whole regular file of at most 16 MiB; follows symbolic links.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        const LONGEST: u64 = 16 << 20;
        let spot = self.find(path, Last::Follow)?;
        let mut bytes = Vec::new();
        let mut file = spot.open_file()?.take(LONGEST + 1);
        file.read_to_end(&mut bytes).map_err(|e| Error::path("read", path, e))?;
        if bytes.len() as u64 > LONGEST {
            return Err(Error::path("read", path, Errno::FBIG));
        }
        Ok(bytes)
    }

    fn go(&self, path: &Path, last: Last, make: Option<u32>) -> Result<Walked> {
        let fail = |e: Errno| Error::path("open", path, e);
        let mut way = vec![self.root.try_clone()?];
        let mut ahead = Vec::new();
        push(&mut ahead, path.as_os_str());
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            let here = way.last().expect("the root is never left");
            if here.stat.kind != EntryKind::Directory {
                return Err(fail(Errno::NOTDIR));
            }
            if part == "." {
                continue;
            }
            if part == ".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let next = match (self.child(here, &part)?, make) {
                (Some(next), _) => next,
                (None, None) => {
                    let mut missing = here.path.join(&part);
                    missing.extend(ahead.iter().rev());
                    return Ok(Walked::Missing(missing));
                }
                (None, Some(mode)) => {
                    here.writable()?;
                    match rustix::fs::mkdirat(&here.file, &part, Mode::from_raw_mode(mode)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(fail(e)),
                    }
                    self.child(here, &part)?.ok_or_else(|| fail(Errno::NOENT))?
                }
            };
            if next.stat.kind != EntryKind::Symlink || (last == Last::Keep && ahead.is_empty()) {
                way.push(next);
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return Err(fail(Errno::LOOP));
            }
            let target = next.read_link()?;
            if target.as_bytes().starts_with(b"/") {
                way.truncate(1);
            }
            push(&mut ahead, &target);
        }
        Ok(Walked::Found(way.pop().expect("the root is never left")))
    }
}

/// Puts the components of a path before those that remain; a final slash is a `.`.
fn push(ahead: &mut Vec<OsString>, path: &OsStr) {
    let parts = path.as_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty());
    let mut parts: Vec<OsString> = parts.map(|part| OsStr::from_bytes(part).to_owned()).collect();
    if path.as_bytes().ends_with(b"/") {
        parts.push(".".into());
    }
    ahead.extend(parts.into_iter().rev());
}

impl Spot {
    fn new(file: OwnedFd, path: PathBuf, access: Access) -> Result<Self> {
        let stat = rustix::fs::fstat(&file).map_err(|e| Error::path("stat", &path, e))?;
        Ok(Self { path, stat: FileStat::from_raw(&stat), access, file })
    }

    /// A second handle to the same file.
    pub fn try_clone(&self) -> Result<Self> {
        let file = self.file.try_clone().map_err(|e| Error::path("duplicate", &self.path, e))?;
        Ok(Self { path: self.path.clone(), stat: self.stat, access: self.access, file })
    }

    /// Fails if it is read-only.
    pub fn writable(&self) -> Result<()> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(Error::path("write", &self.path, Errno::ROFS)),
        }
    }

    /// The directory, to work on its entries.
    pub fn dir(&self) -> Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.file, c".", flags, Mode::empty())
            .map(Dir::from)
            .map_err(|e| Error::path("open", &self.path, e))
    }

    /// Opens a regular file for reading. Never opens a device or FIFO.
    pub fn open_file(&self) -> Result<File> {
        if self.stat.kind != EntryKind::File {
            return Err(Error::path("read", &self.path, Errno::INVAL));
        }
        File::open(proc_path(self.as_fd())).map_err(|e| Error::path("open", &self.path, e))
    }

    /// The target of a symbolic link.
    pub fn read_link(&self) -> Result<OsString> {
        let target = rustix::fs::readlinkat(&self.file, c"", Vec::new())
            .map_err(|e| Error::path("readlink", &self.path, e))?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// The extended attributes, sorted by name.
    pub fn xattrs(&self) -> Result<Vec<(OsString, Vec<u8>)>> {
        xattr::of(self.as_fd()).map_err(|e| Error::path("read attributes of", &self.path, e))
    }

    /// Whether it is on another mount than its directory: something is mounted on it in the mount namespace of the
    /// two.
    pub fn is_mounted_in(&self, parent: &Spot) -> Result<bool> {
        // STATX_MNT_ID, Linux 5.8.
        let mount = |file: &OwnedFd| {
            let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::statx(file, c"", flags, StatxFlags::MNT_ID)
                .map(|stat| stat.stx_mnt_id)
                .map_err(|e| Error::path("statx", &self.path, e))
        };
        Ok(mount(&self.file)? != mount(&parent.file)?)
    }
}

#[cfg(test)]
mod tests;
