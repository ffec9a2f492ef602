//! How a snapshot is shown.

/// One of the mounts that show a snapshot, in containerd's form. Whoever mounts it reads it as `gantry-mount` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The file system's type: `overlay`, `bind`.
    pub fs_type: String,
    /// What is mounted.
    pub source: String,
    /// Where, below the root; empty for the root itself.
    pub target: String,
    /// Options, one each.
    pub options: Vec<String>,
}
