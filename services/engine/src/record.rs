//! What is written down about containers, execs and volumes: protobuf messages that only this service reads.
//!
//! Numbers are never used twice; fields are only appended.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use gantry_proto::gantry::engine::v1 as pb;
use gantry_rooted::{self as root, Root};

use crate::error::{Error, Result};
use crate::root::kernel;

/// How far the making or unmaking of a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Stage {
    /// Intended; unless it becomes `Ready`, recovery unmakes it.
    Creating = 0,
    /// Whole.
    Ready = 1,
    /// To be unmade; recovery goes on with it.
    Removing = 2,
}

/// What a container is: everything but its state.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Record {
    /// 64 hexadecimal digits.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Without a slash.
    #[prost(string, tag = "2")]
    pub name: String,
    /// See [`Stage`].
    #[prost(enumeration = "Stage", tag = "3")]
    pub stage: i32,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// Merged with the image's.
    #[prost(message, required, tag = "5")]
    pub config: pb::ContainerConfig,
    /// With every default written in.
    #[prost(message, required, tag = "6")]
    pub host: pb::HostConfig,
    /// As asked for, by network name.
    #[prost(btree_map = "string, message", tag = "7")]
    pub networks: BTreeMap<String, pb::EndpointSettings>,
    /// What is mounted over the root.
    #[prost(message, repeated, tag = "8")]
    pub mounts: Vec<MountRecord>,
    /// Digest of the image's target.
    #[prost(string, tag = "9")]
    pub image_id: String,
    /// Digest of the platform's manifest.
    #[prost(string, tag = "10")]
    pub manifest_digest: String,
    /// Of the manifest, bytes.
    #[prost(int64, tag = "11")]
    pub manifest_size: i64,
    /// Of the manifest.
    #[prost(string, tag = "12")]
    pub manifest_media_type: String,
    /// The canonical image name, empty when it was named by id.
    #[prost(string, tag = "13")]
    pub image_name: String,
    /// The program and its arguments.
    #[prost(string, repeated, tag = "14")]
    pub command: Vec<String>,
    /// `linux`
    #[prost(string, tag = "15")]
    pub platform: String,
    /// Who keeps the root file system.
    #[prost(string, tag = "16")]
    pub snapshotter: String,
    /// The root's parent; empty for an empty image.
    #[prost(string, tag = "17")]
    pub chain_id: String,
    /// Read-only binds are read-only all the way down.
    #[prost(bool, tag = "18")]
    pub recursive_read_only: bool,
    /// While it is being removed: volumes without a name stay.
    #[prost(bool, tag = "19")]
    pub keep_volumes: bool,
    /// Whom it knows on the default network.
    #[prost(message, repeated, tag = "24")]
    pub links: Vec<LinkRecord>,
}

/// A link to another container.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinkRecord {
    /// The other one's id.
    #[prost(string, tag = "1")]
    pub child: String,
    /// Its name when the link was made.
    #[prost(string, tag = "2")]
    pub name: String,
    /// What it is called here.
    #[prost(string, tag = "3")]
    pub alias: String,
}

/// A mount over the root.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MountRecord {
    /// As Docker shows it.
    #[prost(message, required, tag = "1")]
    pub point: pb::MountPoint,
    /// Of a tmpfs, as mount(8) writes them.
    #[prost(string, repeated, tag = "2")]
    pub options: Vec<String>,
    /// A volume that goes with its container.
    #[prost(bool, tag = "3")]
    pub anonymous: bool,
    /// The image's content is not copied into an empty volume.
    #[prost(bool, tag = "4")]
    pub no_copy: bool,
    /// The part of the volume that is mounted.
    #[prost(string, tag = "5")]
    pub subpath: String,
    /// A bind of this directory alone, without what is mounted below.
    #[prost(bool, tag = "6")]
    pub non_recursive: bool,
    /// Read-only here, but not what is mounted below.
    #[prost(bool, tag = "7")]
    pub read_only_non_recursive: bool,
    /// A tmpfs that Docker does not list among the mount points (`--tmpfs`).
    #[prost(bool, tag = "8")]
    pub hidden: bool,
    /// Read-only all the way down, or not at all.
    #[prost(bool, tag = "9")]
    pub read_only_force_recursive: bool,
    /// The directory that a volume with options stands for; empty: its own.
    #[prost(string, tag = "10")]
    pub device: String,
    /// A volume that is a tmpfs with `options`.
    #[prost(bool, tag = "11")]
    pub tmpfs_volume: bool,
    /// What the volume is made with where it does not exist yet.
    #[prost(btree_map = "string, string", tag = "12")]
    pub volume_options: BTreeMap<String, String>,
    /// What the volume is labelled with where it does not exist yet.
    #[prost(btree_map = "string, string", tag = "13")]
    pub volume_labels: BTreeMap<String, String>,
    /// The bind's source is made where it is missing.
    #[prost(bool, tag = "14")]
    pub make_source: bool,
    /// A volume whose content is mounted at its place while somebody has it.
    #[prost(bool, tag = "20")]
    pub elsewhere: bool,
    /// Of an image: the view of it that is this container's own, and where it is.
    #[prost(string, tag = "21")]
    pub snapshot: String,
    /// Who has the view.
    #[prost(string, tag = "22")]
    pub snapshotter: String,
    /// The layers that are viewed.
    #[prost(string, tag = "23")]
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

    /// Whether the mount is a file system in memory.
    pub fn is_tmpfs(&self) -> bool {
        self.point.r#type == "tmpfs" || self.tmpfs_volume
    }
}

/// The version in which states are written. Version 0 wrote none, and Docker's word in place of a phase.
pub const STATE_VERSION: u32 = 1;

/// What has become of a container: its [`Life`](crate::container::life::Life), as far as it is written down.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StateRecord {
    /// Version 0: Docker's word.
    #[prost(enumeration = "pb::Status", tag = "1")]
    pub status: i32,
    /// Version 0: of the first process; 0 when there is none.
    #[prost(uint32, tag = "2")]
    pub pid: u32,
    /// Of the last run.
    #[prost(int32, tag = "3")]
    pub exit_code: i32,
    /// Why the last start failed.
    #[prost(string, tag = "4")]
    pub error: String,
    /// The last run was ended by the kernel for want of memory.
    #[prost(bool, tag = "5")]
    pub oom_killed: bool,
    /// Nanoseconds since 1970; 0: never.
    #[prost(int64, tag = "6")]
    pub started_at: i64,
    /// Nanoseconds since 1970; 0: never.
    #[prost(int64, tag = "7")]
    pub finished_at: i64,
    /// Automatic ones since the last start by hand.
    #[prost(uint32, tag = "8")]
    pub restart_count: u32,
    /// The user stopped it and has not started it again.
    #[prost(bool, tag = "9")]
    pub stopped_by_hand: bool,
    /// Ids of the networks of the last run, by name.
    #[prost(btree_map = "string, string", tag = "10")]
    pub networks: BTreeMap<String, String>,
    /// See [`STATE_VERSION`].
    #[prost(uint32, tag = "11")]
    pub version: u32,
    /// What it does.
    #[prost(oneof = "PhaseRecord", tags = "12, 13, 14, 15, 16, 17")]
    pub phase: Option<PhaseRecord>,
}

/// What a container does.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum PhaseRecord {
    /// It has never run.
    #[prost(message, tag = "12")]
    Created(()),
    /// It has a process.
    #[prost(message, tag = "13")]
    Running(RunningRecord),
    /// It has run.
    #[prost(message, tag = "14")]
    Exited(()),
    /// Its policy starts it again.
    #[prost(message, tag = "15")]
    Restarting(()),
    /// It is being unmade.
    #[prost(message, tag = "16")]
    Removing(()),
    /// It could not be unmade.
    #[prost(message, tag = "17")]
    Dead(()),
}

/// A container that has a process.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RunningRecord {
    /// Of the first process.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// A user has frozen it.
    #[prost(bool, tag = "2")]
    pub paused: bool,
}

/// A volume.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VolumeRecord {
    /// Unique.
    #[prost(string, tag = "1")]
    pub name: String,
    /// `local`
    #[prost(string, tag = "2")]
    pub driver: String,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "3")]
    pub created_at: i64,
    /// The user's.
    #[prost(btree_map = "string, string", tag = "4")]
    pub labels: BTreeMap<String, String>,
    /// The driver's: `type`, `o`, `device`.
    #[prost(btree_map = "string, string", tag = "5")]
    pub options: BTreeMap<String, String>,
    /// Made for one container, without a name of its own.
    #[prost(bool, tag = "6")]
    pub anonymous: bool,
}

/// A further process of a container.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExecRecord {
    /// 64 hexadecimal digits.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its container's id.
    #[prost(string, tag = "2")]
    pub container: String,
    /// What was asked for.
    #[prost(message, required, tag = "3")]
    pub spec: pb::ExecCreateRequest,
    /// It was started.
    #[prost(bool, tag = "4")]
    pub started: bool,
    /// Of its process; 0 when there is none.
    #[prost(uint32, tag = "5")]
    pub pid: u32,
    /// Absent until it has ended.
    #[prost(int32, optional, tag = "6")]
    pub exit_code: Option<i32>,
}

/// The engine itself.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EngineRecord {
    /// A UUID.
    #[prost(string, tag = "1")]
    pub id: String,
}
