//! The paths of a database and of the files beside it.
//!
//! ```text
//! <dir>/             RocksDB's own files
//! <dir>.copy         all records a second time, see `copy`
//! <dir>.torn         the torn end of the log, which the last power cut has left
//! <dir>.new          a new database for this place that is not complete: useless after a crash
//! <dir>.ready        the new database when it is complete
//! <dir>.accept       the operator accepts that records are lost: the next start goes on with what is left
//! <dir>.repaired     what that start has done
//! <dir>.lost-<n>/    the database as it was before, with its copy beside it; not used any more
//! <dir>.restored     the database is from a backup: files without a record may be newer than it
//! ```

use std::path::{Path, PathBuf};

use crate::{Result, atomic};

/// The directory of a database and the files beside it.
#[derive(Debug, Clone)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// The place of a database.
    pub fn new(dir: impl AsRef<Path>) -> Self {
        Place { dir: dir.as_ref().to_path_buf() }
    }

    /// The directory of the database.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.dir.file_name().unwrap_or_default().to_owned();
        name.push(end);
        self.dir.with_file_name(name)
    }

    /// The copy of its records.
    pub fn copy(&self) -> PathBuf {
        self.beside(".copy")
    }

    /// The torn end of the log.
    pub(crate) fn torn(&self) -> PathBuf {
        self.beside(".torn")
    }

    /// Marks that the database is from a backup.
    pub fn restored(&self) -> PathBuf {
        self.beside(".restored")
    }

    /// Marks that the operator accepts the loss of records.
    pub fn accept(&self) -> PathBuf {
        self.beside(".accept")
    }

    /// The report of the start that went on without the lost records.
    pub fn repaired(&self) -> PathBuf {
        self.beside(".repaired")
    }

    /// The path of a new database while it is made.
    pub(crate) fn made(&self) -> PathBuf {
        self.beside(".new")
    }

    /// The path of a complete new database until it takes this place.
    pub(crate) fn ready(&self) -> PathBuf {
        self.beside(".ready")
    }

    /// An unused path for a database that is set aside.
    pub(crate) fn aside(&self) -> PathBuf {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let named = |number: u128| self.beside(&format!(".lost-{number}"));
        (now.as_millis()..).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(0))
    }

    /// Allows a service that has refused to start to go on, at its next start, with what is left of its records.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn give_up(&self) -> Result<()> {
        atomic::write(self.accept(), "")
    }
}
