//! The mounts of a snapshot.

/// One of the mounts of a snapshot, in containerd's form. `gantry-mount` parses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The file system's type: `overlay`, `bind`.
    pub fs_type: String,
    /// The source of the mount.
    pub source: String,
    /// The target below the root; empty: the root itself.
    pub target: String,
    /// The options, one in each element.
    pub options: Vec<String>,
}
