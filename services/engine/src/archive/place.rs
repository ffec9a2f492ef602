//! A path in a container with the file system that it is in.
//!
//! The file system is composed here from descriptors: the container's root, its volumes and binds, and the engine's
//! files in `/etc`. It contains no tmpfs, and none of the kernel's file systems (`/proc`, `/sys`, `/dev`).

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use gantry_host::process::Pinned;
use gantry_rooted::{Access, Last, Root, View, clean};

use crate::blocking::blocking;
use crate::container::files::Files;
use crate::container::pinned::init_of;
use crate::container::{Container, Turn};
use crate::error::{Error, Result};
use crate::peers::{Peers, Snapshots, Tasks};
use crate::record::Record;
use crate::root::{kernel, open_detached, open_read_only};
use crate::volumes::held::{Held, Mounts};

/// Directories over which a runtime always mounts something.
const SYSTEM: [&str; 3] = ["/dev", "/proc", "/sys"];

/// A path and the file system that it is in.
pub struct Place {
    /// The file system; nothing outside of it can be reached.
    pub view: View,
    /// The path from the root; a slash or `/.` at its end is kept.
    pub path: PathBuf,
    /// Whether the root is read-only for the container, and so for copies into it.
    pub read_only_root: bool,
    /// Mounts of the container that are not part of the view.
    pub covered: Vec<PathBuf>,
    /// Prevents other tasks from mounting the root for writing, and the container from starting. Released after the
    /// view.
    pub(super) _turn: Option<Turn>,
    /// Keeps volumes mounted whose content has to be mounted.
    pub(super) _held: Option<Held>,
}

/// The purpose of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read: several places may exist at the same time.
    Read,
    /// To write.
    Write,
}

/// Opens containers' file systems. Cheap to clone.
#[derive(Clone)]
pub struct Places {
    tasks: Tasks,
    snapshots: Snapshots,
    mounts: Mounts,
    files: Files,
}

impl Places {
    /// The file systems of containers whose roots and processes these services have.
    pub fn new(peers: &Peers, mounts: &Mounts, files: &Files) -> Places {
        let (tasks, snapshots) = (peers.tasks.clone(), peers.snapshots.clone());
        Places { tasks, snapshots, mounts: mounts.clone(), files: files.clone() }
    }

    /// Opens the file system in which a container's path is resolved.
    ///
    /// Reading uses a mount of the engine's own. A root that is written to may be mounted only once: that of a
    /// running container is reached through the container's init process; that of a container at rest is mounted
    /// here, and the place holds the container's operation lock until it is dropped.
    pub(crate) async fn open(&self, container: &Container, path: &str, purpose: Purpose) -> Result<Place> {
        let path = absolute(path);
        let (init, turn) = match purpose {
            Purpose::Read => (None, None),
            Purpose::Write => self.for_writing(container).await?,
        };
        if container.life().is_removed() {
            return Err(Error::NoSuchContainer(container.id().to_owned()));
        }
        let record = container.record();
        let mounts = match &init {
            Some(_) => Vec::new(),
            None => self.snapshots.mounts(&record.snapshotter, container.id()).await?,
        };
        let held = self.mounts.hold_for_now(&record.mounts).await?;
        let record = self.mounts.placed_in(record);
        let over = self.over(&record);
        blocking(move || {
            let root = match (init, purpose) {
                (Some(init), _) => init.root().map(Root::from_fd).map_err(kernel)?,
                (None, Purpose::Read) => open_read_only(&mounts)?,
                (None, Purpose::Write) => open_detached(&mounts)?,
            };
            let mut view = View::new(root).map_err(kernel)?;
            for (place, source, access) in over {
                view.mount(&place, source, access).map_err(kernel)?;
            }
            Ok(Place {
                view,
                path,
                read_only_root: record.host.readonly_rootfs,
                covered: covered(&record),
                _turn: turn,
                _held: Some(held),
            })
        })
        .await
    }

    /// The init process of a running container, or the operation lock of one at rest.
    async fn for_writing(&self, container: &Container) -> Result<(Option<Pinned>, Option<Turn>)> {
        match init_of(&self.tasks, container).await {
            Ok(init) => return Ok((Some(init), None)),
            Err(Error::NotRunning(_)) => {}
            Err(error) => return Err(error),
        }
        let turn = container.operate_owned().await;
        // The container may have started while this waited for the lock.
        if container.running_pid().is_ok() {
            return Ok((Some(init_of(&self.tasks, container).await?), None));
        }
        Ok((None, Some(turn)))
    }

    /// A container's root without the mounts over it.
    pub(crate) async fn bare_root(&self, container: &Container) -> Result<Root> {
        let record = container.record();
        let mounts = self.snapshots.mounts(&record.snapshotter, container.id()).await?;
        blocking(move || open_read_only(&mounts)).await
    }

    /// The mounts over a container's root that keep their content: path, descriptor, and access; outer mounts before
    /// inner ones. A source that no longer exists is left out.
    fn over(&self, record: &Record) -> Vec<(PathBuf, OwnedFd, Access)> {
        let mut over = Vec::new();
        // If the container shared another container's network, its files may have been removed with that container.
        let files = self.files.of(record).into_iter();
        let files = files.flat_map(|files| {
            [
                ("/etc/hostname", files.hostname),
                ("/etc/hosts", files.hosts),
                ("/etc/resolv.conf", files.resolv_conf),
            ]
        });
        for (place, source) in files {
            let taken = record.mounts.iter().any(|mount| mount.point.destination == place);
            if !taken && let Ok(source) = gantry_rooted::open_path(&source) {
                over.push((PathBuf::from(place), source, Access::Write));
            }
        }
        for mount in record.mounts.iter().filter(|mount| !mount.is_tmpfs()) {
            let access = if mount.point.rw { Access::Write } else { Access::Read };
            if let Ok(source) = mount.open() {
                over.push((PathBuf::from(&mount.point.destination), source, access));
            }
        }
        over.sort_by_key(|(place, ..)| place.components().count());
        over
    }
}

fn covered(record: &Record) -> Vec<PathBuf> {
    let tmpfs = record.mounts.iter().filter(|mount| mount.is_tmpfs()).map(|mount| &*mount.point.destination);
    tmpfs.chain(SYSTEM).map(PathBuf::from).collect()
}

impl Place {
    /// Whether a symlink at the end of the path is followed.
    pub fn last(&self) -> Last {
        match self.path.as_os_str().as_encoded_bytes() {
            [.., b'/'] | [.., b'/', b'.'] => Last::Follow,
            _ => Last::Keep,
        }
    }
}

/// A path from the root; `..` cannot leave it, and a slash or `/.` at its end is kept.
pub fn absolute(text: &str) -> PathBuf {
    let mut path = clean(text);
    if text == "." || text.ends_with("/.") {
        path.push(".");
    } else if text.ends_with('/') && path.parent().is_some() {
        path.push("");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_root_and_keep_their_end() {
        for (text, path) in [
            ("etc/../../x", "/x"),
            ("/etc/.", "/etc/."),
            ("/etc/", "/etc/"),
            ("/", "/"),
            ("//", "/"),
            ("/.", "/."),
            (".", "/."),
            ("/a/..", "/"),
            ("/a/../", "/"),
        ] {
            assert_eq!(absolute(text).as_os_str(), path, "{text}");
        }
    }
}
