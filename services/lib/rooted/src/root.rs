//! A directory that no path leaves.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::dir::{Dir, FileStat};
use crate::entry::{Entry, EntryKind, entries};
use crate::remove::remove_at;
use crate::xattr::{get_xattr_at, list_xattrs_at, set_xattr_at};
use crate::{Error, Result};

/// A directory that no path leaves.
#[derive(Debug)]
pub struct Root {
    pub(crate) directory: OwnedFd,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Root {
    /// Opens a directory as a root.
    pub fn open_path(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::path("open", path, e))?;
        Ok(Self { directory })
    }

    /// Uses an open directory, or the root of a detached mount, as a root.
    pub fn from_fd(directory: OwnedFd) -> Self {
        Self { directory }
    }

    /// Opens a file or directory in the root; `O_CLOEXEC` is added.
    pub fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        open_in(self.as_fd(), path, flags, mode).map_err(|e| Error::path("open", path, e))
    }

    /// Opens the target of a relative path below the root (`O_PATH`). A symbolic link that is absolute or leads out
    /// fails with `EXDEV` (`RESOLVE_BENEATH`).
    pub fn open_beneath(&self, path: &Path) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        loop {
            match rustix::fs::openat2(self, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                answer => return answer.map_err(|e| Error::path("open", path, e)),
            }
        }
    }

    /// Opens a directory in the root, following symbolic links in the root.
    pub fn open_dir(&self, path: &Path) -> Result<OwnedFd> {
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    /// Opens a directory in the root, following symbolic links in the root, to work on its entries.
    pub fn dir(&self, path: &Path) -> Result<Dir> {
        self.open_dir(path).map(Dir::from)
    }

    /// Resolves all but the last component of a path. Returns the open parent and the last component.
    pub fn open_parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr)> {
        let (parent, name) = split(path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let directory =
            open_in(self.as_fd(), parent, flags, Mode::empty()).map_err(|e| Error::path("open", path, e))?;
        Ok((directory, name))
    }

    /// Reads a whole regular file.
    ///
    /// The owner of the root may have put any file there, so devices and files of more than 16 MiB are refused.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        const LONGEST: u64 = 16 << 20;
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        let stat = rustix::fs::fstat(&file).map_err(|e| Error::path("stat", path, e))?;
        if EntryKind::from_mode(stat.st_mode) != Some(EntryKind::File) {
            return Err(Error::path("read", path, Errno::INVAL));
        }
        let mut bytes = Vec::new();
        let mut file = std::fs::File::from(file).take(LONGEST + 1);
        file.read_to_end(&mut bytes).map_err(|e| Error::path("read", path, e))?;
        if bytes.len() as u64 > LONGEST {
            return Err(Error::path("read", path, Errno::FBIG));
        }
        Ok(bytes)
    }

    /// Writes a whole file, which is created or truncated first.
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
        let mut file = std::fs::File::from(self.open(path, flags, Mode::from_raw_mode(mode))?);
        file.write_all(bytes).map_err(|e| Error::path("write", path, e))
    }

    /// Makes one directory, whose parent must exist. The process's umask applies to the mode.
    pub fn create_dir(&self, path: &Path, mode: u32) -> Result<()> {
        let (parent, name) = self.open_parent(path)?;
        let result = rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode));
        result.map_err(|e| Error::path("mkdir", path, e))
    }

    /// Makes a directory with its missing parents, and opens it. Existing ones stay as they are.
    pub fn create_dir_all(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        match self.open_dir(path) {
            Err(error) if error.is_not_found() => {}
            answer => return answer,
        }
        let (parent, name) = split(path)?;
        let parent = self.create_dir_all(parent, mode)?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => self.open_dir(path),
            Err(e) => Err(Error::path("mkdir", path, e)),
        }
    }

    /// Makes a symbolic link; its target is only text and is not resolved.
    pub fn symlink(&self, target: &OsStr, path: &Path) -> Result<()> {
        let (parent, name) = self.open_parent(path)?;
        rustix::fs::symlinkat(target, &parent, name).map_err(|e| Error::path("symlink", path, e))
    }

    /// Makes a hard link to a file in the root; a symbolic link is linked itself.
    pub fn hardlink(&self, existing: &Path, path: &Path) -> Result<()> {
        let (from, old) = self.open_parent(existing)?;
        let (to, new) = self.open_parent(path)?;
        rustix::fs::linkat(&from, old, &to, new, rustix::fs::AtFlags::empty())
            .map_err(|e| Error::path("link", path, e))
    }

    /// Makes a device, fifo or socket node; `device` is ignored for the latter two.
    pub fn mknod(&self, path: &Path, kind: EntryKind, mode: u32, device: u64) -> Result<()> {
        let (parent, name) = self.open_parent(path)?;
        rustix::fs::mknodat(&parent, name, kind.file_type(), Mode::from_raw_mode(mode), device)
            .map_err(|e| Error::path("mknod", path, e))
    }

    /// Removes a file, symbolic link or node.
    pub fn remove_file(&self, path: &Path) -> Result<()> {
        let (parent, name) = self.open_parent(path)?;
        rustix::fs::unlinkat(&parent, name, rustix::fs::AtFlags::empty())
            .map_err(|e| Error::path("unlink", path, e))
    }

    /// Removes an entry with everything below it. A missing one is no error.
    pub fn remove_all(&self, path: &Path) -> Result<()> {
        match self.open_parent(path) {
            Ok((parent, name)) => remove_at(parent.as_fd(), name),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Renames an entry within the root; replaces what rename(2) can replace.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let (old_parent, old) = self.open_parent(from)?;
        let (new_parent, new) = self.open_parent(to)?;
        rustix::fs::renameat(&old_parent, old, &new_parent, new).map_err(|e| Error::path("rename", from, e))
    }

    /// The target of a symbolic link.
    pub fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let (parent, name) = self.open_parent(path)?;
        let target = rustix::fs::readlinkat(&parent, name, Vec::new())
            .map_err(|e| Error::path("readlink", path, e))?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// The attributes of an entry; a symbolic link is not followed.
    pub fn stat(&self, path: &Path) -> Result<Stat> {
        let file = self.open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        rustix::fs::fstat(&file).map_err(|e| Error::path("stat", path, e))
    }

    /// The attributes of a path's target; symbolic links in the root are followed.
    pub fn stat_followed(&self, path: &Path) -> Result<Stat> {
        let file = self.open(path, OFlags::PATH, Mode::empty())?;
        rustix::fs::fstat(&file).map_err(|e| Error::path("stat", path, e))
    }

    /// The target of a path, as a path from the root without symbolic links.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf> {
        let file = self.open(path, OFlags::PATH, Mode::empty())?;
        let base = path_of(self.as_fd())?;
        let full = path_of(file.as_fd())?;
        Ok(Path::new("/").join(full.strip_prefix(&base).unwrap_or(&full)))
    }

    /// The entries of a directory inside the root.
    pub fn read_dir(&self, path: &Path) -> Result<Vec<Entry>> {
        entries(self.open_dir(path)?.as_fd()).map_err(|e| Error::path("read directory", path, e))
    }

    /// Changes the owner and group of an entry; a symbolic link is not followed.
    pub fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> Result<()> {
        let (parent, name) = self.open_parent(path)?;
        rustix::fs::chownat(
            &parent,
            name,
            Some(rustix::fs::Uid::from_raw(uid)),
            Some(rustix::fs::Gid::from_raw(gid)),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(|e| Error::path("chown", path, e))
    }

    /// Changes the mode of a file or directory; refuses a symbolic link as the last component.
    pub fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        let file = self.open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        let kind = rustix::fs::fstat(&file).map_err(|e| Error::path("stat", path, e))?.st_mode;
        if rustix::fs::FileType::from_raw_mode(kind).is_symlink() {
            return Err(Error::path("chmod", path, Errno::LOOP));
        }
        // The descriptor is O_PATH, which fchmod(2) refuses. Its path in /proc leads to the same inode.
        rustix::fs::chmod(proc_path(file.as_fd()), Mode::from_raw_mode(mode))
            .map_err(|e| Error::path("chmod", path, e))
    }

    /// Sets an extended attribute of an entry; a symbolic link is not followed.
    pub fn set_xattr(&self, path: &Path, name: &OsStr, value: &[u8]) -> Result<()> {
        let (parent, last) = self.open_parent(path)?;
        set_xattr_at(parent.as_fd(), last, name, value).map_err(|e| Error::path("set attribute of", path, e))
    }

    /// An extended attribute of an entry, if the entry has it; a symbolic link is not followed.
    pub fn get_xattr(&self, path: &Path, name: &OsStr) -> Result<Option<Vec<u8>>> {
        let (parent, last) = self.open_parent(path)?;
        get_xattr_at(parent.as_fd(), last, name).map_err(|e| Error::path("get attribute of", path, e))
    }

    /// The names of an entry's extended attributes.
    pub fn list_xattrs(&self, path: &Path) -> Result<Vec<OsString>> {
        let (parent, last) = self.open_parent(path)?;
        list_xattrs_at(parent.as_fd(), last).map_err(|e| Error::path("list attributes of", path, e))
    }
}

/// `openat2(2)` in `directory`; repeats the call when a rename made the kernel unsure of a `..`.
pub fn open_in(
    directory: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    loop {
        match rustix::fs::openat2(directory, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// Opens a file or directory of the host only as a place (`O_PATH`): opening a device or FIFO has no effect on it.
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::path("open", path, e))
}

/// The kind of an open file, with any open mode.
pub fn kind_of(file: &OwnedFd) -> Result<EntryKind> {
    let stat = rustix::fs::fstat(file).map_err(|e| Error::os("stat", "an open file", e))?;
    Ok(FileStat::from_raw(&stat).kind)
}

/// The path of a descriptor in `/proc`, which leads to the same file even after a rename.
pub fn proc_path(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// The present path of an open file.
pub fn path_of(file: BorrowedFd<'_>) -> Result<PathBuf> {
    std::fs::read_link(proc_path(file)).map_err(|e| Error::os("read path of", "a descriptor", e))
}

/// Splits a path into its parent and the last component, which must name an entry.
fn split(path: &Path) -> Result<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let start = bytes[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let name = &bytes[start..end];
    if matches!(name, b"" | b"." | b"..") {
        return Err(Error::Unnamed(path.display().to_string()));
    }
    Ok((Path::new(OsStr::from_bytes(&bytes[..start])), OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests;
