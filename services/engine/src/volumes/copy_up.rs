//! Fills an empty volume with what the image has at its mount point: content, owners, modes, attributes.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use gantry_mount::Mount;
use gantry_rooted::Root;
use gantry_rooted::tree::{copy_attributes, copy_tree, remove_tree, sync_file_system};

use crate::error::{Error, Result};
use crate::record::MountRecord;
use crate::root::{kernel, open_detached};

/// Whether a mount is of a volume that gets the image's content.
pub fn is_fillable(mount: &MountRecord) -> bool {
    mount.point.r#type == "volume" && !mount.no_copy && !mount.tmpfs_volume && mount.subpath.is_empty()
}

/// Fills a volume, unless it has content or the image has no directory there.
///
/// The copy is made beside the volume's data and moved in once it is complete and durable, so that a partial copy
/// never makes the volume look filled: after an interruption, the next call continues or begins anew. If the volume
/// stands for a directory that the engine did not make, the copy is made in place.
pub fn fill(rootfs: &[Mount], mount: &MountRecord) -> Result<()> {
    let data = mount.source();
    let filled = data.with_file_name("_filled");
    let ours = mount.device.is_empty() && !mount.elsewhere;
    if ours && filled.exists() {
        return move_in(&filled, &data);
    }
    let mut entries =
        std::fs::read_dir(&data).map_err(|source| Error::io("read directory", &data, source))?;
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
    if !ours {
        return copy(&from, &data);
    }
    let filling = data.with_file_name("_filling");
    if filling.exists() {
        remove_tree(&filling).map_err(kernel)?;
    }
    std::fs::create_dir(&filling).map_err(|source| Error::io("create directory", &filling, source))?;
    copy(&from, &filling)?;
    rename(&filling, &filled)?;
    move_in(&filled, &data)
}

fn copy(from: &OwnedFd, to: &Path) -> Result<()> {
    let to = open(to)?;
    copy_tree(from.as_fd(), to.as_fd()).map_err(kernel)?;
    sync_file_system(to.as_fd()).map_err(kernel)
}

/// Moves a complete copy into the volume. Files that a container has made there meanwhile are kept.
fn move_in(filled: &Path, data: &Path) -> Result<()> {
    let entries = std::fs::read_dir(filled).map_err(|source| Error::io("read directory", filled, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| Error::io("read directory", filled, source))?;
        let place = data.join(entry.file_name());
        if place.symlink_metadata().is_err() {
            rename(&entry.path(), &place)?;
        }
    }
    // Finally the volume's directory gets the owner, mode, times and attributes of the image's directory.
    copy_attributes(open(filled)?.as_fd(), open(data)?.as_fd()).map_err(kernel)?;
    sync_file_system(open(data)?).map_err(kernel)?;
    remove_tree(filled).map_err(kernel)
}

fn open(directory: &Path) -> Result<OwnedFd> {
    Root::open_path(directory).and_then(|root| root.open_dir(Path::new("/"))).map_err(kernel)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|source| Error::io("rename", from, source))
}

fn is_no_directory(root: &Root, path: &Path) -> bool {
    root.stat_followed(path).is_ok_and(|stat| stat.st_mode & 0o170_000 != 0o040_000)
}
