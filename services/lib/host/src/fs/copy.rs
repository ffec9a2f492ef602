//! Copies of trees that differ in nothing: owners, modes, times, attributes, hard links, holes, devices.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::root::{self, entries};
use crate::{Error, Result};

/// What a copy came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Entries made.
    pub entries: u64,
    /// Bytes of file contents, holes included.
    pub bytes: u64,
}

/// Copies everything in one open directory into another, whose own owner, mode, times and attributes become the same.
///
/// Blocks are shared where the file system can (reflinks). An entry that is already there is an error, except for
/// directories, which are filled.
pub fn copy_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<CopyReport> {
    let mut copy = Copy { linked: HashMap::new(), report: CopyReport::default(), reflink: true };
    let from = reopen(from).map_err(|e| Error::os("open", "the directory to copy", e))?;
    let to = reopen(to).map_err(|e| Error::os("open", "the directory to copy to", e))?;
    copy.directory(from, to, OsString::new())?;
    Ok(copy.report)
}

/// Copies one entry, with everything below it, into an open directory under a new name.
pub fn copy_entry(from: BorrowedFd<'_>, name: &OsStr, to: BorrowedFd<'_>, new: &OsStr) -> Result<CopyReport> {
    let mut copy = Copy { linked: HashMap::new(), report: CopyReport::default(), reflink: true };
    copy.entry(from, name, to, new, name)?;
    Ok(copy.report)
}

struct Copy {
    /// Inodes with more names than one: device and number to an open copy's parent and its name there.
    linked: HashMap<(u64, u64), (OwnedFd, OsString)>,
    report: CopyReport,
    /// Off after the file system has said once that it cannot.
    reflink: bool,
}

impl Copy {
    fn directory(&mut self, from: OwnedFd, to: OwnedFd, path: OsString) -> Result<()> {
        let fail = |op| move |e: Errno| (op, e);
        let at = |path: &OsStr, (op, e): (&'static str, Errno)| Error::path(op, path, e);
        for entry in entries(from.as_fd()).map_err(fail("read")).map_err(|e| at(&path, e))? {
            let mut below = path.clone();
            if !below.is_empty() {
                below.push("/");
            }
            below.push(&entry.name);
            self.entry(from.as_fd(), &entry.name, to.as_fd(), &entry.name, &below)?;
        }
        let stat = rustix::fs::fstat(&from).map_err(fail("stat")).map_err(|e| at(&path, e))?;
        set_metadata(from.as_fd(), OsStr::new("."), to.as_fd(), OsStr::new("."), &stat)
            .map_err(fail("set attributes of"))
            .map_err(|e| at(&path, e))
    }

    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        name: &OsStr,
        to: BorrowedFd<'_>,
        new: &OsStr,
        path: &OsStr,
    ) -> Result<()> {
        let fail = |op: &'static str| move |e: Errno| Error::path(op, path, e);
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail("stat"))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let inode = (stat.st_dev, stat.st_ino);
        if !kind.is_dir() && stat.st_nlink > 1 {
            if let Some((parent, first)) = self.linked.get(&inode) {
                rustix::fs::linkat(parent, first, to, new, AtFlags::empty()).map_err(fail("link"))?;
                self.report.entries += 1;
                return Ok(());
            }
            let parent = to.try_clone_to_owned().map_err(|e| Error::path("duplicate parent of", path, e))?;
            self.linked.insert(inode, (parent, new.to_owned()));
        }
        self.report.entries += 1;
        match kind {
            FileType::Directory => {
                match rustix::fs::mkdirat(to, new, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(fail("mkdir")(e)),
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let below = rustix::fs::openat(from, name, flags, Mode::empty()).map_err(fail("open"))?;
                let copy = rustix::fs::openat(to, new, flags, Mode::empty()).map_err(fail("open"))?;
                return self.directory(below, copy, path.to_owned());
            }
            FileType::RegularFile => self.file(from, name, to, new, &stat).map_err(fail("copy"))?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new()).map_err(fail("readlink"))?;
                rustix::fs::symlinkat(target, to, new).map_err(fail("symlink"))?;
            }
            _ => rustix::fs::mknodat(to, new, kind, Mode::from_raw_mode(stat.st_mode & 0o7777), stat.st_rdev)
                .map_err(fail("mknod"))?,
        }
        set_metadata(from, name, to, new, &stat).map_err(fail("set attributes of"))
    }

    fn file(
        &mut self,
        from: BorrowedFd<'_>,
        name: &OsStr,
        to: BorrowedFd<'_>,
        new: &OsStr,
        stat: &Stat,
    ) -> rustix::io::Result<()> {
        let source = rustix::fs::openat(
            from,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let target = rustix::fs::openat(to, new, flags, Mode::from_raw_mode(0o600))?;
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

/// Copies what is data and leaves holes where holes were.
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
            // The file became shorter meanwhile.
            Ok(0) => return Ok(()),
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

/// Owner first (it clears setuid), then attributes, then mode, then times (the others touch them).
fn set_metadata(
    from: BorrowedFd<'_>,
    name: &OsStr,
    to: BorrowedFd<'_>,
    new: &OsStr,
    stat: &Stat,
) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(to, new, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    for attribute in root::list_xattrs_at(from, name)? {
        if let Some(value) = root::get_xattr_at(from, name, &attribute)? {
            match root::set_xattr_at(to, new, &attribute, &value) {
                Ok(()) | Err(Errno::NOTSUP) => {}
                Err(e) => return Err(e),
            }
        }
    }
    if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
        rustix::fs::chmodat(to, new, Mode::from_raw_mode(stat.st_mode & 0o7777), AtFlags::empty())?;
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
