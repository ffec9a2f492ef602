//! The messages in which the engine's records are written to disk: protobuf messages that only this service reads.
//! They are separate from the messages of the wire and the types of the code, so that a change of those cannot change
//! what is on disk.
//!
//! The database's schema number defines their meaning. If a new schema changes it, a migration converts the records
//! ([`super::released`]). Within a schema, fields are only appended, and no field number is used twice.

mod config;
mod endpoint;
mod exec;
mod host;
mod mount;
mod resources;
mod state;

use std::collections::BTreeMap;

use gantry_api::alike;

use self::config::ContainerConfig;
use self::endpoint::EndpointSettings;
use self::exec::ExecSpec;
use self::host::HostConfig;
use self::mount::{Mount, MountPoint};
use self::resources::Resources;
use super::{ExecRecord, LinkRecord, MountRecord, Record};

pub use self::state::{PhaseRecord, RunningRecord, StateRecord};

/// A record with a value that this engine does not know.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// An unknown stage of a container's creation.
    #[error("container at stage {0}")]
    Stage(i32),
    /// A state that a later engine has written.
    #[error("state of version {0}")]
    Version(u32),
    /// A state that does not say what the container does.
    #[error("state without a phase")]
    NoPhase,
}

/// A list of words that, unlike a bare `repeated` field, tells an empty list from an absent one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Words {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

fn words(values: Vec<String>) -> Words {
    Words { values }
}

fn values(words: Words) -> Vec<String> {
    words.values
}

/// See [`super::Stage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Stage {
    /// See [`super::Stage::Creating`].
    Creating = 0,
    /// See [`super::Stage::Ready`].
    Ready = 1,
    /// See [`super::Stage::Removing`].
    Removing = 2,
}

/// See [`Record`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Container {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(enumeration = "Stage", tag = "3")]
    stage: i32,
    #[prost(int64, tag = "4")]
    created_at: i64,
    #[prost(message, required, tag = "5")]
    config: ContainerConfig,
    #[prost(message, required, tag = "6")]
    host: HostConfig,
    #[prost(btree_map = "string, message", tag = "7")]
    networks: BTreeMap<String, EndpointSettings>,
    #[prost(message, repeated, tag = "8")]
    mounts: Vec<MountOver>,
    #[prost(string, tag = "9")]
    image_id: String,
    #[prost(string, tag = "10")]
    manifest_digest: String,
    #[prost(int64, tag = "11")]
    manifest_size: i64,
    #[prost(string, tag = "12")]
    manifest_media_type: String,
    #[prost(string, tag = "13")]
    image_name: String,
    #[prost(string, repeated, tag = "14")]
    command: Vec<String>,
    #[prost(string, tag = "15")]
    platform: String,
    #[prost(string, tag = "16")]
    snapshotter: String,
    #[prost(string, tag = "17")]
    chain_id: String,
    #[prost(bool, tag = "18")]
    recursive_read_only: bool,
    #[prost(bool, tag = "19")]
    keep_volumes: bool,
    #[prost(message, repeated, tag = "24")]
    links: Vec<Link>,
}

/// See [`LinkRecord`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Link {
    #[prost(string, tag = "1")]
    child: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    alias: String,
}

/// See [`MountRecord`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct MountOver {
    #[prost(message, required, tag = "1")]
    point: MountPoint,
    #[prost(string, repeated, tag = "2")]
    options: Vec<String>,
    #[prost(bool, tag = "3")]
    anonymous: bool,
    #[prost(bool, tag = "4")]
    no_copy: bool,
    #[prost(string, tag = "5")]
    subpath: String,
    #[prost(bool, tag = "6")]
    non_recursive: bool,
    #[prost(bool, tag = "7")]
    read_only_non_recursive: bool,
    #[prost(bool, tag = "8")]
    hidden: bool,
    #[prost(bool, tag = "9")]
    read_only_force_recursive: bool,
    #[prost(string, tag = "10")]
    device: String,
    #[prost(bool, tag = "11")]
    tmpfs_volume: bool,
    #[prost(btree_map = "string, string", tag = "12")]
    volume_options: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "13")]
    volume_labels: BTreeMap<String, String>,
    #[prost(bool, tag = "14")]
    make_source: bool,
    #[prost(bool, tag = "20")]
    elsewhere: bool,
    #[prost(string, tag = "21")]
    snapshot: String,
    #[prost(string, tag = "22")]
    snapshotter: String,
    #[prost(string, tag = "23")]
    chain_id: String,
}

/// See [`ExecRecord`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Exec {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    container: String,
    #[prost(message, required, tag = "3")]
    spec: ExecSpec,
    #[prost(bool, tag = "4")]
    started: bool,
    #[prost(uint32, tag = "5")]
    pid: u32,
    #[prost(int32, optional, tag = "6")]
    exit_code: Option<i32>,
}

/// A volume. The same message is in the volume's folder, for recovery if the database is lost.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VolumeRecord {
    /// The volume's name, unique.
    #[prost(string, tag = "1")]
    pub name: String,
    /// `local`, or a plugin's name.
    #[prost(string, tag = "2")]
    pub driver: String,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "3")]
    pub created_at: i64,
    /// The user's labels.
    #[prost(btree_map = "string, string", tag = "4")]
    pub labels: BTreeMap<String, String>,
    /// The driver's options: `type`, `o`, `device`.
    #[prost(btree_map = "string, string", tag = "5")]
    pub options: BTreeMap<String, String>,
    /// Whether the volume was made for one container, without a name of its own.
    #[prost(bool, tag = "6")]
    pub anonymous: bool,
}

/// A user of a volume, written before its driver is told of that user.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HeldRecord {
    /// The volume's name.
    #[prost(string, tag = "1")]
    pub volume: String,
    /// Name of the volume's driver.
    #[prost(string, tag = "2")]
    pub driver: String,
    /// Name of the user, as the driver was told it: the id of a container or of a copy.
    #[prost(string, tag = "3")]
    pub user: String,
    /// Path of the volume's content; empty until the driver has answered.
    #[prost(string, tag = "4")]
    pub place: String,
}

/// The record of the engine itself.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EngineRecord {
    /// The engine's id, a UUID.
    #[prost(string, tag = "1")]
    pub id: String,
}

impl From<Record> for Container {
    fn from(record: Record) -> Self {
        let stage = match record.stage {
            super::Stage::Creating => Stage::Creating,
            super::Stage::Ready => Stage::Ready,
            super::Stage::Removing => Stage::Removing,
        };
        Container {
            stage: stage.into(),
            id: record.id,
            name: record.name,
            created_at: record.created_at,
            config: record.config.into(),
            host: record.host.into(),
            networks: record.networks.into_iter().map(|(name, settings)| (name, settings.into())).collect(),
            mounts: record.mounts.into_iter().map(Into::into).collect(),
            image_id: record.image_id,
            manifest_digest: record.manifest_digest,
            manifest_size: record.manifest_size,
            manifest_media_type: record.manifest_media_type,
            image_name: record.image_name,
            command: record.command,
            platform: record.platform,
            snapshotter: record.snapshotter,
            chain_id: record.chain_id,
            recursive_read_only: record.recursive_read_only,
            keep_volumes: record.keep_volumes,
            links: record.links.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<Container> for Record {
    type Error = Unreadable;

    fn try_from(record: Container) -> Result<Self, Unreadable> {
        let stage = match Stage::try_from(record.stage) {
            Ok(Stage::Creating) => super::Stage::Creating,
            Ok(Stage::Ready) => super::Stage::Ready,
            Ok(Stage::Removing) => super::Stage::Removing,
            Err(_) => return Err(Unreadable::Stage(record.stage)),
        };
        Ok(Record {
            stage,
            id: record.id,
            name: record.name,
            created_at: record.created_at,
            config: record.config.into(),
            host: record.host.into(),
            networks: record.networks.into_iter().map(|(name, settings)| (name, settings.into())).collect(),
            mounts: record.mounts.into_iter().map(Into::into).collect(),
            image_id: record.image_id,
            manifest_digest: record.manifest_digest,
            manifest_size: record.manifest_size,
            manifest_media_type: record.manifest_media_type,
            image_name: record.image_name,
            command: record.command,
            platform: record.platform,
            snapshotter: record.snapshotter,
            chain_id: record.chain_id,
            recursive_read_only: record.recursive_read_only,
            keep_volumes: record.keep_volumes,
            links: record.links.into_iter().map(Into::into).collect(),
        })
    }
}

alike!(LinkRecord, Link { child, name, alias });

alike!(
    MountRecord,
    MountOver {
        point: into,
        options,
        anonymous,
        no_copy,
        subpath,
        non_recursive,
        read_only_non_recursive,
        hidden,
        read_only_force_recursive,
        device,
        tmpfs_volume,
        volume_options,
        volume_labels,
        make_source,
        elsewhere,
        snapshot,
        snapshotter,
        chain_id,
    }
);

alike!(ExecRecord, Exec { id, container, spec: into, started, pid, exit_code });
