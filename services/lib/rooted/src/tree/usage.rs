//! The disk usage of a tree: in blocks, each inode once, as containerd counts it.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::{Entry, EntryKind, entries};
use crate::{Error, Result};

/// The disk usage of a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The size of its blocks in bytes.
    pub size: u64,
    /// The number of inodes, with the top directory.
    pub inodes: u64,
}

/// How deep directories are entered; each takes a descriptor. As deep as the longest path has components.
const DEEPEST: usize = 2048;

struct Level {
    directory: OwnedFd,
    left: Vec<Entry>,
}

impl Level {
    fn open(directory: OwnedFd) -> rustix::io::Result<Self> {
        let left = entries(directory.as_fd())?;
        Ok(Self { directory, left })
    }
}

/// The usage of a tree. Leaves out what is removed meanwhile, other file systems mounted below, and directories that
/// are too deep for a path.
pub fn disk_usage(path: &Path) -> Result<Usage> {
    let fail = |e| Error::path("count usage of", path, e);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(path, flags, Mode::empty()).map_err(fail)?;
    let first = rustix::fs::fstat(&top).map_err(fail)?;
    let mut usage = Usage { size: blocks(first.st_blocks), inodes: 1 };
    let mut linked: HashSet<u64> = HashSet::new();
    let mut levels = vec![Level::open(top).map_err(fail)?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.left.pop() else {
            levels.pop();
            continue;
        };
        let Ok(stat) = rustix::fs::statat(&level.directory, &entry.name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        if stat.st_dev != first.st_dev {
            continue;
        }
        let is_directory = EntryKind::from_mode(stat.st_mode) == Some(EntryKind::Directory);
        if !is_directory && stat.st_nlink > 1 && !linked.insert(stat.st_ino) {
            continue;
        }
        usage.inodes += 1;
        usage.size += blocks(stat.st_blocks);
        if !is_directory || levels.len() >= DEEPEST {
            continue;
        }
        let level = levels.last().expect("the loop goes on while there is one");
        let below =
            rustix::fs::openat(&level.directory, &entry.name, flags | OFlags::NOFOLLOW, Mode::empty());
        match below.and_then(Level::open) {
            Ok(below) => levels.push(below),
            // The entry was removed meanwhile, or is of another kind now.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {}
            Err(error) => return Err(fail(error)),
        }
    }
    Ok(usage)
}

fn blocks(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0) * 512
}
