//! Where a database is, and what lies beside it.
//!
//! ```text
//! <dir>/             RocksDB's own files
//! <dir>.copy         all records once more, see `copy`
//! <dir>.torn         what a power cut had torn of the log, when it last did
//! <dir>.accept       a person's word that the records are lost: the next start goes on with what is left
//! <dir>.repaired     what came of that
//! <dir>.lost-<n>/    the database as it was before that, and beside it its copy; nobody needs them any more
//! <dir>.restored     the database is from a backup: what it does not know may be newer
//! ```

use std::path::{Path, PathBuf};

use crate::{Result, atomic};

/// A database's directory and its neighbours.
#[derive(Debug, Clone)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    /// The place of a database.
    pub fn new(dir: impl AsRef<Path>) -> Self {
        Place { dir: dir.as_ref().to_path_buf() }
    }

    /// The database itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut name = self.dir.file_name().unwrap_or_default().to_owned();
        name.push(end);
        self.dir.with_file_name(name)
    }

    /// Its records once more.
    pub fn copy(&self) -> PathBuf {
        self.beside(".copy")
    }

    /// The torn end of its log.
    pub(crate) fn torn(&self) -> PathBuf {
        self.beside(".torn")
    }

    /// Says that it comes from a backup.
    pub fn restored(&self) -> PathBuf {
        self.beside(".restored")
    }

    /// Says that its records may be given up.
    pub fn accept(&self) -> PathBuf {
        self.beside(".accept")
    }

    /// Says what became of them.
    pub fn repaired(&self) -> PathBuf {
        self.beside(".repaired")
    }

    /// Where a new database is made before it takes this place.
    pub(crate) fn made(&self) -> PathBuf {
        self.beside(".new")
    }

    /// A name for what is set aside, which nothing has.
    pub(crate) fn aside(&self) -> PathBuf {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let named = |number: u128| self.beside(&format!(".lost-{number}"));
        (now.as_millis()..).map(named).find(|path| !path.exists()).unwrap_or_else(|| named(0))
    }

    /// Lets a service that refused to start go on, at its next start, with what is left of its records.
    ///
    /// # Errors
    /// If that cannot be written down.
    pub fn give_up(&self) -> Result<()> {
        atomic::write(self.accept(), "")
    }
}
