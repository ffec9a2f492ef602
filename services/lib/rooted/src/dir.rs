//! An open directory and the entries directly in it.
//!
//! For work on many entries of few directories (extracting a layer, walking a tree): each call is one system call,
//! without a path to resolve. A name is a single component and is never followed, so no call leaves the directory.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::entry::{Entry, EntryKind, entries};
use super::{remove, xattr};
use crate::{Error, Result};

/// The attributes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Its kind.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// The number of hard links.
    pub links: u64,
    /// The device of its file system.
    pub device: u64,
    /// The inode on that device.
    pub inode: u64,
    /// The device that a device node stands for, as (major, minor).
    pub special: (u32, u32),
    /// Last modification.
    pub modified: Time,
}

impl FileStat {
    /// Whether it is overlay's whiteout: a character device 0:0.
    pub fn is_whiteout(&self) -> bool {
        self.kind == EntryKind::CharDevice && self.special == (0, 0)
    }

    /// Converts the kernel's structure.
    pub fn from_raw(stat: &Stat) -> Self {
        Self {
            kind: EntryKind::from_mode(stat.st_mode).unwrap_or(EntryKind::File),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            links: stat.st_nlink,
            device: stat.st_dev,
            inode: stat.st_ino,
            special: (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)),
            modified: Time { seconds: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) },
        }
    }
}

/// A time as file systems keep it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Nanoseconds, less than 10⁹.
    pub nanos: u32,
}

impl Time {
    fn both(self) -> Timestamps {
        let time = Timespec { tv_sec: self.seconds, tv_nsec: i64::from(self.nanos) };
        Timestamps { last_access: time, last_modification: time }
    }
}

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<OwnedFd> for Dir {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl Dir {
    /// Opens a directory by path.
    pub fn open(path: &std::path::Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::path("open", path, e))?;
        Ok(Self { fd })
    }

    /// Opens a directory in this one; `None` if the entry is of another kind, such as a symbolic link.
    pub fn open_dir(&self, name: &OsStr) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd })),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(e) => Err(Error::path("open", name, e)),
        }
    }

    /// A second handle to the same directory.
    pub fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(|e| Error::os("duplicate", "a directory", e))?;
        Ok(Self { fd })
    }

    /// Makes a directory. The process's umask applies to the mode.
    pub fn make_dir(&self, name: &OsStr, mode: u32) -> Result<()> {
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode))
            .map_err(|e| Error::path("mkdir", name, e))
    }

    /// Makes a new file for writing; an existing one is an error.
    pub fn create_file(&self, name: &OsStr, mode: u32) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(mode));
        fd.map(File::from).map_err(|e| Error::path("create", name, e))
    }

    /// Opens a file for reading.
    pub fn open_file(&self, name: &OsStr) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty());
        fd.map(File::from).map_err(|e| Error::path("open", name, e))
    }

    /// Makes a symlink.
    pub fn symlink(&self, target: &OsStr, name: &OsStr) -> Result<()> {
        rustix::fs::symlinkat(target, &self.fd, name).map_err(|e| Error::path("symlink", name, e))
    }

    /// Makes a hard link here to an entry of another open directory.
    pub fn link(&self, from: &impl AsFd, existing: &OsStr, name: &OsStr) -> Result<()> {
        rustix::fs::linkat(from.as_fd(), existing, &self.fd, name, AtFlags::empty())
            .map_err(|e| Error::path("link", name, e))
    }

    /// Makes a device, fifo or socket node.
    pub fn mknod(&self, name: &OsStr, kind: EntryKind, mode: u32, (major, minor): (u32, u32)) -> Result<()> {
        let device = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(&self.fd, name, kind.file_type(), Mode::from_raw_mode(mode), device)
            .map_err(|e| Error::path("mknod", name, e))
    }

    /// An entry's attributes; `None` if there is none.
    pub fn stat(&self, name: &OsStr) -> Result<Option<FileStat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileStat::from_raw(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::path("stat", name, e)),
        }
    }

    /// The directory's own attributes.
    pub fn own_stat(&self) -> Result<FileStat> {
        let stat = rustix::fs::fstat(&self.fd).map_err(|e| Error::os("stat", "a directory", e))?;
        Ok(FileStat::from_raw(&stat))
    }

    /// The target of a symbolic link.
    pub fn read_link(&self, name: &OsStr) -> Result<OsString> {
        let target = rustix::fs::readlinkat(&self.fd, name, Vec::new())
            .map_err(|e| Error::path("readlink", name, e))?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// Changes an entry's owner and group.
    pub fn set_owner(&self, name: &OsStr, uid: u32, gid: u32) -> Result<()> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        rustix::fs::chownat(&self.fd, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Error::path("chown", name, e))
    }

    /// Changes an entry's mode; refuses a symbolic link.
    pub fn set_mode(&self, name: &OsStr, mode: u32) -> Result<()> {
        change_mode(self.as_fd(), name, mode).map_err(|e| Error::path("chmod", name, e))
    }

    /// Sets the times of an entry's last modification and last access.
    pub fn set_times(&self, name: &OsStr, time: Time) -> Result<()> {
        rustix::fs::utimensat(&self.fd, name, &time.both(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Error::path("set times of", name, e))
    }

    /// Changes the directory's own owner and group.
    pub fn set_own_owner(&self, uid: u32, gid: u32) -> Result<()> {
        rustix::fs::fchown(&self.fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .map_err(|e| Error::os("chown", "a directory", e))
    }

    /// Changes the directory's own mode.
    pub fn set_own_mode(&self, mode: u32) -> Result<()> {
        rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode))
            .map_err(|e| Error::os("chmod", "a directory", e))
    }

    /// Changes the directory's own times.
    pub fn set_own_times(&self, time: Time) -> Result<()> {
        rustix::fs::futimens(&self.fd, &time.both()).map_err(|e| Error::os("set times of", "a directory", e))
    }

    /// Sets an extended attribute of an entry.
    pub fn set_xattr(&self, entry: &OsStr, name: &OsStr, value: &[u8]) -> Result<()> {
        xattr::set_xattr_at(self.as_fd(), entry, name, value)
            .map_err(|e| Error::path("set attribute of", entry, e))
    }

    /// All extended attributes of an entry, ordered by name.
    pub fn xattrs(&self, entry: &OsStr) -> Result<Vec<(OsString, Vec<u8>)>> {
        let fail = |e| Error::path("read attributes of", entry, e);
        let mut found = Vec::new();
        for name in xattr::list_xattrs_at(self.as_fd(), entry).map_err(fail)? {
            if let Some(value) = xattr::get_xattr_at(self.as_fd(), entry, &name).map_err(fail)? {
                found.push((name, value));
            }
        }
        found.sort();
        Ok(found)
    }

    /// One extended attribute of an entry, if it has it.
    pub fn xattr(&self, entry: &OsStr, name: &OsStr) -> Result<Option<Vec<u8>>> {
        xattr::get_xattr_at(self.as_fd(), entry, name).map_err(|e| Error::path("read attribute of", entry, e))
    }

    /// Removes an entry with everything below it. A missing one is no error.
    pub fn remove(&self, name: &OsStr) -> Result<()> {
        remove::remove_at(self.as_fd(), name)
    }

    /// Removes a file, symbolic link or node.
    pub fn remove_file(&self, name: &OsStr) -> Result<()> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()).map_err(|e| Error::path("unlink", name, e))
    }

    /// The entries, sorted by name.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut found = entries(self.as_fd()).map_err(|e| Error::os("read", "a directory", e))?;
        found.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(found)
    }
}

/// `fchmodat(2)` that never follows: a process that may rename in the directory could replace the entry by a symbolic
/// link.
pub(crate) fn change_mode(directory: BorrowedFd<'_>, name: &OsStr, mode: u32) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    if rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode).is_symlink() {
        return Err(Errno::LOOP);
    }
    // fchmod(2) refuses the descriptor. Its path in /proc leads to the same inode.
    rustix::fs::chmod(super::proc_path(file.as_fd()), Mode::from_raw_mode(mode))
}

/// Sets the times of an open file's last modification and last access.
pub fn set_file_times(file: &impl AsFd, time: Time) -> Result<()> {
    rustix::fs::futimens(file.as_fd(), &time.both()).map_err(|e| Error::os("set times of", "a file", e))
}

/// Changes an open file's owner and group.
pub fn set_file_owner(file: &impl AsFd, uid: u32, gid: u32) -> Result<()> {
    rustix::fs::fchown(file.as_fd(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .map_err(|e| Error::os("chown", "a file", e))
}

/// Changes an open file's mode.
pub fn set_file_mode(file: &impl AsFd, mode: u32) -> Result<()> {
    rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(mode)).map_err(|e| Error::os("chmod", "a file", e))
}

/// Sets an extended attribute of an open file.
pub fn set_file_xattr(file: &impl AsFd, name: &OsStr, value: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(file.as_fd(), name, value, XattrFlags::empty())
        .map_err(|e| Error::path("set attribute", name, e))
}
