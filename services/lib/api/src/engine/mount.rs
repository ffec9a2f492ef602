//! Mounts of a container: as requested, and as they are.

use std::collections::HashMap;

/// A mount that the user asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, `image`.
    pub r#type: String,
    /// The path of a bind, the name of a volume (empty for an anonymous one), or an image.
    pub source: String,
    /// The absolute path in the container.
    pub target: String,
    /// The mount is read-only.
    pub read_only: bool,
    /// Docker's API has the field; it changes nothing.
    pub consistency: String,
    /// For `bind`.
    pub bind_options: Option<BindOptions>,
    /// For `volume`.
    pub volume_options: Option<VolumeOptions>,
    /// For `tmpfs`.
    pub tmpfs_options: Option<TmpfsOptions>,
    /// For `image`: the part of the image to mount, relative to its root.
    pub image_subpath: String,
}

/// Options of a bind mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// `private`, `rprivate`, `shared`, `rshared`, `slave`, `rslave`; empty for `rprivate`.
    pub propagation: String,
    /// Mounts below the source are left out.
    pub non_recursive: bool,
    /// The engine creates a missing source as a directory.
    pub create_mountpoint: bool,
    /// A read-only bind leaves the mounts below it writable.
    pub read_only_non_recursive: bool,
    /// The start fails unless the mounts below can be made read-only too.
    pub read_only_force_recursive: bool,
}

/// Options of a volume mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// An empty volume stays empty, instead of getting the image's content.
    pub no_copy: bool,
    /// Labels for a volume that the engine has to create.
    pub labels: HashMap<String, String>,
    /// The part of the volume to mount, relative to its root.
    pub subpath: String,
    /// The driver of a volume that the engine has to create; empty for `local`.
    pub driver: String,
    /// Driver options for a volume that the engine has to create.
    pub driver_options: HashMap<String, String>,
}

/// Options of a tmpfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// Size, bytes; 0 for the kernel's default, half of the memory.
    pub size_bytes: i64,
    /// Permissions of the root directory; 0 for 1777.
    pub mode: u32,
    /// Further mount options, each a name, or a name and a value.
    pub options: Vec<Vec<String>>,
}

/// A mount of a container as Docker shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs`, `image`.
    pub r#type: String,
    /// The volume's name.
    pub name: String,
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// The volume's driver.
    pub driver: String,
    /// The options of the short notation.
    pub mode: String,
    /// The mount is writable.
    pub rw: bool,
    /// The propagation of a bind.
    pub propagation: String,
}
