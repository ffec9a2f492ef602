//! One thing in an archive.

use gantry_rooted::Time;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name for an entry that came before.
    HardLink,
    /// A symlink.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// One entry, as the archive says it: nothing about its names has been checked but their length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Where a link leads.
    pub link: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification.
    pub mtime: Time,
    /// The file's length, holes included.
    pub size: u64,
    /// The device's major and minor number.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the stored bytes of a sparse file belong; `None` for ordinary files.
    pub segments: Option<Vec<(u64, u64)>>,
}

impl Entry {
    /// An entry of the superuser's, of the year 1970, that everybody may read and its owner may write.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            link: Vec::new(),
            mode: if kind == Kind::Directory { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            size: 0,
            device: (0, 0),
            xattrs: Vec::new(),
            segments: None,
        }
    }
}
