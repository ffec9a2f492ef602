//! What is mounted in a container: as it was asked for, and as it is.

use std::collections::HashMap;

/// A mount that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, `image`.
    pub r#type: String,
    /// A path, a volume or an image.
    pub source: String,
    /// Where.
    pub target: String,
    /// It cannot be written.
    pub read_only: bool,
    /// For Docker's sake.
    pub consistency: String,
    /// Of a bind.
    pub bind_options: Option<BindOptions>,
    /// Of a volume.
    pub volume_options: Option<VolumeOptions>,
    /// Of a file system in memory.
    pub tmpfs_options: Option<TmpfsOptions>,
    /// The part of an image.
    pub image_subpath: String,
}

/// Of a bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// `rprivate` and the like.
    pub propagation: String,
    /// Without what is mounted below.
    pub non_recursive: bool,
    /// The source is made where it is missing.
    pub create_mountpoint: bool,
    /// Read-only here, but not what is mounted below.
    pub read_only_non_recursive: bool,
    /// Read-only all the way down, or not at all.
    pub read_only_force_recursive: bool,
}

/// Of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// The image's content is not copied into it.
    pub no_copy: bool,
    /// Of one that is made for this.
    pub labels: HashMap<String, String>,
    /// The part that is mounted.
    pub subpath: String,
    /// Of one that is made for this.
    pub driver: String,
    /// Of one that is made for this.
    pub driver_options: HashMap<String, String>,
}

/// Of a file system in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// 0: half of the memory.
    pub size_bytes: i64,
    /// Permissions of its root.
    pub mode: u32,
    /// Further ones: a name, or a name and a value.
    pub options: Vec<Vec<String>>,
}

/// A mount as Docker shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs`, `image`.
    pub r#type: String,
    /// A volume's.
    pub name: String,
    /// Where it is on the host.
    pub source: String,
    /// Where it is in the container.
    pub destination: String,
    /// A volume's.
    pub driver: String,
    /// As in the short notation.
    pub mode: String,
    /// It can be written.
    pub rw: bool,
    /// A bind's.
    pub propagation: String,
}
