//! An empty volume takes over what the image has at the place where it is mounted: content, owners, modes, attributes.

use std::os::fd::AsFd;
use std::path::Path;

use gantry_host::root::Root;
use gantry_proto::containerd::types::Mount;

use crate::error::{Error, Result};
use crate::record::MountRecord;
use crate::root::{kernel, open_detached};

/// Whether a mount is of a volume that takes over what the image has.
pub fn is_fillable(mount: &MountRecord) -> bool {
    mount.point.r#type == "volume" && !mount.no_copy && !mount.tmpfs_volume && mount.subpath.is_empty()
}

/// Fills a volume, unless there is something in it; where the image has no directory there, nothing is done.
pub fn fill(rootfs: &[Mount], mount: &MountRecord) -> Result<()> {
    let directory = mount.source();
    let mut entries =
        std::fs::read_dir(&directory).map_err(|source| Error::io("read directory", &directory, source))?;
    if entries.next().is_some() {
        return Ok(());
    }
    let root = open_detached(rootfs)?;
    let destination = Path::new(&mount.point.destination);
    let from = match root.open_dir(destination) {
        Ok(from) => from,
        Err(error) if error.is_not_found() || is_no_directory(&root, destination) => return Ok(()),
        Err(error) => return Err(kernel(error)),
    };
    let to = Root::open_path(&directory).map_err(kernel)?;
    let to = to.open_dir(Path::new("/")).map_err(kernel)?;
    gantry_host::fs::copy_tree(from.as_fd(), to.as_fd()).map_err(kernel)?;
    gantry_host::fs::sync_file_system(to.as_fd()).map_err(kernel)
}

fn is_no_directory(root: &Root, path: &Path) -> bool {
    root.stat_followed(path).is_ok_and(|stat| stat.st_mode & 0o170_000 != 0o040_000)
}
