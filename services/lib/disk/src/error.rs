//! What can go wrong between memory and disk. To a client all of it is `INTERNAL`, but [`Error::Corrupt`], which is
//! `DATA_LOSS`, and [`Error::is_disk_full`], which is `RESOURCE_EXHAUSTED`.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_types::Remedy;

/// A failure of a file or of the database. Cheap to clone: one failed write fails every batch that was merged into it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A system call on a file.
    #[error("cannot {op} {}", path.display())]
    Io {
        /// The operation, as an infinitive.
        op: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The database did not do what it was asked.
    #[error("database {}: cannot {op}", path.display())]
    Database {
        /// The operation, as an infinitive.
        op: &'static str,
        /// The database's directory.
        path: PathBuf,
        /// What RocksDB said.
        #[source]
        source: rocksdb::Error,
    },
    /// Too little space is left to write safely: nothing was written.
    #[error("database {}: no space left on device: {available} bytes are left, {reserve} are kept in reserve", path.display())]
    DiskFull {
        /// The database's directory.
        path: PathBuf,
        /// What is left for ordinary users, bytes.
        available: u64,
        /// What must be left, bytes.
        reserve: u64,
    },
    /// A record that cannot be read back.
    #[error("table {table}: the record {key} is corrupt: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The key, in a readable form.
        key: String,
        /// Which half is wrong and how.
        reason: String,
    },
    /// The database was written by a newer program.
    #[error("database {} has schema version {found}, this program knows versions up to {known}: use a newer one", path.display())]
    NewerSchema {
        /// The database's directory.
        path: PathBuf,
        /// The version in it.
        found: u32,
        /// The newest version that this program can read.
        known: u32,
    },
    /// A step of the migration to a newer schema failed; the database is as it was.
    #[error("database {}: migration from schema version {from} failed: {reason}", path.display())]
    Migration {
        /// The database's directory.
        path: PathBuf,
        /// The version that stays.
        from: u32,
        /// Why.
        reason: String,
    },
    /// Records were lost that had been acknowledged. Nobody goes on without them unasked: what no record names would be
    /// taken for rubbish.
    #[error(
        "the records in {} {how}; nothing was removed, and what runs goes on running",
        path.display()
    )]
    Lost {
        /// The database's directory.
        path: PathBuf,
        /// What is wrong, as a predicate.
        how: String,
        /// What a person can do.
        #[source]
        remedy: Remedy,
    },
    /// The database is not held still for this any more.
    #[error("database {} is not paused for {moment} any more", path.display())]
    NotPaused {
        /// The database's directory.
        path: PathBuf,
        /// The name of the moment.
        moment: String,
    },
    /// The writer has gone: the database is being closed.
    #[error("database {} is closed", path.display())]
    Closed {
        /// The database's directory.
        path: PathBuf,
    },
}

impl Error {
    /// An [`Error::Io`] of a path.
    pub fn io(op: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { op, path: path.into(), source: Arc::new(source) }
    }

    /// Whether space is what was missing.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
            }
            Error::DiskFull { .. } => true,
            Error::Database { source, .. } => source.as_ref().contains("No space left on device"),
            Error::Corrupt { .. }
            | Error::NewerSchema { .. }
            | Error::Migration { .. }
            | Error::Lost { .. }
            | Error::NotPaused { .. }
            | Error::Closed { .. } => false,
        }
    }
}
