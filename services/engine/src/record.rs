//! The records that the engine keeps of containers, execs and volumes, except their states.
//!
//! [`stored`] defines how they are written to the database, as messages that only this service reads, and converts
//! them.

pub mod released;
pub mod stored;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_api::engine::{ContainerConfig, EndpointSettings, ExecSpec, HostConfig, MountPoint};
use gantry_rooted::{self as root, Root};

use crate::error::{Error, Result};
use crate::root::kernel;

pub use self::stored::{HeldRecord, VolumeRecord};

/// How far the creation or removal of a container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Creation has begun. Unless the record becomes `Ready`, recovery removes the container.
    #[default]
    Creating,
    /// The container is complete.
    Ready,
    /// Removal has begun; recovery continues it.
    Removing,
}

/// The record of a container: everything but its state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without a slash.
    pub name: String,
    /// How far the creation or removal is.
    pub stage: Stage,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// The user's configuration merged with the image's.
    pub config: ContainerConfig,
    /// The host configuration with every default filled in.
    pub host: HostConfig,
    /// The endpoint settings as the user gave them, by network name.
    pub networks: BTreeMap<String, EndpointSettings>,
    /// The mounts over the root.
    pub mounts: Vec<MountRecord>,
    /// Digest of the image's target (manifest or index).
    pub image_id: String,
    /// Digest of the manifest for the container's platform.
    pub manifest_digest: String,
    /// Size of the manifest, bytes.
    pub manifest_size: i64,
    /// Media type of the manifest.
    pub manifest_media_type: String,
    /// The canonical image name; empty if the user named the image by id.
    pub image_name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The platform's operating system: `linux`.
    pub platform: String,
    /// The snapshotter that keeps the root file system.
    pub snapshotter: String,
    /// Chain id of the root's parent; empty for an image without layers.
    pub chain_id: String,
    /// Whether read-only binds are recursively read-only by default.
    pub recursive_read_only: bool,
    /// Whether a removal in progress keeps anonymous volumes.
    pub keep_volumes: bool,
    /// Links to other containers on the default network.
    pub links: Vec<LinkRecord>,
}

/// A link to another container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkRecord {
    /// Id of the linked container.
    pub child: String,
    /// Name of the linked container when the link was made.
    pub name: String,
    /// Alias of the linked container in this container.
    pub alias: String,
}

/// A mount over the root.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MountRecord {
    /// The mount point as Docker shows it.
    pub point: MountPoint,
    /// Options of a tmpfs, as for mount(8).
    pub options: Vec<String>,
    /// Whether the volume is removed with its container.
    pub anonymous: bool,
    /// Whether an empty volume stays empty, instead of getting the image's content.
    pub no_copy: bool,
    /// The part of the volume or image that is mounted.
    pub subpath: String,
    /// Whether a bind leaves out mounts below its directory.
    pub non_recursive: bool,
    /// Whether a read-only bind leaves the mounts below it writable.
    pub read_only_non_recursive: bool,
    /// Whether Docker leaves the tmpfs out of the mount points (`--tmpfs`).
    pub hidden: bool,
    /// Whether the start fails if the mounts below cannot be made read-only too.
    pub read_only_force_recursive: bool,
    /// The directory that a volume with options stands for; empty for the volume's own directory.
    pub device: String,
    /// Whether the volume is a tmpfs with `options`.
    pub tmpfs_volume: bool,
    /// Driver options for a volume that the engine has to create.
    pub volume_options: BTreeMap<String, String>,
    /// Labels for a volume that the engine has to create.
    pub volume_labels: BTreeMap<String, String>,
    /// Whether a missing source of the bind is created.
    pub make_source: bool,
    /// Whether the volume's file system is mounted at the volume's directory while the volume is in use.
    pub elsewhere: bool,
    /// For an image mount: the key of the container's own view of the image, a snapshot.
    pub snapshot: String,
    /// The snapshotter that keeps the view.
    pub snapshotter: String,
    /// Chain id of the view's layers.
    pub chain_id: String,
}

impl MountRecord {
    /// The directory or file on the host that is mounted, or that contains `subpath`.
    pub fn source(&self) -> PathBuf {
        PathBuf::from(if self.device.is_empty() { &self.point.source } else { &self.device })
    }

    /// Opens what is mounted (`O_PATH`). Containers may write below the source, so `subpath` is resolved without
    /// leaving the source.
    pub fn open(&self) -> Result<OwnedFd> {
        let base = self.source();
        if self.subpath.is_empty() {
            return root::open_path(&base).map_err(kernel);
        }
        let inside = Root::open_path(&base).map_err(kernel)?.open_beneath(Path::new(&self.subpath));
        inside.map_err(|error| match error.io() {
            Some(refused) if refused.kind() == std::io::ErrorKind::CrossesDevices => Error::Path(format!(
                "path concatenation escapes the base directory, base: {}, subpath: {}",
                base.display(),
                self.subpath
            )),
            Some(refused) => Error::Path(format!(
                "cannot access path {}: {}",
                base.join(&self.subpath).display(),
                crate::archive::words(refused)
            )),
            None => kernel(error),
        })
    }

    /// Whether the mount is a volume of a plugin, whose path is known only while the volume is in use.
    pub fn is_of_plugin(&self) -> bool {
        let driver = self.point.driver.as_str();
        self.point.r#type == "volume" && !driver.is_empty() && driver != crate::volumes::driver::local::NAME
    }

    /// Whether the mount is a file system in memory.
    pub fn is_tmpfs(&self) -> bool {
        self.point.r#type == "tmpfs" || self.tmpfs_volume
    }
}

/// The record of an exec: a further process of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its container's id.
    pub container: String,
    /// The client's request.
    pub spec: ExecSpec,
    /// Whether the exec was started.
    pub started: bool,
    /// Process id; 0 while there is no process.
    pub pid: u32,
    /// Exit code; `None` until the process has ended.
    pub exit_code: Option<i32>,
}
