//! A service's database: its tables, its schema version, its writer.
//!
//! ```text
//! <dir>/          RocksDB's own files; one process at a time
//!   table `default`: key "schema" → the version, as a protobuf uint32
//!   one column family per table
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use prost::Message;
use rocksdb::{BoundColumnFamily, ColumnFamilyDescriptor};

use crate::settings::{self, TableSettings};
use crate::writer::{Change, Db, Writer};
use crate::{Batch, Error, Key, Result, Table, atomic};

const META: &str = "default";
const SCHEMA_KEY: &[u8] = b"schema";

/// One step from a schema version to the next: reads the tables as they are, adds to the batch what must change.
/// The batch and the new version are committed together.
pub type Migration = fn(&Database, &mut Batch) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// What a database holds, and how older ones are brought to it.
#[derive(Clone, Copy)]
pub struct Schema {
    /// The tables that this program uses. Tables that it no longer names stay readable for migrations.
    pub tables: &'static [&'static str],
    /// `migrations[n]` leads from version `n + 1` to `n + 2`; so the current version is their number plus one.
    pub migrations: &'static [Migration],
}

impl Schema {
    fn version(&self) -> u32 {
        u32::try_from(self.migrations.len() + 1).expect("nobody writes four billion migrations")
    }
}

/// An open database. Cheap to clone; the last clone (of it or its tables) closes it.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) db: Arc<Db>,
    path: Arc<PathBuf>,
    // Both are taken by `drop`.
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    /// Opens, or creates, a database of schema version 1.
    ///
    /// # Errors
    /// If another process has it open, or if it is damaged beyond the torn end of its log.
    pub fn open(dir: impl AsRef<Path>, tables: &'static [&'static str]) -> Result<Self> {
        Database::open_with(dir, Schema { tables, migrations: &[] })
    }

    /// Opens, or creates, a database, and migrates it to the current version. Blocks: a few milliseconds, more after
    /// a crash.
    pub fn open_with(dir: impl AsRef<Path>, schema: Schema) -> Result<Self> {
        let path = Arc::new(dir.as_ref().to_path_buf());
        let error = |op| {
            let path = path.to_path_buf();
            move |source| Error::Database { op, path, source }
        };
        atomic::create_dir_all(path.as_path())?;
        let options = settings::database();
        let mut names: Vec<String> = match path.join("CURRENT").exists() {
            true => Db::list_cf(&options, path.as_path()).map_err(error("list the tables"))?,
            false => Vec::new(),
        };
        for name in std::iter::once(&META).chain(schema.tables) {
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
        let table_settings = TableSettings::new().map_err(error("make the cache"))?;
        let columns =
            names.into_iter().map(|name| ColumnFamilyDescriptor::new(name, table_settings.options()));
        let db = Db::open_cf_descriptors(&options, path.as_path(), columns).map_err(error("open"))?;
        let db = Arc::new(db);
        let (writer, thread) = Writer::start(db.clone(), path.clone())?;
        let shared = Shared { db, path, writer: Some(writer), thread: Some(thread) };
        let database = Database { shared: Arc::new(shared) };
        database.migrate(schema)?;
        Ok(database)
    }

    /// A table, which must be one of the schema's.
    ///
    /// # Panics
    /// If the database was not opened with it: a mistake in the program.
    pub fn table<K: Key, V: Message + Default>(&self, name: &'static str) -> Table<K, V> {
        let _ = self.shared.column(name);
        Table::new(self.shared.clone(), name)
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch::new(self.shared.writer.clone().expect("the writer is only taken by drop"))
    }

    fn migrate(&self, schema: Schema) -> Result<()> {
        let meta = self.shared.column(META);
        let known = schema.version();
        let stored = self
            .shared
            .db
            .get_cf(&meta, SCHEMA_KEY)
            .map_err(|e| self.shared.error("read the schema of", e))?;
        let mut version = match stored {
            Some(bytes) => <u32 as Message>::decode(bytes.as_slice()).map_err(|e| Error::Corrupt {
                table: META,
                key: SCHEMA_KEY.escape_ascii().to_string(),
                reason: e.to_string(),
            })?,
            None => {
                let mut batch = self.batch();
                batch.push(schema_is(known));
                return on_a_thread_that_may_block(|| batch.commit_blocking());
            }
        };
        if version > known {
            return Err(Error::NewerSchema { path: self.shared.path.to_path_buf(), found: version, known });
        }
        while version < known {
            let step = schema.migrations[version as usize - 1];
            let mut batch = self.batch();
            step(self, &mut batch).map_err(|e| Error::Migration {
                path: self.shared.path.to_path_buf(),
                from: version,
                reason: e.to_string(),
            })?;
            version += 1;
            batch.push(schema_is(version));
            on_a_thread_that_may_block(|| batch.commit_blocking())?;
            tracing::info!(database = %self.shared.path.display(), version, "migrated the database");
        }
        Ok(())
    }
}

fn schema_is(version: u32) -> Change {
    Change { table: META, key: SCHEMA_KEY.to_vec(), value: Some(version.encode_to_vec()) }
}

/// A database is often opened from async code, where waiting for a channel is forbidden.
fn on_a_thread_that_may_block<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Shared {
    pub(crate) fn column(&self, name: &'static str) -> Arc<BoundColumnFamily<'_>> {
        self.db
            .cf_handle(name)
            .unwrap_or_else(|| panic!("table {name} is not in the schema of {}", self.path.display()))
    }

    pub(crate) fn error(&self, op: &'static str, source: rocksdb::Error) -> Error {
        Error::Database { op, path: self.path.to_path_buf(), source }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.writer.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(database = %self.path.display(), "the database's writer had panicked");
        }
        // What is flushed need not be replayed at the next start. It is safe in the log either way.
        for name in Db::list_cf(&settings::database(), self.path.as_path()).unwrap_or_default() {
            if let Some(column) = self.db.cf_handle(&name) {
                let _ = self.db.flush_cf(&column);
            }
        }
    }
}

#[cfg(test)]
mod tests;
