//! A container's root file system as a directory to work in, mounted nowhere.

use std::path::Path;

use gantry_mount::{self as mount, Mount, Overlay};
use gantry_rooted::Root;

use crate::error::{Error, Result};

/// Opens a container's root from its snapshot's mounts. Nothing enters the mount table; the mount ends with the value.
pub fn open_detached(mounts: &[Mount]) -> Result<Root> {
    mount::open_detached(mounts).map(Root::from_fd).map_err(kernel)
}

/// As [`open_detached`], for reading only: a second mount beside the container's own does no harm.
pub fn open_read_only(mounts: &[Mount]) -> Result<Root> {
    let read_only = |mount: &Mount| match Overlay::of(mount) {
        Some(overlay) => overlay.read_only().into(),
        None => mount.clone(),
    };
    let mounts: Vec<Mount> = mounts.iter().map(read_only).collect();
    mount::open_detached(&mounts).map(Root::from_fd).map_err(kernel)
}

/// Mounts a snapshot at a place.
pub fn mount_at(mounts: &[Mount], place: &Path) -> Result<()> {
    mount::mount_all(mounts, place).map_err(kernel)
}

/// A refusal of the kernel.
pub fn kernel(source: gantry_host::Error) -> Error {
    Error::Kernel { source }
}
