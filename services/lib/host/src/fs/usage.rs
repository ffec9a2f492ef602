//! How much room a tree takes: by blocks, each inode once, as containerd counts it.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::root::{EntryKind, entries};
use crate::{Error, Result};

/// The room that a tree takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of its blocks.
    pub size: u64,
    /// Inodes, the top directory's included.
    pub inodes: u64,
}

/// Counts a tree. What is removed meanwhile is left out; other file systems mounted below are not entered.
pub fn disk_usage(path: &Path) -> Result<Usage> {
    let fail = |e| Error::path("count usage of", path, e);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(path, flags, Mode::empty()).map_err(fail)?;
    let first = rustix::fs::fstat(&top).map_err(fail)?;
    let mut usage = Usage { size: blocks(first.st_blocks), inodes: 1 };
    let mut linked: HashSet<u64> = HashSet::new();
    let mut waiting: Vec<OwnedFd> = vec![top];
    while let Some(directory) = waiting.pop() {
        for entry in entries(directory.as_fd()).map_err(fail)? {
            let Ok(stat) = rustix::fs::statat(&directory, &entry.name, AtFlags::SYMLINK_NOFOLLOW) else {
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
            if is_directory
                && let Ok(below) =
                    rustix::fs::openat(&directory, &entry.name, flags | OFlags::NOFOLLOW, Mode::empty())
            {
                waiting.push(below);
            }
        }
    }
    Ok(usage)
}

fn blocks(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0) * 512
}
