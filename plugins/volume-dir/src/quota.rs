//! Project quotas, as the kernel has them: quotactl_fd(2) (Linux 5.14), quotactl(2), and FS_IOC_FSSETXATTR (ioctl_xfs_fsgetxattr(2)),
//! which ext4 and xfs share.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// `struct if_dqblk` of linux/quota.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    hard_blocks: u64,
    soft_blocks: u64,
    space: u64,
    hard_inodes: u64,
    soft_inodes: u64,
    inodes: u64,
    block_grace: u64,
    inode_grace: u64,
    valid: u32,
}

/// `struct fs_quota_stat` of linux/dqblk_xfs.h, of which only the flags are used.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct State {
    version: i8,
    flags: u16,
    rest: [u64; 12],
}

/// FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR.
const GET_ATTRIBUTES: libc::Ioctl = 0x801c_581f;
const SET_ATTRIBUTES: libc::Ioctl = 0x401c_5820;
/// FS_XFLAG_PROJINHERIT: files made in the folder belong to the same project.
const INHERIT: u32 = 0x200;
/// Q_GETQUOTA, Q_SETQUOTA, Q_XGETQSTAT; PRJQUOTA.
const GET_QUOTA: u32 = 0x80_0007;
const SET_QUOTA: u32 = 0x80_0008;
const GET_STATE: u32 = 0x5805;
const PROJECT: u32 = 2;
/// QIF_BLIMITS and QIF_ILIMITS.
const LIMITS: u32 = 1 | 4;
/// FS_QUOTA_PDQ_ENFD: limits of projects are enforced, not only counted.
const ENFORCED: u16 = 1 << 5;
/// Limits of space are in units of this many bytes.
const UNIT: u64 = 1024;

/// Usage and limits of a project; a limit of 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use.
    pub space: u64,
    /// Files in use.
    pub inodes: u64,
    /// Limit in bytes.
    pub most_space: u64,
    /// Limit of files.
    pub most_inodes: u64,
}

/// Whether the file system of `folder` enforces the limits of projects.
pub fn is_enforced(folder: BorrowedFd<'_>) -> bool {
    let mut state = State { version: 1, ..State::default() };
    control(folder, GET_STATE, 0, &mut state).is_ok() && state.flags & ENFORCED != 0
}

/// The usage of a project.
pub fn usage(folder: BorrowedFd<'_>, project: u32) -> io::Result<Usage> {
    let mut block = Block::default();
    control(folder, GET_QUOTA, project, &mut block)?;
    Ok(Usage {
        space: block.space,
        inodes: block.inodes,
        most_space: block.hard_blocks.saturating_mul(UNIT),
        most_inodes: block.hard_inodes,
    })
}

/// Sets the limits of a project; 0 for none.
pub fn limit(folder: BorrowedFd<'_>, project: u32, space: u64, inodes: u64) -> io::Result<()> {
    let blocks = space.div_ceil(UNIT);
    let mut block = Block {
        hard_blocks: blocks,
        soft_blocks: blocks,
        hard_inodes: inodes,
        soft_inodes: inodes,
        valid: LIMITS,
        ..Block::default()
    };
    control(folder, SET_QUOTA, project, &mut block)
}

/// Assigns a folder, and everything that will be made in it, to a project.
pub fn set_project(folder: BorrowedFd<'_>, project: u32) -> io::Result<()> {
    let mut attributes = attributes(folder)?;
    attributes.project = project;
    attributes.flags |= INHERIT;
    // SAFETY: the descriptor is open, and the kernel reads a `struct fsxattr`, which `attributes` is.
    match unsafe { libc::ioctl(folder.as_raw_fd(), SET_ATTRIBUTES, &raw const attributes) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn attributes(folder: BorrowedFd<'_>) -> io::Result<Attributes> {
    let mut attributes = Attributes::default();
    // SAFETY: the descriptor is open, and the kernel writes a `struct fsxattr`, which `attributes` is.
    match unsafe { libc::ioctl(folder.as_raw_fd(), GET_ATTRIBUTES, &raw mut attributes) } {
        0 => Ok(attributes),
        _ => Err(io::Error::last_os_error()),
    }
}

/// quotactl_fd(2). `T` is the structure that `command` reads or writes.
fn control<T>(folder: BorrowedFd<'_>, command: u32, project: u32, argument: &mut T) -> io::Result<()> {
    let command = (command << 8) | PROJECT;
    // SAFETY: the descriptor is open; each command of this file is called with the structure that the kernel takes for it,
    // which lives until the call returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            folder.as_fd().as_raw_fd(),
            command,
            project,
            std::ptr::from_mut(argument),
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
