//! Where a path of a container leads: its file system, and the path in it.
//!
//! The file system is put together here, of descriptors: the container's root, its volumes and binds, and the engine's
//! files over `/etc`. Memory file systems and the kernel's own (`/proc`, `/sys`, `/dev`) are no part of it.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use gantry_host::process::Pinned;
use gantry_rooted::{Access, Last, Root, View};

use crate::container::create::blocking;
use crate::container::{Container, Turn};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::root::{kernel, open_detached, open_read_only};
use crate::volumes::held::Held;

/// What a runtime mounts whatever the user says.
const SYSTEM: [&str; 3] = ["/dev", "/proc", "/sys"];

/// A path and the file system that it is in.
pub struct Place {
    /// Nothing outside of it can be reached.
    pub view: View,
    /// From the root; a slash or `/.` at its end is kept.
    pub path: PathBuf,
    /// The root is read-only for the container, and so for those who copy into it.
    pub read_only_root: bool,
    /// Where the container has something mounted that is no part of the view.
    pub covered: Vec<PathBuf>,
    /// Keeps others from mounting the root for writing, and the container from starting; given back after the view.
    pub(super) _turn: Option<Turn>,
    /// Keeps volumes mounted whose content is elsewhere.
    pub(super) _held: Option<Held>,
}

/// What a place is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To look and to take out: others may do so at the same time.
    Read,
    /// To put in.
    Write,
}

impl Engine {
    /// Opens the file system in which a container's path is to be resolved.
    ///
    /// What is read is a mount of our own. A root that is written to may be mounted once only: that of a running
    /// container is reached through its init, that of one at rest is mounted here, and who writes to it has the
    /// container's turn until the place is dropped.
    pub(crate) async fn place(&self, container: &Container, path: &str, purpose: Purpose) -> Result<Place> {
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
            None => self.peers.mounts(&record.snapshotter, container.id()).await?,
        };
        let held = self.hold_for_now(&record.mounts).await?;
        let record = self.volumes.placed_in(record);
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

    /// The init of a container that runs, or the turn of one at rest.
    async fn for_writing(&self, container: &Container) -> Result<(Option<Pinned>, Option<Turn>)> {
        match self.init_of(container).await {
            Ok(init) => return Ok((Some(init), None)),
            Err(Error::NotRunning(_)) => {}
            Err(error) => return Err(error),
        }
        let turn = container.operate_owned().await;
        // Who waited for its turn may find it started.
        if container.running_pid().is_ok() {
            return Ok((Some(self.init_of(container).await?), None));
        }
        Ok((None, Some(turn)))
    }

    /// The root of a container alone, without what is mounted over it.
    pub(crate) async fn bare_root(&self, container: &Container) -> Result<Root> {
        let record = container.record();
        let mounts = self.peers.mounts(&record.snapshotter, container.id()).await?;
        blocking(move || open_read_only(&mounts)).await
    }

    /// The container's init, held fast: whoever gets its number after it has ended is not taken for it.
    pub(crate) async fn init_of(&self, container: &Container) -> Result<Pinned> {
        let pid = container.running_pid()?;
        let init = Pinned::open(pid).map_err(kernel)?;
        // It had the number when it was opened if it has the number now.
        match self.peers.task(container.id(), "").await?.pid() {
            Some(now) if now == pid => Ok(init),
            _ => Err(Error::NotRunning(container.id().to_owned())),
        }
    }

    /// What is over a container's root and keeps its content: where, what, and whether it may be written; the outer
    /// before the inner. A source that has gone is left out.
    fn over(&self, record: &Record) -> Vec<(PathBuf, OwnedFd, Access)> {
        let mut over = Vec::new();
        // Those of a container whose network it shared may have gone with that one.
        let files = self.files_of(record).into_iter();
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
    /// Whether the path means what a symlink at its end leads to.
    pub fn last(&self) -> Last {
        match self.path.as_os_str().as_encoded_bytes() {
            [.., b'/'] | [.., b'/', b'.'] => Last::Follow,
            _ => Last::Keep,
        }
    }
}

/// A path from the root; `..` cannot leave it, and a slash or `/.` at its end stays.
pub fn absolute(text: &str) -> PathBuf {
    let mut path = PathBuf::from("/");
    for part in Path::new(text).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            _ => {}
        }
    }
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
