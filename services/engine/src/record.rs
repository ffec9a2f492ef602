//! What the engine knows of containers, execs and volumes beyond their lives, and keeps.
//!
//! How it is written down is [`stored`]'s to say: messages that only this service reads, whose conversion is there, too.

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

/// How far the making or unmaking of a container is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Intended; unless it becomes `Ready`, recovery unmakes it.
    #[default]
    Creating,
    /// Whole.
    Ready,
    /// To be unmade; recovery goes on with it.
    Removing,
}

/// What a container is: everything but its state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without a slash.
    pub name: String,
    /// How far its making is.
    pub stage: Stage,
    /// Nanoseconds since 1970.
    pub created_at: i64,
    /// Merged with the image's.
    pub config: ContainerConfig,
    /// With every default written in.
    pub host: HostConfig,
    /// As asked for, by network name.
    pub networks: BTreeMap<String, EndpointSettings>,
    /// What is mounted over the root.
    pub mounts: Vec<MountRecord>,
    /// Digest of the image's target.
    pub image_id: String,
    /// Digest of the platform's manifest.
    pub manifest_digest: String,
    /// Of the manifest, bytes.
    pub manifest_size: i64,
    /// Of the manifest.
    pub manifest_media_type: String,
    /// The canonical image name, empty when it was named by id.
    pub image_name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// `linux`
    pub platform: String,
    /// Who keeps the root file system.
    pub snapshotter: String,
    /// The root's parent; empty for an empty image.
    pub chain_id: String,
    /// Read-only binds are read-only all the way down.
    pub recursive_read_only: bool,
    /// While it is being removed: volumes without a name stay.
    pub keep_volumes: bool,
    /// Whom it knows on the default network.
    pub links: Vec<LinkRecord>,
}

/// A link to another container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkRecord {
    /// The other one's id.
    pub child: String,
    /// Its name when the link was made.
    pub name: String,
    /// What it is called here.
    pub alias: String,
}

/// A mount over the root.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MountRecord {
    /// As Docker shows it.
    pub point: MountPoint,
    /// Of a tmpfs, as mount(8) writes them.
    pub options: Vec<String>,
    /// A volume that goes with its container.
    pub anonymous: bool,
    /// The image's content is not copied into an empty volume.
    pub no_copy: bool,
    /// The part of the volume that is mounted.
    pub subpath: String,
    /// A bind of this directory alone, without what is mounted below.
    pub non_recursive: bool,
    /// Read-only here, but not what is mounted below.
    pub read_only_non_recursive: bool,
    /// A tmpfs that Docker does not list among the mount points (`--tmpfs`).
    pub hidden: bool,
    /// Read-only all the way down, or not at all.
    pub read_only_force_recursive: bool,
    /// The directory that a volume with options stands for; empty: its own.
    pub device: String,
    /// A volume that is a tmpfs with `options`.
    pub tmpfs_volume: bool,
    /// What the volume is made with where it does not exist yet.
    pub volume_options: BTreeMap<String, String>,
    /// What the volume is labelled with where it does not exist yet.
    pub volume_labels: BTreeMap<String, String>,
    /// The bind's source is made where it is missing.
    pub make_source: bool,
    /// A volume whose content is mounted at its place while somebody has it.
    pub elsewhere: bool,
    /// Of an image: the view of it that is this container's own, and where it is.
    pub snapshot: String,
    /// Who has the view.
    pub snapshotter: String,
    /// The layers that are viewed.
    pub chain_id: String,
}

impl MountRecord {
    /// The directory or file on the host that is mounted, or that `subpath` is a part of.
    pub fn source(&self) -> PathBuf {
        PathBuf::from(if self.device.is_empty() { &self.point.source } else { &self.device })
    }

    /// Opens what is mounted (`O_PATH`). Containers may write below the source: a part of it is found without ever
    /// leaving it.
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

    /// Whether what is mounted is a plugin's: where that is, is known while somebody has it.
    pub fn is_of_plugin(&self) -> bool {
        let driver = self.point.driver.as_str();
        self.point.r#type == "volume" && !driver.is_empty() && driver != crate::volumes::driver::local::NAME
    }

    /// Whether the mount is a file system in memory.
    pub fn is_tmpfs(&self) -> bool {
        self.point.r#type == "tmpfs" || self.tmpfs_volume
    }
}

/// A further process of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its container's id.
    pub container: String,
    /// What was asked for.
    pub spec: ExecSpec,
    /// It was started.
    pub started: bool,
    /// Of its process; 0 when there is none.
    pub pid: u32,
    /// Absent until it has ended.
    pub exit_code: Option<i32>,
}
