//! A container's root file system as a directory to work in, mounted nowhere.

use gantry_host::mount;
use gantry_host::root::Root;
use gantry_proto::containerd::types::Mount;

use crate::error::{Error, Result};

/// Opens a container's root from its snapshot's mounts. Nothing enters the mount table; the mount ends with the value.
pub fn open_detached(mounts: &[Mount]) -> Result<Root> {
    let mounts: Vec<mount::Mount> = mounts
        .iter()
        .map(|one| mount::Mount {
            fs_type: one.r#type.clone(),
            source: one.source.clone(),
            target: one.target.clone(),
            options: one.options.clone(),
        })
        .collect();
    mount::open_detached(&mounts).map(Root::from_fd).map_err(kernel)
}

/// A refusal of the kernel.
pub fn kernel(source: gantry_host::Error) -> Error {
    Error::Kernel { source }
}
