//! Id-mapped mounts: containerd's options `uidmap=` and `gidmap=`, for a snapshotter that can remap ids.
//! mount_setattr(2), `MOUNT_ATTR_IDMAP`: Linux 5.12; for overlay's layers 5.19.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::attributes::show_ids;
use crate::options::{Ids, Options, split_layers};
use crate::place::{Place, attach, clone_tree, detach};
use crate::{Error, Mount, Recursive, Result};

/// Makes a user namespace from maps of user ids and of group ids, in the form of user_namespaces(7).
pub type Namespaces<'n> = &'n dyn Fn(&str, &str) -> Result<OwnedFd, String>;

/// Makes an id-mapped bind or overlay at `place`.
pub(crate) fn mount(
    mount: &Mount,
    options: &Options,
    place: &Place,
    ids: &Ids,
    namespaces: Namespaces<'_>,
) -> Result<()> {
    let refused = |reason: String| Error::Unmapped { object: mount.source.clone(), reason };
    let namespace = namespaces(&lines(&ids.users), &lines(&ids.groups)).map_err(refused)?;
    if mount.is_bind(options) {
        let tree = mount.bind_tree(options)?;
        let recursive = options.bind.unwrap_or(Recursive::No);
        show_ids(tree.as_fd(), namespace.as_fd(), recursive).map_err(|error| refused(error.to_string()))?;
        return place.attach(tree.as_fd());
    }
    match mount.fs_type.as_str() {
        "overlay" => overlay(mount, options, place, &namespace),
        other => Err(refused(format!("{other} is not shown so: overlay and bind are"))),
    }
}

/// Makes an overlay of id-mapped layers. While the overlay is made, each layer must be mounted at a path; afterwards
/// the overlay itself holds the layers. So the paths are on a temporary file system, which is removed afterwards.
fn overlay(mount: &Mount, options: &Options, place: &Place, namespace: &OwnedFd) -> Result<()> {
    let workshop = Workshop::open(place)?;
    let mut options = options.clone();
    let lower =
        options.data.iter_mut().find(|(key, _)| key == "lowerdir").and_then(|(_, value)| value.as_mut());
    let lower = lower
        .ok_or_else(|| Error::Unmapped { object: "overlay".into(), reason: "it has no layers".into() })?;
    let mut layers = Vec::new();
    for (number, layer) in split_layers(lower).iter().enumerate() {
        let at = workshop.directory(&number.to_string())?;
        let tree = clone_tree(Path::new(layer), Recursive::No)?;
        show_ids(tree.as_fd(), namespace.as_fd(), Recursive::No)
            .map_err(|error| Error::Unmapped { object: layer.clone(), reason: error.to_string() })?;
        attach(&tree, &at)?;
        layers.push(at.display().to_string().replace('\\', "\\\\").replace(':', "\\:"));
    }
    *lower = layers.join(":");
    let root = workshop.directory("root")?;
    mount.mount_with(&options, &Place::named(&root))?;
    let made = clone_tree(&root, Recursive::No)?;
    drop(workshop);
    place.attach(made.as_fd())
}

/// An empty file system on a directory; dropping it unmounts it.
struct Workshop(PathBuf);

impl Workshop {
    fn open(place: &Place) -> Result<Self> {
        let made = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).and_then(|context| {
            rustix::mount::fsconfig_set_string(&context, "mode", "700")?;
            rustix::mount::fsconfig_create(&context)?;
            rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        });
        let made = made.map_err(|e| Error::path("mount tmpfs at", &place.path, e))?;
        place.attach(made.as_fd())?;
        Ok(Self(place.path.clone()))
    }

    fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        rustix::fs::mkdirat(CWD, &path, Mode::RWXU).map_err(|e| Error::path("mkdir", &path, e))?;
        Ok(path)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // With everything mounted below.
        let _ = detach(&self.0);
    }
}

/// The ranges in the form of user_namespaces(7). The kernel validates them.
fn lines(ranges: &str) -> String {
    ranges.split(',').map(|range| range.replace(':', " ") + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_the_kernel_reads_them() {
        assert_eq!(lines("0:1000:1,1:100000:65535"), "0 1000 1\n1 100000 65535\n");
    }
}
