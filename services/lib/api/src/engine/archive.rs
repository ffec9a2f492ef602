//! Files in containers.

/// A path in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathStat {
    /// The last part of the path.
    pub name: String,
    /// Size, bytes.
    pub size: i64,
    /// The bits of Go's `os.FileMode`.
    pub mode: u32,
    /// Modification time, nanoseconds since 1970.
    pub mtime: i64,
    /// The target of a symlink.
    pub link_target: String,
}

/// Where and how a tar is unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// The path of the directory.
    pub path: String,
    /// Whether to refuse to replace a directory by another kind of file, and the reverse.
    pub no_overwrite_dir_non_dir: bool,
    /// Whether the files get the container's user and group as owner.
    pub copy_uid_gid: bool,
}
