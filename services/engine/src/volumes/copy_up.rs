//! An empty volume takes over what the image has at the place where it is mounted: content, owners, modes, attributes.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use gantry_host::root::Root;

use crate::error::{Error, Result};
use crate::record::MountRecord;
use crate::root::kernel;

/// A volume that is to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where the image may have content.
    destination: PathBuf,
    /// Where it goes to.
    directory: PathBuf,
}

/// The volumes among the mounts that are empty and wanted filled.
pub fn candidates(mounts: &[MountRecord]) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for mount in mounts {
        let fillable = mount.point.r#type == "volume"
            && !mount.no_copy
            && !mount.tmpfs_volume
            && mount.subpath.is_empty();
        if !fillable {
            continue;
        }
        let directory = mount.source();
        let mut entries = std::fs::read_dir(&directory)
            .map_err(|source| Error::io("read directory", &directory, source))?;
        if entries.next().is_none() {
            targets.push(Target { destination: PathBuf::from(&mount.point.destination), directory });
        }
    }
    Ok(targets)
}

/// Fills one; where the image has no directory there, nothing is done.
pub fn fill(root: &Root, target: &Target) -> Result<()> {
    let from = match root.open_dir(&target.destination) {
        Ok(from) => from,
        Err(error) if error.is_not_found() || is_no_directory(root, &target.destination) => return Ok(()),
        Err(error) => return Err(kernel(error)),
    };
    let to = Root::open_path(&target.directory).map_err(kernel)?;
    let to = to.open_dir(Path::new("/")).map_err(kernel)?;
    gantry_host::fs::copy_tree(from.as_fd(), to.as_fd()).map_err(kernel)?;
    gantry_host::fs::sync_file_system(to.as_fd()).map_err(kernel)
}

fn is_no_directory(root: &Root, path: &Path) -> bool {
    root.stat_followed(path).is_ok_and(|stat| stat.st_mode & 0o170_000 != 0o040_000)
}
