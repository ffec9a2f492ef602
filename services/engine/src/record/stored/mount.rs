//! Mounts.

use std::collections::BTreeMap;

use gantry_api::engine as domain;

use super::{Words, words};

/// See [`domain::Mount`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Mount {
    #[prost(string, tag = "1")]
    r#type: String,
    #[prost(string, tag = "2")]
    source: String,
    #[prost(string, tag = "3")]
    target: String,
    #[prost(bool, tag = "4")]
    read_only: bool,
    #[prost(string, tag = "5")]
    consistency: String,
    #[prost(message, optional, tag = "6")]
    bind_options: Option<BindOptions>,
    #[prost(message, optional, tag = "7")]
    volume_options: Option<VolumeOptions>,
    #[prost(message, optional, tag = "8")]
    tmpfs_options: Option<TmpfsOptions>,
    #[prost(string, tag = "9")]
    image_subpath: String,
}

impl From<domain::Mount> for Mount {
    fn from(mount: domain::Mount) -> Self {
        Mount {
            r#type: mount.r#type,
            source: mount.source,
            target: mount.target,
            read_only: mount.read_only,
            consistency: mount.consistency,
            bind_options: mount.bind_options.map(Into::into),
            volume_options: mount.volume_options.map(Into::into),
            tmpfs_options: mount.tmpfs_options.map(Into::into),
            image_subpath: mount.image_subpath,
        }
    }
}

impl From<Mount> for domain::Mount {
    fn from(mount: Mount) -> Self {
        domain::Mount {
            r#type: mount.r#type,
            source: mount.source,
            target: mount.target,
            read_only: mount.read_only,
            consistency: mount.consistency,
            bind_options: mount.bind_options.map(Into::into),
            volume_options: mount.volume_options.map(Into::into),
            tmpfs_options: mount.tmpfs_options.map(Into::into),
            image_subpath: mount.image_subpath,
        }
    }
}

/// See [`domain::BindOptions`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct BindOptions {
    #[prost(string, tag = "1")]
    propagation: String,
    #[prost(bool, tag = "2")]
    non_recursive: bool,
    #[prost(bool, tag = "3")]
    create_mountpoint: bool,
    #[prost(bool, tag = "4")]
    read_only_non_recursive: bool,
    #[prost(bool, tag = "5")]
    read_only_force_recursive: bool,
}

impl From<domain::BindOptions> for BindOptions {
    fn from(options: domain::BindOptions) -> Self {
        BindOptions {
            propagation: options.propagation,
            non_recursive: options.non_recursive,
            create_mountpoint: options.create_mountpoint,
            read_only_non_recursive: options.read_only_non_recursive,
            read_only_force_recursive: options.read_only_force_recursive,
        }
    }
}

impl From<BindOptions> for domain::BindOptions {
    fn from(options: BindOptions) -> Self {
        domain::BindOptions {
            propagation: options.propagation,
            non_recursive: options.non_recursive,
            create_mountpoint: options.create_mountpoint,
            read_only_non_recursive: options.read_only_non_recursive,
            read_only_force_recursive: options.read_only_force_recursive,
        }
    }
}

/// See [`domain::VolumeOptions`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct VolumeOptions {
    #[prost(bool, tag = "1")]
    no_copy: bool,
    #[prost(btree_map = "string, string", tag = "2")]
    labels: BTreeMap<String, String>,
    #[prost(string, tag = "3")]
    subpath: String,
    #[prost(string, tag = "4")]
    driver: String,
    #[prost(btree_map = "string, string", tag = "5")]
    driver_options: BTreeMap<String, String>,
}

impl From<domain::VolumeOptions> for VolumeOptions {
    fn from(options: domain::VolumeOptions) -> Self {
        VolumeOptions {
            no_copy: options.no_copy,
            labels: options.labels.into_iter().collect(),
            subpath: options.subpath,
            driver: options.driver,
            driver_options: options.driver_options.into_iter().collect(),
        }
    }
}

impl From<VolumeOptions> for domain::VolumeOptions {
    fn from(options: VolumeOptions) -> Self {
        domain::VolumeOptions {
            no_copy: options.no_copy,
            labels: options.labels.into_iter().collect(),
            subpath: options.subpath,
            driver: options.driver,
            driver_options: options.driver_options.into_iter().collect(),
        }
    }
}

/// See [`domain::TmpfsOptions`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct TmpfsOptions {
    #[prost(int64, tag = "1")]
    size_bytes: i64,
    #[prost(uint32, tag = "2")]
    mode: u32,
    #[prost(message, repeated, tag = "3")]
    options: Vec<Words>,
}

impl From<domain::TmpfsOptions> for TmpfsOptions {
    fn from(options: domain::TmpfsOptions) -> Self {
        TmpfsOptions {
            size_bytes: options.size_bytes,
            mode: options.mode,
            options: options.options.into_iter().map(words).collect(),
        }
    }
}

impl From<TmpfsOptions> for domain::TmpfsOptions {
    fn from(options: TmpfsOptions) -> Self {
        domain::TmpfsOptions {
            size_bytes: options.size_bytes,
            mode: options.mode,
            options: options.options.into_iter().map(|words| words.values).collect(),
        }
    }
}

/// See [`domain::MountPoint`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct MountPoint {
    #[prost(string, tag = "1")]
    r#type: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    source: String,
    #[prost(string, tag = "4")]
    destination: String,
    #[prost(string, tag = "5")]
    driver: String,
    #[prost(string, tag = "6")]
    mode: String,
    #[prost(bool, tag = "7")]
    rw: bool,
    #[prost(string, tag = "8")]
    propagation: String,
}

impl From<domain::MountPoint> for MountPoint {
    fn from(point: domain::MountPoint) -> Self {
        MountPoint {
            r#type: point.r#type,
            name: point.name,
            source: point.source,
            destination: point.destination,
            driver: point.driver,
            mode: point.mode,
            rw: point.rw,
            propagation: point.propagation,
        }
    }
}

impl From<MountPoint> for domain::MountPoint {
    fn from(point: MountPoint) -> Self {
        domain::MountPoint {
            r#type: point.r#type,
            name: point.name,
            source: point.source,
            destination: point.destination,
            driver: point.driver,
            mode: point.mode,
            rw: point.rw,
            propagation: point.propagation,
        }
    }
}
