//! Projects of the file system, one for each volume with a limit.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use gantry_plugin_sdk::{Error, Result};

use crate::options::Options;
use crate::quota;

/// The first number, because other programs' projects, such as those in /etc/projects, usually have small numbers.
const FIRST: u32 = 0x6761_0000;
/// Most numbers that are tried.
const MOST: u32 = 0x1_0000;

/// A number that is used by no volume, and by no other file in this file system.
pub fn choose(folder: BorrowedFd<'_>, taken: &BTreeSet<u32>) -> Result<u32> {
    if !quota::is_enforced(folder) {
        return Err(Error::new(
            "size and inodes need project quotas, which this file system does not keep: ext4 needs `mkfs.ext4 -O quota,project` (or tune2fs) and the mount option prjquota, xfs the mount option prjquota",
        ));
    }
    let free = |number: &u32| {
        !taken.contains(number)
            && quota::usage(folder, *number).is_ok_and(|usage| usage == quota::Usage::default())
    };
    (FIRST..FIRST + MOST).find(free).ok_or_else(|| Error::new("no project is left in this file system"))
}

/// Assigns an empty folder to a project, and sets its limits.
pub fn assign(folder: BorrowedFd<'_>, project: u32, options: &Options) -> Result<()> {
    let failed = |error: std::io::Error| Error::about("project quota", error);
    quota::set_project(folder, project).map_err(failed)?;
    quota::limit(folder, project, options.size, options.inodes).map_err(failed)
}
