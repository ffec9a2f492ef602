//! Entries into an archive, the archive into a hash, both compressed into another hash.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

use gantry_archive::compression::Encoder;
use gantry_archive::tar::{Entry, Kind, LONGEST_NAME, Writer};
use gantry_rooted::{Dir, EntryKind, FileStat, Time};
use gantry_types::media_type::Compression;
use gantry_types::{Algorithm, Digest, Hasher};

use crate::{Error, Result};

/// A finished layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sealed {
    /// Digest of the uncompressed archive.
    pub(super) diff_id: Digest,
    /// Digest of the archive as written.
    pub(super) digest: Digest,
    /// Size of the archive as written, bytes.
    pub(super) size: u64,
}

/// Refuses a path that no reader of layers takes. So trees are walked no deeper than that.
pub(super) fn check_length(path: &[u8]) -> Result<()> {
    if path.len() < LONGEST_NAME {
        return Ok(());
    }
    let first = String::from_utf8_lossy(&path[..80]).into_owned();
    Err(Error::Invalid(format!("a path of {} bytes is too long for a layer: {first}…", path.len())))
}

/// Packs entries of directories.
pub(super) struct Packer<W: Write> {
    archive: Writer<Hashing<Encoder<Hashing<W>>>>,
    /// Files with more names than one: where they were packed first.
    linked: HashMap<(u64, u64), Vec<u8>>,
    newest: Option<Time>,
    buffer: Vec<u8>,
}

impl<W: Write> Packer<W> {
    pub(super) fn new(target: W, compression: Compression, newest: Option<Time>) -> Result<Self> {
        let encoder = Encoder::new(compression, Hashing::new(target)).map_err(Error::Write)?;
        let archive = Writer::new(Hashing::new(encoder));
        Ok(Self { archive, linked: HashMap::new(), newest, buffer: vec![0; 256 * 1024] })
    }

    /// Packs one entry of a directory; `path` is its name in the layer. Sockets are left out, as in every image.
    pub(super) fn entry(&mut self, dir: &Dir, name: &OsStr, path: &[u8], stat: &FileStat) -> Result<()> {
        let kind = match stat.kind {
            EntryKind::File => Kind::File,
            EntryKind::Directory => Kind::Directory,
            EntryKind::Symlink => Kind::Symlink,
            EntryKind::Fifo => Kind::Fifo,
            EntryKind::CharDevice => Kind::CharDevice,
            EntryKind::BlockDevice => Kind::BlockDevice,
            EntryKind::Socket => return Ok(()),
        };
        let mut entry = Entry {
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            mtime: self.newest.map_or(stat.modified, |newest| newest.min(stat.modified)),
            size: stat.size,
            device: stat.special,
            ..Entry::new(path, kind)
        };
        if kind == Kind::Directory {
            entry.path.push(b'/');
        } else if stat.links > 1 {
            if let Some(first) = self.linked.get(&(stat.device, stat.inode)) {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first);
                return self.archive.entry(&entry).map_err(Error::Write);
            }
            self.linked.insert((stat.device, stat.inode), path.to_vec());
        }
        if kind == Kind::Symlink {
            entry.link = dir.read_link(name)?.as_bytes().to_vec();
        }
        for (attribute, value) in dir.xattrs(name)? {
            let attribute = attribute.as_bytes();
            if attribute.starts_with(b"user.") || attribute == b"security.capability" {
                entry.xattrs.push((attribute.to_vec(), value));
            }
        }
        self.archive.entry(&entry).map_err(Error::Write)?;
        if kind == Kind::File {
            self.contents(dir, name, stat.size)?;
        }
        Ok(())
    }

    /// Packs the removal of a name.
    pub(super) fn whiteout(&mut self, parent: &[u8], name: &[u8]) -> Result<()> {
        let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
        let path = [parent, slash, b".wh.", name].concat();
        check_length(&path)?;
        let mtime = self.newest.unwrap_or_default();
        let entry = Entry { mode: 0, mtime, ..Entry::new(path, Kind::File) };
        self.archive.entry(&entry).map_err(Error::Write)
    }

    /// Packs a directory's hiding of all that is below it.
    pub(super) fn opaque(&mut self, directory: &[u8]) -> Result<()> {
        self.whiteout(directory, b".wh..opq")
    }

    /// Ends the layer.
    pub(super) fn seal(self) -> Result<Sealed> {
        let (encoder, diff_id, _) = self.archive.finish().map_err(Error::Write)?.finish();
        let target = encoder.finish().map_err(Error::Write)?;
        let (mut target, digest, size) = target.finish();
        target.flush().map_err(Error::Write)?;
        Ok(Sealed { diff_id, digest, size })
    }

    /// A file that grows meanwhile is cut at the length in its header, one that shrinks is filled up by the writer.
    fn contents(&mut self, dir: &Dir, name: &OsStr, size: u64) -> Result<()> {
        let mut file = dir.open_file(name)?.take(size);
        loop {
            let count = file.read(&mut self.buffer).map_err(|source| Error::Io {
                op: "read",
                path: name.to_string_lossy().into_owned(),
                source,
            })?;
            if count == 0 {
                return Ok(());
            }
            self.archive.write_all(&self.buffer[..count]).map_err(Error::Write)?;
        }
    }
}

/// Hashes and counts what passes through.
struct Hashing<W> {
    target: W,
    hasher: Hasher,
    count: u64,
}

impl<W> Hashing<W> {
    fn new(target: W) -> Self {
        Self { target, hasher: Algorithm::Sha256.hasher(), count: 0 }
    }

    fn finish(self) -> (W, Digest, u64) {
        (self.target, self.hasher.finish(), self.count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.target.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}
