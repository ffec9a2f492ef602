//! The stored form of mounts.

use std::collections::BTreeMap;

use gantry_api::{alike, engine as domain};

use super::{Words, values, words};

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

alike!(
    domain::Mount,
    Mount {
        r#type,
        source,
        target,
        read_only,
        consistency,
        bind_options: maybe,
        volume_options: maybe,
        tmpfs_options: maybe,
        image_subpath,
    }
);

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

alike!(
    domain::BindOptions,
    BindOptions {
        propagation,
        non_recursive,
        create_mountpoint,
        read_only_non_recursive,
        read_only_force_recursive,
    }
);

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

alike!(
    domain::VolumeOptions,
    VolumeOptions { no_copy, labels: collected, subpath, driver, driver_options: collected }
);

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

alike!(domain::TmpfsOptions, TmpfsOptions { size_bytes, mode, options: each(words, values) });

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

alike!(domain::MountPoint, MountPoint { r#type, name, source, destination, driver, mode, rw, propagation });
