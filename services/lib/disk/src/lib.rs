//! Bytes that survive a power cut.
//!
//! - [`Database`]: a service's records. RocksDB opened small, typed [`Table`]s with ordered keys ([`Key`]) and
//!   protobuf values, written in [`Batch`]es. A batch whose `commit` returned is on disk: one writer thread merges the
//!   batches that wait into one write with one sync (group commit).
//!   A copy of all records beside it is for the day on which it is damaged ([`Error::Lost`]).
//! - [`atomic`]: files that are either the old or the new, never half.
//! - [`file`]: what only the kernel knows of a file: holes, and who could still write to it.
//! - [`KeyedLocks`]: an async lock per key.
//!
//! Where the system has no RocksDB library, it is built from the crate's own sources (a quarter of an hour on two
//! cores): `ROCKSDB_COMPILE=1 ROCKSDB_INCLUDE_DIR=rocksdb/include cargo build --features gantry-disk/bundled-rocksdb`.

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

/// The result of everything that touches the disk.
pub type Result<T, E = Error> = std::result::Result<T, E>;
