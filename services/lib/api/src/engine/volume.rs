//! Volumes.

use std::collections::HashMap;

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// The volume's name, unique.
    pub name: String,
    /// The driver's name.
    pub driver: String,
    /// The path of the content on the host.
    pub mountpoint: String,
    /// Time of creation, nanoseconds since 1970.
    pub created_at: i64,
    /// The user's labels.
    pub labels: HashMap<String, String>,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The driver's scope: `local` or `global`.
    pub scope: String,
    /// Bytes; -1 if the request did not ask for usage.
    pub size: i64,
    /// Number of containers that have the volume; -1 if the request did not ask for usage.
    pub ref_count: i64,
    /// Whether the volume was made for one container, without a name of its own.
    pub anonymous: bool,
    /// Further facts from the driver: the text of a JSON object, or empty. Empty in lists.
    pub status: String,
}

/// A request for a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeSpec {
    /// The name; empty for a generated one.
    pub name: String,
    /// The driver's name; empty for the driver of an existing volume of this name, or else `local`.
    pub driver: String,
    /// The driver's options.
    pub driver_opts: HashMap<String, String>,
    /// The user's labels.
    pub labels: HashMap<String, String>,
}
