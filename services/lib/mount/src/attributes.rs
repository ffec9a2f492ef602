//! `mount_setattr(2)`: changes the attributes of an existing mount (Linux 5.12).
//!
//! Has `unsafe` code, because neither rustix nor libc wraps the call.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::mount::MountAttrFlags;

use crate::{Error, Result, legacy};

/// Whether the mounts below a mount are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recursive {
    /// The mount and all mounts below it.
    Yes,
    /// The mount alone.
    No,
}

/// Attributes to set on a mount, and others to clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// The attributes to set.
    pub set: MountAttrFlags,
    /// The attributes to clear.
    pub clear: MountAttrFlags,
}

impl Attributes {
    /// Neither sets nor clears anything.
    pub const NONE: Self = Self { set: MountAttrFlags::empty(), clear: MountAttrFlags::empty() };

    /// Makes a mount read-only.
    pub const READ_ONLY: Self =
        Self { set: MountAttrFlags::MOUNT_ATTR_RDONLY, clear: MountAttrFlags::empty() };

    /// Whether no attribute is to be changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// The attributes of a new mount.
    pub(crate) fn for_fsmount(&self) -> MountAttrFlags {
        self.set
    }

    /// Sets or clears an attribute; a later option overrides an earlier one.
    pub(crate) fn turn(&mut self, flag: MountAttrFlags, on: bool) {
        self.set.set(flag, on);
        self.clear.set(flag, !on);
    }

    /// Sets an access time mode; the modes exclude each other.
    pub(crate) fn access_time(&mut self, mode: MountAttrFlags) {
        self.set.remove(MountAttrFlags::MOUNT_ATTR__ATIME);
        self.set.insert(mode);
        self.clear.insert(MountAttrFlags::MOUNT_ATTR__ATIME);
    }
}

/// Changes the attributes of the mount whose root is `tree`.
pub fn change(tree: BorrowedFd<'_>, attributes: &Attributes, recursive: Recursive) -> Result<()> {
    call(tree, c"", libc::AT_EMPTY_PATH, Asked::of(attributes), recursive)
        .map_err(|e| Error::os("mount_setattr", "a mount", e))
}

/// Changes the attributes of the mount at a path. Before Linux 5.12 it uses mount(2), which cannot include mounts
/// below, and clears every attribute that is not given.
pub fn change_at(place: &Path, attributes: &Attributes, recursive: Recursive) -> Result<()> {
    let path = std::ffi::CString::new(place.as_os_str().as_bytes())
        .map_err(|_| Error::Malformed { what: "path", text: place.display().to_string() })?;
    match call(rustix::fs::CWD, &path, 0, Asked::of(attributes), recursive) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && recursive == Recursive::No => {
            legacy::change(place, attributes)
        }
        done => done.map_err(|e| Error::path("mount_setattr", place, e)),
    }
}

/// Maps the ids of a detached mount's files as a user namespace does.
pub(crate) fn show_ids(
    tree: BorrowedFd<'_>,
    namespace: BorrowedFd<'_>,
    recursive: Recursive,
) -> std::io::Result<()> {
    let asked =
        Asked { set: MountAttrFlags::MOUNT_ATTR_IDMAP, clear: MountAttrFlags::empty(), ids: Some(namespace) };
    call(tree, c"", libc::AT_EMPTY_PATH, asked, recursive)
}

/// The arguments of mount_setattr(2).
struct Asked<'a> {
    set: MountAttrFlags,
    clear: MountAttrFlags,
    /// The user namespace that maps ids.
    ids: Option<BorrowedFd<'a>>,
}

impl Asked<'_> {
    fn of(attributes: &Attributes) -> Self {
        Self { set: attributes.set, clear: attributes.clear, ids: None }
    }
}

fn call(
    directory: BorrowedFd<'_>,
    path: &std::ffi::CStr,
    flags: libc::c_int,
    asked: Asked<'_>,
    recursive: Recursive,
) -> std::io::Result<()> {
    let flags = if recursive == Recursive::Yes { flags | libc::AT_RECURSIVE } else { flags };
    let argument = libc::mount_attr {
        attr_set: u64::from(asked.set.bits()),
        attr_clr: u64::from(asked.clear.bits()),
        propagation: 0,
        userns_fd: asked.ids.map_or(0, |ids| u64::from(ids.as_raw_fd().cast_unsigned())),
    };
    // SAFETY: the descriptors are open while they are borrowed, the path ends with a zero byte, and the kernel reads
    // exactly `size_of::<mount_attr>()` bytes of `argument`, which outlives the call; it writes nothing.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_fd().as_raw_fd(),
            path.as_ptr(),
            flags,
            std::ptr::from_ref(&argument),
            size_of::<libc::mount_attr>(),
        )
    };
    if answer < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
