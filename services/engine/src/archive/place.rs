//! Where a path of a container leads: a root and a path within it.

use std::path::{Component, Path, PathBuf};

use gantry_host::root::Root;
use gantry_proto::containerd::types::Mount;

use crate::container::create::blocking;
use crate::container::{Container, Turn};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::{MountRecord, Record};
use crate::root::{kernel, open_detached};

/// A path and the root it is resolved in.
pub struct Place {
    /// Nothing outside of it can be reached.
    pub root: Root,
    /// From the root, absolute; `.` at its end is kept.
    pub path: PathBuf,
    /// Nothing may be written there.
    pub read_only: bool,
    /// What is mounted below the path; empty where the root itself shows it.
    pub below: Vec<Below>,
    /// Keeps others from mounting the root for writing, and the container from starting; given back after the root.
    pub(super) _turn: Option<Turn>,
}

/// A mount below a place.
#[derive(Debug, PartialEq, Eq)]
pub struct Below {
    /// From the place.
    pub path: PathBuf,
    /// The directory or file on the host that is mounted.
    pub source: PathBuf,
    /// Nothing may be written there.
    pub read_only: bool,
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
    /// Opens the root in which a container's path is to be resolved.
    ///
    /// At rest the root is a mount of our own, and of a root that is written to there may be one at a time: who writes
    /// has the container's turn until the place is dropped.
    pub(crate) async fn place(&self, container: &Container, path: &str, purpose: Purpose) -> Result<Place> {
        let path = absolute(path);
        let turn = match purpose {
            Purpose::Write if container.running_pid().is_err() => Some(container.operate_owned().await),
            _ => None,
        };
        // Who waited for its turn may find it started, or gone.
        if container.live().removed {
            return Err(Error::NoSuchContainer(container.id().to_owned()));
        }
        if let Ok(pid) = container.running_pid() {
            let root = PathBuf::from(format!("/proc/{pid}/root"));
            return blocking(move || {
                let root = Root::open_path(&root).map_err(kernel)?;
                // The kernel knows better than we do what can be written there.
                Ok(Place { root, path, read_only: false, below: Vec::new(), _turn: None })
            })
            .await;
        }
        let record = container.record();
        let mut mounts = self.peers.mounts(&record.snapshotter, container.id()).await?;
        if purpose == Purpose::Read {
            read_only(&mut mounts);
        }
        blocking(move || {
            let root = open_detached(&mounts)?;
            Ok(Place { _turn: turn, ..at_rest(&record, root, path)? })
        })
        .await
    }

    /// The root of a container alone, without what is mounted over it.
    pub(crate) async fn bare_root(&self, container: &Container) -> Result<Root> {
        let record = container.record();
        let mut mounts = self.peers.mounts(&record.snapshotter, container.id()).await?;
        read_only(&mut mounts);
        blocking(move || open_detached(&mounts)).await
    }
}

/// The same root for reading only.
fn read_only(mounts: &mut [Mount]) {
    for mount in mounts.iter_mut().filter(|mount| mount.r#type == "overlay") {
        read_only_overlay(&mut mount.options);
    }
}

/// The same file system for reading only, so that a second mount beside the container's own does no harm.
fn read_only_overlay(options: &mut Vec<String>) {
    let Some(upper) = options.iter().find_map(|option| option.strip_prefix("upperdir=").map(str::to_owned))
    else {
        return;
    };
    options.retain(|option| !option.starts_with("upperdir=") && !option.starts_with("workdir="));
    for option in options.iter_mut() {
        if let Some(lower) = option.strip_prefix("lowerdir=") {
            *option = format!("lowerdir={upper}:{lower}");
        }
    }
}

fn at_rest(record: &Record, root: Root, path: PathBuf) -> Result<Place> {
    // Symlinks of the root may lead into a mount; what does not exist yet is taken as it is written.
    let resolved = match root.resolve(&path) {
        Ok(resolved) if !path.to_string_lossy().ends_with("/.") => keep_name(&root, &path, resolved),
        Ok(resolved) => resolved.join("."),
        Err(_) => path.clone(),
    };
    let covering = record
        .mounts
        .iter()
        .filter(|mount| !mount.is_tmpfs() && resolved.starts_with(&mount.point.destination))
        .max_by_key(|mount| mount.point.destination.len());
    let below = below(record, &resolved);
    match covering {
        Some(mount) => Ok(Place { below, ..within_mount(mount, &resolved)? }),
        None => Ok(Place { root, path, read_only: record.host.readonly_rootfs, below, _turn: None }),
    }
}

/// What is mounted below a path, as far as it keeps anything while the container is at rest.
fn below(record: &Record, path: &Path) -> Vec<Below> {
    let mounts = record.mounts.iter().filter(|mount| !mount.is_tmpfs());
    mounts
        .filter_map(|mount| {
            let rest = Path::new(&mount.point.destination).strip_prefix(path).ok()?;
            (!rest.as_os_str().is_empty()).then(|| Below {
                path: rest.to_owned(),
                source: mount.source(),
                read_only: !mount.point.rw,
            })
        })
        .collect()
}

/// A symlink at the end of a path is meant itself.
fn keep_name(root: &Root, path: &Path, resolved: PathBuf) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => match root.resolve(parent) {
            Ok(parent) => parent.join(name),
            Err(_) => resolved,
        },
        _ => resolved,
    }
}

fn within_mount(mount: &MountRecord, path: &Path) -> Result<Place> {
    let source = mount.source();
    let rest = path.strip_prefix(&mount.point.destination).unwrap_or(Path::new(""));
    let read_only = !mount.point.rw;
    let metadata = std::fs::metadata(&source).map_err(|error| Error::io("stat", &source, error))?;
    if metadata.is_dir() {
        let root = Root::open_path(&source).map_err(kernel)?;
        let path = Path::new("/").join(rest);
        return Ok(Place { root, path, read_only, below: Vec::new(), _turn: None });
    }
    let (Some(parent), Some(name)) = (source.parent(), source.file_name()) else {
        return Err(Error::Archive(format!("{} is neither file nor directory", source.display())));
    };
    let root = Root::open_path(parent).map_err(kernel)?;
    let path = Path::new("/").join(name);
    Ok(Place { root, path, read_only, below: Vec::new(), _turn: None })
}

/// A path from the root; `..` cannot leave it, and a `.` or slash at the end stays as `.`.
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
    if text.len() > 1 && (text.ends_with("/.") || text.ends_with('/')) {
        path.push(".");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_root_and_keep_their_end() {
        assert_eq!(absolute("etc/../../x"), Path::new("/x"));
        assert_eq!(absolute("/etc/.").as_os_str(), "/etc/.");
        assert_eq!(absolute("/etc/").as_os_str(), "/etc/.");
        assert_eq!(absolute("/").as_os_str(), "/");
    }

    #[test]
    fn what_is_mounted_below_a_path_is_known() {
        let mut record = Record::default();
        for destination in ["/data/vol", "/data", "/database"] {
            let mut mount = MountRecord::default();
            mount.point.r#type = "volume".to_owned();
            mount.point.destination = destination.to_owned();
            mount.point.source = format!("/volumes{destination}");
            record.mounts.push(mount);
        }
        let vol = Below { path: "vol".into(), source: "/volumes/data/vol".into(), read_only: true };
        assert_eq!(below(&record, Path::new("/data/.")), [vol]);
        assert_eq!(below(&record, Path::new("/")).len(), 3);
        assert!(below(&record, Path::new("/data/vol")).is_empty());
    }

    #[test]
    fn a_second_overlay_only_reads() {
        let mut options: Vec<String> =
            ["workdir=/w", "upperdir=/u", "lowerdir=/a:/b"].map(str::to_owned).to_vec();
        read_only_overlay(&mut options);
        assert_eq!(options, ["lowerdir=/u:/a:/b"]);
    }
}
