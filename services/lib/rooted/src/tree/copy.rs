//! Copies of trees with owners, modes, times, attributes, hard links, holes and devices.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::dir::change_mode;
use crate::{Entry, entries, get_xattr_at, list_xattrs_at, open_in, set_xattr_at};
use crate::{Error, Result};

/// The size of a copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// The number of entries.
    pub entries: u64,
    /// Bytes of file contents, holes included.
    pub bytes: u64,
}

/// Copies everything in one open directory to another, with the directory's own owner, mode, times and attributes.
///
/// Shares blocks where the file system can (reflinks). An existing entry is an error, except for a directory, which
/// is filled. Refuses a tree that is deeper than the longest path.
pub fn copy_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<CopyReport> {
    copy(from, to, false)
}

/// As [`copy_tree`], for a tree that other processes change meanwhile: leaves out entries that they remove.
pub fn copy_live_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<CopyReport> {
    copy(from, to, true)
}

fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, live: bool) -> Result<CopyReport> {
    let from = reopen(from).map_err(|e| Error::os("open", "the directory to copy", e))?;
    let to = reopen(to).map_err(|e| Error::os("open", "the directory to copy to", e))?;
    let top = to.try_clone().map_err(|e| Error::os("duplicate", "the directory to copy to", e))?;
    let mut copy = Copy { top, linked: HashMap::new(), report: CopyReport::default(), reflink: true };
    let mut levels = vec![Level::open(from, to, PathBuf::new())?];
    while let Some(level) = levels.last_mut() {
        if let Some(entry) = level.left.pop() {
            match copy.entry(level, &entry.name) {
                Err(error) if live && error.is_not_found() && !is_there(level, &entry.name) => {}
                below => levels.extend(below?),
            }
        } else {
            // The times are set last, because making entries in a directory changes them.
            level.finish()?;
            levels.pop();
        }
    }
    Ok(copy.report)
}

/// Whether an entry still exists.
fn is_there(level: &Level, name: &OsStr) -> bool {
    rustix::fs::statat(&level.from, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// The number of components in the longest path (`PATH_MAX`); each level takes two descriptors.
const DEEPEST: usize = 2048;

/// A directory and its copy.
struct Level {
    from: OwnedFd,
    to: OwnedFd,
    /// The path from the top, the same on both sides.
    path: PathBuf,
    left: Vec<Entry>,
}

impl Level {
    fn open(from: OwnedFd, to: OwnedFd, path: PathBuf) -> Result<Self> {
        let left = entries(from.as_fd()).map_err(|e| Error::path("read", &path, e))?;
        Ok(Self { from, to, path, left })
    }

    fn finish(&self) -> Result<()> {
        let stat = rustix::fs::fstat(&self.from).map_err(|e| Error::path("stat", &self.path, e))?;
        let here = OsStr::new(".");
        set_metadata(self.from.as_fd(), here, self.to.as_fd(), here, &stat)
            .map_err(|e| Error::path("set attributes of", &self.path, e))
    }
}

struct Copy {
    /// The directory of the copy.
    top: OwnedFd,
    /// Inodes with several names: from device and inode to the path of the copy and the number of names to come.
    linked: HashMap<(u64, u64), (PathBuf, u64)>,
    report: CopyReport,
    /// Whether to try reflinks; false once the file system has refused one.
    reflink: bool,
}

impl Copy {
    /// Copies an entry. A directory's content is copied later.
    fn entry(&mut self, level: &Level, name: &OsStr) -> Result<Option<Level>> {
        let (from, to) = (level.from.as_fd(), level.to.as_fd());
        let path = level.path.join(name);
        let shown = path.as_path();
        let fail = |op: &'static str| move |e: Errno| Error::path(op, shown, e);
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail("stat"))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        self.report.entries += 1;
        if !kind.is_dir() && stat.st_nlink > 1 && self.link(&stat, to, name, &path).map_err(fail("link"))? {
            return Ok(None);
        }
        match kind {
            FileType::Directory => {
                if level.path.components().count() >= DEEPEST {
                    return Err(fail("copy")(Errno::NAMETOOLONG));
                }
                match rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(fail("mkdir")(e)),
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(from, name, flags, Mode::empty()).map_err(fail("open"))?;
                let copy = rustix::fs::openat(to, name, flags, Mode::empty()).map_err(fail("open"))?;
                return Level::open(below, copy, path).map(Some);
            }
            FileType::RegularFile => self.file(from, to, name, &stat).map_err(fail("copy"))?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new()).map_err(fail("readlink"))?;
                rustix::fs::symlinkat(target, to, name).map_err(fail("symlink"))?;
            }
            _ => {
                rustix::fs::mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode & 0o7777), stat.st_rdev)
                    .map_err(fail("mknod"))?
            }
        }
        set_metadata(from, name, to, name, &stat).map_err(fail("set attributes of"))?;
        Ok(None)
    }

    /// Links an entry to the earlier copy of its inode. Without one, remembers the entry and returns `false`.
    fn link(
        &mut self,
        stat: &Stat,
        to: BorrowedFd<'_>,
        name: &OsStr,
        path: &Path,
    ) -> rustix::io::Result<bool> {
        let inode = (stat.st_dev, stat.st_ino);
        let Some((first, names)) = self.linked.get_mut(&inode) else {
            self.linked.insert(inode, (path.to_owned(), stat.st_nlink - 1));
            return Ok(false);
        };
        let (parent, last) = (first.parent().unwrap_or(Path::new("")), first.file_name().unwrap_or_default());
        let parent = open_in(self.top.as_fd(), parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        rustix::fs::linkat(&parent, last, to, name, AtFlags::empty())?;
        *names -= 1;
        if *names == 0 {
            self.linked.remove(&inode);
        }
        Ok(true)
    }

    fn file(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &OsStr,
        stat: &Stat,
    ) -> rustix::io::Result<()> {
        let source = rustix::fs::openat(
            from,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let target = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.report.bytes += size;
        if size == 0 {
            return Ok(());
        }
        if self.reflink {
            match rustix::fs::ioctl_ficlone(&target, &source) {
                Ok(()) => return Ok(()),
                Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY) => self.reflink = false,
                Err(e) => return Err(e),
            }
        }
        let has_holes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512 < size;
        if has_holes {
            copy_data_ranges(&source, &target, size)
        } else {
            copy_range(&source, &target, 0, size)
        }
    }
}

/// Copies the data of a file, and keeps its holes.
fn copy_data_ranges(source: &OwnedFd, target: &OwnedFd, size: u64) -> rustix::io::Result<()> {
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => return copy_range(source, target, at, size - at),
            Err(e) => return Err(e),
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(start))?.min(size);
        copy_range(source, target, start, end - start)?;
        at = end;
    }
    rustix::fs::ftruncate(target, size)
}

fn copy_range(source: &OwnedFd, target: &OwnedFd, start: u64, length: u64) -> rustix::io::Result<()> {
    let (mut from, mut to) = (start, start);
    let end = start + length;
    while from < end {
        let want = usize::try_from(end - from).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), want) {
            // The file became shorter meanwhile, or its file system does not support the call and does not report it.
            Ok(0) => return copy_by_hand(source, target, from, end),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return copy_by_hand(source, target, from, end);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn copy_by_hand(source: &OwnedFd, target: &OwnedFd, mut at: u64, end: u64) -> rustix::io::Result<()> {
    let mut buffer = vec![0u8; 256 * 1024];
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let count = rustix::io::pread(source, &mut buffer[..want], at)?;
        if count == 0 {
            return Ok(());
        }
        let mut done = 0;
        while done < count {
            done += rustix::io::pwrite(target, &buffer[done..count], at + done as u64)?;
        }
        at += count as u64;
    }
    Ok(())
}

/// Copies the owner, mode, times and attributes of one open directory to another.
pub fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let here = OsStr::new(".");
    rustix::fs::fstat(from)
        .and_then(|stat| set_metadata(from, here, to, here, &stat))
        .map_err(|e| Error::os("copy", "a directory's attributes", e))
}

/// Sets the owner first (which clears setuid), then the attributes, then the mode, and the times last (the other
/// calls change them).
fn set_metadata(
    from: BorrowedFd<'_>,
    name: &OsStr,
    to: BorrowedFd<'_>,
    new: &OsStr,
    stat: &Stat,
) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(to, new, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    for attribute in list_xattrs_at(from, name)? {
        if let Some(value) = get_xattr_at(from, name, &attribute)? {
            match set_xattr_at(to, new, &attribute, &value) {
                Ok(()) | Err(Errno::NOTSUP) => {}
                Err(e) => return Err(e),
            }
        }
    }
    if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
        change_mode(to, new, stat.st_mode & 0o7777)?;
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: stat.st_mtime as _, tv_nsec: stat.st_mtime_nsec as _ },
    };
    rustix::fs::utimensat(to, new, &times, AtFlags::SYMLINK_NOFOLLOW)
}

fn reopen(directory: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
