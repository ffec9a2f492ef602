//! Data that survives a power cut.
//!
//! - [`Database`]: a service's records, in a small RocksDB, as typed [`Table`]s with ordered keys ([`Key`]) and
//!   protobuf values, written in [`Batch`]es. A batch whose `commit` has returned is on disk. One writer thread
//!   merges the waiting batches into one write with one sync (group commit). A copy of all records beside the
//!   database is used when the database is damaged ([`Error::Lost`]).
//! - [`atomic`]: files that are replaced as a whole.
//! - [`file`]: facts about a file that only the kernel has: holes, and open writers.
//! - [`KeyedLocks`]: an async lock for each key.
//!
//! Where the system has no RocksDB library, cargo builds it from the crate's own sources (a quarter of an hour on two
//! cores): `ROCKSDB_COMPILE=1 ROCKSDB_INCLUDE_DIR=rocksdb/include cargo build --features
//! gantry-disk/bundled-rocksdb`.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "the work of a test ends with it"))]

pub mod atomic;
mod batch;
mod copy;
mod crc32c;
mod database;
mod error;
pub mod file;
mod key;
mod keyed_lock;
mod moment;
mod place;
mod salvage;
mod settings;
mod table;
mod wal;
mod writer;

pub use batch::Batch;
pub use database::{Database, Migration, Schema};
pub use error::Error;
pub use key::{Key, Part, Prefix};
pub use keyed_lock::{KeyedGuard, KeyedLocks};
pub use place::Place;
pub use table::Table;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
