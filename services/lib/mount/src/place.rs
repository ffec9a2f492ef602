//! Paths in the mount table: attaching mounts, copying and detaching them.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gantry_rooted::{Root, path_of, proc_path};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use crate::{Error, Propagation, Recursive, Result};

/// The target of a mount.
pub(crate) struct Place {
    /// Its path.
    pub path: PathBuf,
    /// The target itself, where the path may lead elsewhere by now: below a root that other processes write to.
    held: Option<OwnedFd>,
}

impl Place {
    /// A target whose path no other process changes.
    pub fn named(path: &Path) -> Self {
        Self { path: path.to_owned(), held: None }
    }

    /// The target of a mount with a `target`, never outside of the mount at `root`.
    pub fn below(root: &Path, target: &str) -> Result<Self> {
        if target.trim_start_matches('/').is_empty() {
            return Ok(Self::named(root));
        }
        let target = Path::new(OsStr::from_bytes(target.as_bytes()));
        let held = Root::open_path(root)?.open(target, OFlags::PATH, Mode::empty())?;
        Ok(Self { path: path_of(held.as_fd())?, held: Some(held) })
    }

    /// A path for mount(2), which leads to the target while this value is kept.
    pub fn name(&self) -> PathBuf {
        self.held.as_ref().map_or_else(|| self.path.clone(), |held| proc_path(held.as_fd()).into())
    }

    /// Attaches a detached mount.
    pub fn attach(&self, tree: BorrowedFd<'_>) -> Result<()> {
        match &self.held {
            Some(held) => attach_at(tree, held),
            None => attach(tree, &self.path),
        }
    }
}

/// Attaches a detached mount at a path.
pub fn attach(tree: impl AsFd, place: &Path) -> Result<()> {
    rustix::mount::move_mount(tree.as_fd(), c"", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|e| Error::path("move_mount to", place, e))
}

/// Attaches a detached mount on an open file or directory.
pub fn attach_at(tree: impl AsFd, place: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree.as_fd(), c"", place.as_fd(), c"", flags)
        .map_err(|e| Error::os("move_mount to", "an open place", e))
}

/// Opens a detached copy of the mount at `source` (`open_tree(2)`).
pub fn clone_tree(source: &Path, recursive: Recursive) -> Result<OwnedFd> {
    rustix::mount::open_tree(CWD, source, clone_flags(recursive))
        .map_err(|e| Error::path("open_tree", source, e))
}

/// Opens a detached copy of the mount on an open file or directory.
pub fn clone_at(source: impl AsFd, recursive: Recursive) -> Result<OwnedFd> {
    rustix::mount::open_tree(source.as_fd(), c"", clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)
        .map_err(|e| Error::os("open_tree", "an open place", e))
}

fn clone_flags(recursive: Recursive) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive == Recursive::Yes { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Unmounts the topmost mount at `place`; fails while it is in use.
pub fn unmount(place: &Path) -> Result<()> {
    rustix::mount::unmount(place, UnmountFlags::NOFOLLOW).map_err(|e| Error::path("umount", place, e))
}

/// Detaches the topmost mount at `place` with all mounts below it; its users keep it until they end.
pub fn detach(place: &Path) -> Result<()> {
    rustix::mount::unmount(place, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
        .map_err(|e| Error::path("umount", place, e))
}

/// Detaches every mount that is stacked at `place`. Without a mount, or without the path, does nothing.
pub fn detach_all(place: &Path) -> Result<()> {
    loop {
        match detach(place) {
            Ok(()) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

/// Sets the propagation of the mount at `place`, alone or with all mounts below it.
pub fn set_propagation(place: &Path, propagation: Propagation, recursive: Recursive) -> Result<()> {
    let mut flags = match propagation {
        Propagation::Private => MountPropagationFlags::PRIVATE,
        Propagation::Shared => MountPropagationFlags::SHARED,
        Propagation::Slave => MountPropagationFlags::DOWNSTREAM,
        Propagation::Unbindable => MountPropagationFlags::UNBINDABLE,
    };
    if recursive == Recursive::Yes {
        flags |= MountPropagationFlags::REC;
    }
    rustix::mount::mount_change(place, flags).map_err(|e| Error::path("change propagation of", place, e))
}

/// Whether `place` is a mount point (statx(2) since Linux 5.8).
pub fn is_mount_point(place: &Path) -> Result<bool> {
    let stat =
        rustix::fs::statx(CWD, place, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::MNT_ID)
            .map_err(|e| Error::path("statx", place, e))?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The mount point of the mount that `path` is on: as far up as the mount id stays the same (statx(2), Linux 5.8).
pub fn mount_point_of(path: &Path) -> Result<PathBuf> {
    let id = |path: &Path| {
        rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID)
            .map(|stat| stat.stx_mnt_id)
            .map_err(|e| Error::path("statx", path, e))
    };
    let mut holder = std::fs::canonicalize(path).map_err(|e| Error::path("resolve", path, e))?;
    let wanted = id(&holder)?;
    while let Some(parent) = holder.parent() {
        if id(parent)? != wanted {
            break;
        }
        holder = parent.to_path_buf();
    }
    Ok(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_told_from_directories() {
        assert!(is_mount_point(Path::new("/proc")).expect("mounted"));
        assert!(!is_mount_point(Path::new("/proc/self")).expect("there"));
        assert_eq!(mount_point_of(Path::new("/proc/self/fd")).expect("mounted"), Path::new("/proc"));
    }
}
