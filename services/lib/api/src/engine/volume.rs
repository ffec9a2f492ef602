//! Volumes.

use std::collections::HashMap;

/// A volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Unique.
    pub name: String,
    /// Who keeps it.
    pub driver: String,
    /// Where it is on the host.
    pub mountpoint: String,
    /// When it was made.
    pub created_at: i64,
    /// The user's.
    pub labels: HashMap<String, String>,
    /// The driver's.
    pub options: HashMap<String, String>,
    /// `local` or `global`.
    pub scope: String,
    /// Bytes; -1 when not asked for.
    pub size: i64,
    /// Containers that have it; -1 when not asked for.
    pub ref_count: i64,
    /// Made for one container, without a name of its own.
    pub anonymous: bool,
    /// What else its driver tells: the text of a JSON object, or empty. Not in lists.
    pub status: String,
}

/// A volume that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeSpec {
    /// Empty: made up.
    pub name: String,
    /// Empty: that of a volume of this name, else `local`.
    pub driver: String,
    /// The driver's options.
    pub driver_opts: HashMap<String, String>,
    /// The user's.
    pub labels: HashMap<String, String>,
}
