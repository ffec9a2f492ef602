//! Roots whose files are shown as if they belonged to other ids: containerd's options `uidmap=` and `gidmap=`, for a
//! snapshotter that can remap ids. mount_setattr(2), `MOUNT_ATTR_IDMAP`: Linux 5.12, below overlay 5.19.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use super::{Options, split_layers};
use crate::runtime::user_namespace;

/// How files' ids are shown; by the namespace that maps them so.
pub struct IdMap(OwnedFd);

impl IdMap {
    /// What the options ask for: `inside:outside:count,…` for users and for groups.
    pub fn of(options: &Options<'_>) -> Result<Option<Self>, String> {
        let (uids, gids) = match (options.uids, options.gids) {
            (None, None) => return Ok(None),
            (Some(uids), Some(gids)) => (uids, gids),
            _ => return Err("uidmap and gidmap go together".into()),
        };
        user_namespace::make(&lines(uids), &lines(gids)).map(|namespace| Some(Self(namespace)))
    }

    /// Binds a directory.
    pub fn bind(&self, source: &str, options: &Options<'_>, target: &Path) -> Result<(), String> {
        let shown = self.show(source, options.recursive, options.attributes())?;
        attach(&shown, target).map_err(|errno| errno.to_string())
    }

    /// Mounts an overlay of layers with these ids, by `mount`. Layers have to be mounted under names while it is made, and
    /// are held by the overlay itself afterwards: so all this happens on a file system of its own, which goes again.
    pub fn overlay(
        &self,
        options: &Options<'_>,
        target: &Path,
        mount: impl FnOnce(&Options<'_>, &Path) -> Result<(), String>,
    ) -> Result<(), String> {
        let failed = |errno: Errno| errno.to_string();
        let lower = options.data.iter().find_map(|(key, value)| value.filter(|_| *key == "lowerdir"));
        let lower = lower.ok_or("an overlay has layers")?;
        let workshop = Workshop::open(target).map_err(failed)?;
        let mut layers = Vec::new();
        for (number, layer) in split_layers(lower).iter().enumerate() {
            let place = workshop.place(&number.to_string()).map_err(failed)?;
            attach(&self.show(layer, false, MountAttrFlags::empty())?, &place).map_err(failed)?;
            layers.push(place.display().to_string().replace('\\', "\\\\").replace(':', "\\:"));
        }
        let layers = layers.join(":");
        let root = workshop.place("root").map_err(failed)?;
        mount(&options.with("lowerdir", &layers), &root)?;
        let made = open_tree(CWD, &root, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC);
        let made = made.map_err(failed)?;
        drop(workshop);
        attach(&made, target).map_err(failed)
    }

    /// A directory as it is with these ids, mounted nowhere yet.
    fn show(&self, source: &str, recursive: bool, attributes: MountAttrFlags) -> Result<OwnedFd, String> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let (flags, at) = match recursive {
            true => (flags | OpenTreeFlags::AT_RECURSIVE, libc::AT_RECURSIVE),
            false => (flags, 0),
        };
        let tree = open_tree(CWD, source, flags).map_err(|errno| format!("{source}: {errno}"))?;
        let wanted = libc::mount_attr {
            attr_set: u64::from((attributes | MountAttrFlags::MOUNT_ATTR_IDMAP).bits()),
            attr_clr: 0,
            propagation: 0,
            userns_fd: u64::try_from(self.0.as_raw_fd()).expect("a descriptor is not negative"),
        };
        // SAFETY: both descriptors are open, the path ends with a zero byte, and the kernel reads exactly
        // `size_of::<mount_attr>()` bytes of `wanted`, which outlives the call; it writes nothing.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                tree.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH | at,
                std::ptr::from_ref(&wanted),
                size_of::<libc::mount_attr>(),
            )
        };
        match answer {
            0 => Ok(tree),
            _ => {
                Err(format!("{source} cannot be shown with mapped ids: {}", std::io::Error::last_os_error()))
            }
        }
    }
}

/// An empty file system at a directory, until this is dropped.
struct Workshop<'t>(&'t Path);

impl<'t> Workshop<'t> {
    fn open(at: &'t Path) -> rustix::io::Result<Self> {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "mode", "700")?;
        fsconfig_create(&context)?;
        attach(&fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?, at)?;
        Ok(Self(at))
    }

    fn place(&self, name: &str) -> rustix::io::Result<PathBuf> {
        let path = self.0.join(name);
        rustix::fs::mkdir(&path, Mode::RWXU)?;
        Ok(path)
    }
}

impl Drop for Workshop<'_> {
    fn drop(&mut self) {
        // With all that is mounted on it.
        let _ = unmount(self.0, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
}

fn attach(tree: &OwnedFd, target: &Path) -> rustix::io::Result<()> {
    move_mount(tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Ranges as user_namespaces(7) wants them. What the kernel does not take it says.
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
