//! Makes one entry of a tar in an open directory and sets its attributes.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use gantry_archive::tar::{Entry, Kind};
use gantry_host::Result;
use gantry_rooted::{self as root, Dir, EntryKind, Time};

/// Makes an entry that is neither a file nor a hard link. Only root may use it until its attributes are set.
pub fn make(directory: &Dir, name: &OsStr, entry: &Entry) -> Result<()> {
    match entry.kind {
        Kind::Directory => directory.make_dir(name, 0o700),
        Kind::Symlink => directory.symlink(OsStr::from_bytes(&entry.link), name),
        Kind::Fifo => directory.mknod(name, EntryKind::Fifo, 0o600, (0, 0)),
        Kind::CharDevice => directory.mknod(name, EntryKind::CharDevice, 0o600, entry.device),
        Kind::BlockDevice => directory.mknod(name, EntryKind::BlockDevice, 0o600, entry.device),
        Kind::File | Kind::HardLink => unreachable!("made by who has its bytes, or its other name"),
    }
}

/// The attributes of an entry, set after it is made.
pub struct Attributes<'e> {
    owner: (u32, u32),
    mode: u32,
    extended: Vec<(&'e OsStr, &'e [u8])>,
    /// Modification time.
    pub modified: Time,
}

impl<'e> Attributes<'e> {
    /// The attributes of an entry; `owner` replaces the tar's owner and group.
    pub fn of(entry: &'e Entry, owner: Option<(u32, u32)>) -> Self {
        let extended = entry.xattrs.iter().map(|(key, value)| (OsStr::from_bytes(key), value.as_slice()));
        Self {
            owner: owner.unwrap_or((entry.uid, entry.gid)),
            mode: entry.mode,
            // Overlay's own attributes are left out: a container does not see them.
            extended: extended.filter(|(key, _)| !key.as_bytes().starts_with(b"trusted.overlay.")).collect(),
            modified: entry.mtime,
        }
    }

    /// Sets the attributes of a file through its descriptor, because the container may have replaced the name by now.
    pub fn give_file(&self, file: &File) -> Result<()> {
        root::set_file_owner(file, self.owner.0, self.owner.1)?;
        root::set_file_mode(file, self.mode)?;
        for (key, value) in &self.extended {
            root::set_file_xattr(file, key, value)?;
        }
        root::set_file_times(file, self.modified)
    }

    /// Sets the attributes of a name in a directory. A symlink has no mode.
    pub fn give(&self, directory: &Dir, name: &OsStr, kind: Kind) -> Result<()> {
        directory.set_owner(name, self.owner.0, self.owner.1)?;
        if kind != Kind::Symlink {
            directory.set_mode(name, self.mode)?;
        }
        for (key, value) in &self.extended {
            directory.set_xattr(name, key, value)?;
        }
        directory.set_times(name, self.modified)
    }
}
