//! Where the bytes are: paths below the state directory, made of parts that were validated.
//!
//! A blob's name comes from a [`Digest`], an ingest's from an [`IngestId`]; neither can hold a slash, so no path leaves
//! the directory. The directories belong to this process alone (0700), and files are opened without following links.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use gantry_disk::atomic;
use gantry_types::{Algorithm, Digest};

use crate::{Error, Result};

/// open(2)'s O_NOFOLLOW, on all architectures that Linux runs us on.
const NOFOLLOW: i32 = match cfg!(any(
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "powerpc",
    target_arch = "powerpc64"
)) {
    true => 0o100_000,
    false => 0o400_000,
};
const DIRECTORY_MODE: u32 = 0o700;
/// Of an ingest's bytes: their owner writes.
pub(crate) const INGEST_MODE: u32 = 0o600;
/// Of a blob's bytes: nobody writes.
pub(crate) const BLOB_MODE: u32 = 0o444;

/// The name of an ingest's directory: hex digits, unique within the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct IngestId(String);

impl IngestId {
    /// A name that no ingest had before.
    pub(crate) fn unique() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(0));
        let next = |last: u64| Some(now.max(last + 1));
        let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        IngestId(format!("{:016x}", now.max(last + 1)))
    }

    /// A name read back from disk; `None` if it is none.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        (name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit())).then(|| IngestId(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The directories of the service.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes what is missing.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let layout = Layout { root: root.to_owned() };
        atomic::create_dir_all(root)?;
        for algorithm in Algorithm::ALL {
            atomic::create_dir_all(layout.blobs(algorithm))?;
        }
        atomic::create_dir_all(layout.ingests())?;
        Ok(layout)
    }

    /// The database's directory.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("db")
    }

    /// The directory of all blobs of an algorithm.
    pub(crate) fn blobs(&self, algorithm: Algorithm) -> PathBuf {
        self.root.join("blobs").join(algorithm.as_str())
    }

    /// A blob's file.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs(digest.algorithm()).join(digest.hex())
    }

    /// Removes a blob's file. It is no error if there is none.
    pub(crate) fn remove_blob(&self, digest: &Digest) -> Result<()> {
        let path = self.blob(digest);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
            _ => Ok(()),
        }
    }

    /// The directory of files that are being fetched from other stores. It is made when it is needed.
    fn fetches(&self) -> PathBuf {
        self.root.join("fetch")
    }

    /// A name for a file that is to be fetched.
    pub(crate) fn new_fetch(&self) -> Result<PathBuf> {
        let dir = self.fetches();
        match std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io("create", dir)(e)),
            _ => Ok(dir.join(IngestId::unique().as_str())),
        }
    }

    /// Removes what an earlier process had begun to fetch.
    pub(crate) fn remove_fetches(&self) -> Result<()> {
        let dir = self.fetches();
        match std::fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", dir)(e)),
            _ => Ok(()),
        }
    }

    /// The directory of all ingests.
    pub(crate) fn ingests(&self) -> PathBuf {
        self.root.join("ingest")
    }

    /// An ingest's directory.
    pub(crate) fn ingest(&self, id: &IngestId) -> PathBuf {
        self.ingests().join(id.as_str())
    }

    /// The file that an ingest's bytes are written to.
    pub(crate) fn data(&self, id: &IngestId) -> PathBuf {
        self.ingest(id).join("data")
    }

    /// The private copy of an ingest's bytes.
    pub(crate) fn proved(&self, id: &IngestId) -> PathBuf {
        self.ingest(id).join("proved")
    }

    /// Makes an ingest's directory and its empty file. Not synced: what a power cut takes is written again.
    pub(crate) fn create_ingest(&self, id: &IngestId) -> Result<()> {
        let dir = self.ingest(id);
        std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(&dir).map_err(Error::io("create", &dir))?;
        let path = self.data(id);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(INGEST_MODE).custom_flags(NOFOLLOW);
        options.open(&path).map(drop).map_err(Error::io("create", path))
    }

    /// Removes an ingest's directory and what is in it. It is no error if there is none.
    pub(crate) fn remove_ingest(&self, id: &IngestId) -> Result<()> {
        let dir = self.ingest(id);
        match std::fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", dir)(e)),
            _ => Ok(()),
        }
    }
}

/// Opens a file of ours for reading.
pub(crate) fn open_read(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).custom_flags(NOFOLLOW).open(path).map_err(Error::io("open", path))
}

/// Opens a file of ours for writing.
pub(crate) fn open_write(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).custom_flags(NOFOLLOW).open(path).map_err(Error::io("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_nothing_else_parses() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| IngestId::unique()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(IngestId::parse(id.as_str()), Some(id));
        }
        for bad in ["", "..", "0123456789abcde", "0123456789abcdeg", "../../../../etc/"] {
            assert_eq!(IngestId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::fs::write(dir.path().join("target"), "").unwrap();
        std::os::unix::fs::symlink("target", &link).unwrap();
        assert!(open_read(&link).is_err());
        assert!(open_write(&link).is_err());
    }
}
