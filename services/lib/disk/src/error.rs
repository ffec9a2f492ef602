//! The errors of this crate. For a client, [`Error::Corrupt`] is `DATA_LOSS`, [`Error::is_disk_full`] is
//! `RESOURCE_EXHAUSTED`, and every other one is `INTERNAL`.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_types::Remedy;

/// An error of a file or of the database. Cheap to clone, because a failed write fails every batch that was merged
/// into it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A system call on a file failed.
    #[error("cannot {op} {}", path.display())]
    Io {
        /// The operation, as an infinitive.
        op: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// An operation of the database failed.
    #[error("database {}: cannot {op}", path.display())]
    Database {
        /// The operation, as an infinitive.
        op: &'static str,
        /// The database's directory.
        path: PathBuf,
        /// RocksDB's error.
        #[source]
        source: rocksdb::Error,
    },
    /// The disk has too little space to write safely: nothing was written.
    #[error("database {}: no space left on device: {available} bytes are left, {reserve} are kept in reserve", path.display())]
    DiskFull {
        /// The database's directory.
        path: PathBuf,
        /// The space that is left for ordinary users, in bytes.
        available: u64,
        /// The space that must be left, in bytes.
        reserve: u64,
    },
    /// A record cannot be decoded.
    #[error("table {table}: the record {key} is corrupt: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The key, in a readable form.
        key: String,
        /// Which part is wrong, and why.
        reason: String,
    },
    /// A newer program has written the database.
    #[error("database {} has schema version {found}, this program knows versions up to {known}: use a newer one", path.display())]
    NewerSchema {
        /// The database's directory.
        path: PathBuf,
        /// The version in it.
        found: u32,
        /// The newest version that this program can read.
        known: u32,
    },
    /// A migration failed; the database is unchanged.
    #[error("database {}: migration from schema version {from} failed: {reason}", path.display())]
    Migration {
        /// The database's directory.
        path: PathBuf,
        /// The version of the database.
        from: u32,
        /// Why.
        reason: String,
    },
    /// Acknowledged records were lost. The service does not go on without them until the operator allows it: it would
    /// remove files without a record, which may be in use.
    #[error(
        "the records in {} {how}; nothing was removed, and what runs goes on running",
        path.display()
    )]
    Lost {
        /// The database's directory.
        path: PathBuf,
        /// What is wrong, as a predicate.
        how: String,
        /// What the operator can do.
        #[source]
        remedy: Remedy,
    },
    /// The pause of the database has ended.
    #[error("database {} is not paused for {moment} any more", path.display())]
    NotPaused {
        /// The database's directory.
        path: PathBuf,
        /// The name of the pause.
        moment: String,
    },
    /// The writer has ended: the database is being closed.
    #[error("database {} is closed", path.display())]
    Closed {
        /// The database's directory.
        path: PathBuf,
    },
}

impl Error {
    /// An [`Error::Io`] about a path.
    pub fn io(op: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { op, path: path.into(), source: Arc::new(source) }
    }

    /// Whether the disk or a quota is full.
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
