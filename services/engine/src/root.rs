//! Opens a container's root file system as a directory that is in no mount table.

use std::path::Path;

use gantry_mount::{self as mount, Mount, Overlay};
use gantry_rooted::Root;

use crate::error::{Error, Result};

/// Opens a container's root from its snapshot's mounts. The mount is in no mount table and ends when the value is
/// dropped.
pub fn open_detached(mounts: &[Mount]) -> Result<Root> {
    mount::open_detached(mounts).map(Root::from_fd).map_err(kernel)
}

/// As [`open_detached`], but read-only, which is safe beside the container's own mount.
pub fn open_read_only(mounts: &[Mount]) -> Result<Root> {
    let read_only = |mount: &Mount| match Overlay::of(mount) {
        Some(overlay) => overlay.read_only().into(),
        None => mount.clone(),
    };
    let mounts: Vec<Mount> = mounts.iter().map(read_only).collect();
    mount::open_detached(&mounts).map(Root::from_fd).map_err(kernel)
}

/// Mounts a snapshot at a path.
pub fn mount_at(mounts: &[Mount], place: &Path) -> Result<()> {
    mount::mount_all(mounts, place).map_err(kernel)
}

/// Wraps an error of the kernel.
pub fn kernel(source: gantry_host::Error) -> Error {
    Error::Kernel { source }
}
