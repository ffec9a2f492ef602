//! Whole trees: their usage, copies and removal.

mod copy;
mod usage;

use std::os::fd::AsFd;
use std::path::Path;

pub use copy::{CopyReport, copy_attributes, copy_live_tree, copy_tree};
pub use usage::{Usage, disk_usage};

use crate::{Error, Result};

/// Syncs the whole file system of `file` (`syncfs(2)`).
pub fn sync_file_system(file: impl AsFd) -> Result<()> {
    rustix::fs::syncfs(file.as_fd()).map_err(|e| Error::os("syncfs", "a file system", e))
}

/// Makes the file system place the subdirectories of a directory far from each other (`chattr +T`, ext2 to ext4).
/// Does nothing on other file systems.
///
/// ext4 otherwise puts all of them into one block group. Where trees are made and removed often, ext4 then searches
/// for each new inode among those that were just deleted. Without a journal, that made the third unpacking of an
/// image in a minute three times slower than the first (Linux 6.18).
pub fn spread_below(directory: &Path) -> Result<()> {
    use rustix::fs::{IFlags, Mode, OFlags};
    use rustix::io::Errno;

    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(directory, flags, Mode::empty()).map_err(|e| Error::path("open", directory, e))?;
    let set = rustix::fs::ioctl_getflags(&file)
        .and_then(|flags| rustix::fs::ioctl_setflags(&file, flags | IFlags::TOPDIR));
    match set {
        Ok(()) | Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => Ok(()),
        Err(e) => Err(Error::path("set flags of", directory, e)),
    }
}

/// The file system of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// Its magic number.
    pub magic: u64,
    /// Its size in bytes.
    pub size: u64,
    /// How many bytes ordinary users can still write.
    pub available: u64,
}

impl FileSystem {
    /// Whether a directory on it can be overlay's upper directory.
    ///
    /// It cannot on overlay itself, NFS and FAT; on an unknown file system it is tried.
    pub fn can_be_upper(&self) -> bool {
        const OVERLAY: u64 = 0x794c_7630;
        const NFS: u64 = 0x6969;
        const FAT: u64 = 0x4d44;
        !matches!(self.magic, OVERLAY | NFS | FAT)
    }
}

/// The file system of a path.
pub fn file_system(path: &Path) -> Result<FileSystem> {
    let answer = rustix::fs::statfs(path).map_err(|e| Error::path("statfs", path, e))?;
    let block = u64::try_from(answer.f_frsize).unwrap_or(4096);
    Ok(FileSystem {
        magic: u64::try_from(answer.f_type).unwrap_or(0),
        size: answer.f_blocks.saturating_mul(block),
        available: answer.f_bavail.saturating_mul(block),
    })
}

/// Removes a path with everything below it, without following symbolic links. A missing one is no error.
pub fn remove_tree(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::Unnamed(path.display().to_string()));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match crate::Root::open_path(parent) {
        Ok(directory) => crate::remove_at(directory.as_fd(), name),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
