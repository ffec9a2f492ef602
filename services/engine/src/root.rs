//! A container's root file system as a directory to work in, mounted nowhere.

use std::path::Path;

use gantry_mount::{self as mount, Overlay};
use gantry_proto::containerd::types::Mount;
use gantry_rooted::Root;

use crate::error::{Error, Result};

/// Opens a container's root from its snapshot's mounts. Nothing enters the mount table; the mount ends with the value.
pub fn open_detached(mounts: &[Mount]) -> Result<Root> {
    mount::open_detached(&own(mounts)).map(Root::from_fd).map_err(kernel)
}

/// As [`open_detached`], for reading only: a second mount beside the container's own does no harm.
pub fn open_read_only(mounts: &[Mount]) -> Result<Root> {
    let read_only = |mount: mount::Mount| match Overlay::of(&mount) {
        Some(overlay) => overlay.read_only().into(),
        None => mount,
    };
    let mounts: Vec<mount::Mount> = own(mounts).into_iter().map(read_only).collect();
    mount::open_detached(&mounts).map(Root::from_fd).map_err(kernel)
}

/// Mounts a snapshot at a place.
pub fn mount_at(mounts: &[Mount], place: &Path) -> Result<()> {
    mount::mount_all(&own(mounts), place).map_err(kernel)
}

/// Mounts as the kernel's side of the house has them.
pub fn own(mounts: &[Mount]) -> Vec<mount::Mount> {
    let own = |one: &Mount| mount::Mount {
        fs_type: one.r#type.clone(),
        source: one.source.clone(),
        target: one.target.clone(),
        options: one.options.clone(),
    };
    mounts.iter().map(own).collect()
}

/// A refusal of the kernel.
pub fn kernel(source: gantry_host::Error) -> Error {
    Error::Kernel { source }
}
