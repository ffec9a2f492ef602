//! The shim's own mount namespace, with the container's root in it.
//!
//! Invariant: the host's mount table shows none of the mounts made here, and the kernel removes all of them with the
//! shim. The bundle directory is bind-mounted onto itself. Before that, the one mount that holds the bundle is made a
//! slave in this namespace, so that the bind mount does not propagate. Every other mount keeps its propagation, so
//! that `rshared` volumes work.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use gantry_mount::{Attributes, Propagation, Recursive, change_attributes_at, set_propagation};
use gantry_proto::containerd::types::Mount;
use nix::sched::CloneFlags;
use rustix::mount::MountAttrFlags;

use crate::error::{Error, Result};
use crate::runtime::user_namespace;

/// Moves the calling (single-threaded) process into a new mount namespace.
pub fn enter() -> Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::Mount { what: "namespace".into(), reason: errno.to_string() })
}

/// Makes `bundle` a private mount, so that mounts below it do not propagate.
pub fn isolate(bundle: &Path) -> Result<()> {
    let failed = |reason: String| Error::Mount { what: bundle.display().to_string(), reason };
    let plain = |error: gantry_mount::Error| failed(reason(&error));
    let holder = gantry_mount::mount_point_of(bundle).map_err(plain)?;
    set_propagation(&holder, Propagation::Slave, Recursive::No)
        // The root of a chroot need not be a mount point.
        .or_else(|_| set_propagation(Path::new("/"), Propagation::Slave, Recursive::Yes))
        .map_err(|error| failed(format!("make {} a slave: {}", holder.display(), reason(&error))))?;
    let tree = gantry_mount::clone_tree(bundle, Recursive::Yes).map_err(plain)?;
    gantry_mount::attach(tree, bundle).map_err(plain)?;
    set_propagation(bundle, Propagation::Private, Recursive::No).map_err(plain)
}

/// The running binary as a detached mount, for [`pin_binary`]. To be called before [`enter`]: afterwards the binary
/// belongs to another namespace.
pub fn take_binary() -> Result<OwnedFd> {
    let own = Path::new("/proc/self/exe");
    gantry_mount::clone_tree(own, Recursive::No)
        .map_err(|error| Error::Mount { what: own.display().to_string(), reason: reason(&error) })
}

/// Mounts the running binary read-only at `at`. A container that opens `/proc/<pid>/exe` of a process started from
/// there cannot write to the binary.
pub fn pin_binary(binary: &OwnedFd, at: &Path) -> Result<()> {
    const SEALED: Attributes = Attributes {
        set: MountAttrFlags::MOUNT_ATTR_RDONLY.union(MountAttrFlags::MOUNT_ATTR_NOSUID),
        clear: MountAttrFlags::empty(),
    };
    std::fs::File::create(at).map_err(Error::io("create", at))?;
    gantry_mount::attach(binary.as_fd(), at)
        .and_then(|()| change_attributes_at(at, &SEALED, Recursive::No))
        .map_err(|error| Error::Mount { what: at.display().to_string(), reason: reason(&error) })
}

/// Mounts the container's root at `root`, in the order of the mounts.
pub fn mount_root(mounts: &[Mount], root: &Path) -> Result<()> {
    if mounts.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(root).map_err(Error::io("create", root))?;
    let own = |mount: &Mount| gantry_mount::Mount {
        fs_type: mount.r#type.clone(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        options: mount.options.clone(),
    };
    let mounts: Vec<gantry_mount::Mount> = mounts.iter().map(own).collect();
    gantry_mount::mount_each(&mounts, root, Some(&user_namespace::make)).map_err(|(mount, error)| {
        let what = format!("{} {} on {}/{}", mount.fs_type, mount.source, root.display(), mount.target);
        Error::Mount { what, reason: reason(&error) }
    })
}

/// Unmounts everything on `root`; without a mount, does nothing.
pub fn unmount_root(root: &Path) {
    let _ = gantry_mount::detach_all(root);
}

/// The kernel's error alone, because [`Error::Mount`] names the mount.
fn reason(error: &gantry_mount::Error) -> String {
    error.io().map_or_else(|| error.to_string(), ToString::to_string)
}
