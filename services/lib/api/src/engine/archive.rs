//! Files of containers.

/// What a path of a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathStat {
    /// The last part.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Bits of Go's `os.FileMode`.
    pub mode: u32,
    /// When it was changed.
    pub mtime: i64,
    /// Where a symlink leads.
    pub link_target: String,
}

/// Where a tar is to be unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutSpec {
    /// Id, name or unique id prefix.
    pub container: String,
    /// A directory.
    pub path: String,
    /// No directory takes the place of something else, nor the other way.
    pub no_overwrite_dir_non_dir: bool,
    /// Files are the container's user's.
    pub copy_uid_gid: bool,
}
