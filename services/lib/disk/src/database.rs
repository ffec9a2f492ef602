//! A service's database: its tables, its schema version, its writer.
//!
//! ```text
//! <dir>/          RocksDB's own files; one process at a time
//!   table `default`: key "schema" → the version, as a protobuf uint32
//!                    key "made"   → when it was created, in seconds since 1970, as a protobuf uint64
//!                    key "lost"   → when it lost records, in seconds since 1970, as a protobuf uint64
//!   one column family per table
//! ```
//!
//! [`Place`] lists the files beside it. A database that has lost acknowledged changes is not opened: one that is
//! missing while its copy, or what its records refer to, exists; one that is damaged; and one whose copy has later
//! changes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use gantry_types::Remedy;
use prost::Message;
use rocksdb::{BoundColumnFamily, ColumnFamilyDescriptor, IteratorMode};
use rustix::fs::FlockOperation;

use crate::copy::{self, Copy};
use crate::moment::Moment;
use crate::settings::{self, TableSettings};
use crate::writer::{Change, Db, Writer};
use crate::{Batch, Error, Key, Place, Result, Table, atomic, salvage, wal};

pub(crate) const META: &str = "default";
const FROM_COPY: Remedy = Remedy(
    "`gantry fsck --repair` takes them from the copy beside them, which is whole; `gantry backup restore`, from a backup",
);
const FROM_REST: Remedy = Remedy(
    "`gantry backup restore` takes them from a backup; `gantry fsck --repair` goes on with what can be read of them, and keeps whatever has lost its record",
);
const SCHEMA_KEY: &[u8] = b"schema";
const MADE_KEY: &[u8] = b"made";
pub(crate) const LOST_KEY: &[u8] = b"lost";

/// A step from one schema version to the next: reads the tables, and adds the necessary changes to the batch. The
/// batch and the new version are committed together.
pub type Migration = fn(&Database, &mut Batch) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The tables of a database, and the migrations of older ones.
#[derive(Clone, Copy)]
pub struct Schema {
    /// The tables that this program uses. Other tables in the database stay readable for migrations.
    pub tables: &'static [&'static str],
    /// `migrations[n]` leads from version `n + 1` to `n + 2`, so the current version is their number plus one.
    pub migrations: &'static [Migration],
}

impl Schema {
    fn version(&self) -> u32 {
        u32::try_from(self.migrations.len() + 1).expect("nobody writes four billion migrations")
    }
}

/// An open database. Cheap to clone; dropping the last clone of it and of its tables closes it.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) db: Arc<Db>,
    path: Arc<PathBuf>,
    moment: Moment,
    // `drop` takes both.
    writer: Option<Writer>,
    thread: Option<JoinHandle<()>>,
    // The lock on the directory: released after everything else is closed.
    _lock: File,
}

impl Database {
    /// Opens or creates a database of schema version 1.
    ///
    /// # Errors
    /// If another process has it open, or if it is damaged beyond the torn end of its log.
    pub fn open(dir: impl AsRef<Path>, tables: &'static [&'static str]) -> Result<Self> {
        Database::open_with(dir, Schema { tables, migrations: &[] })
    }

    /// Opens or creates a database, and migrates it to the current version. Blocks: a few milliseconds, or more after
    /// a crash.
    ///
    /// # Errors
    /// As [`Database::open`]; and [`Error::Lost`].
    pub fn open_with(dir: impl AsRef<Path>, schema: Schema) -> Result<Self> {
        Database::open_beside(dir, schema, &[])
    }

    /// As [`Database::open_with`], for records that refer to the content of these directories: while one of them has
    /// content, a missing database is not new but lost.
    pub fn open_beside(dir: impl AsRef<Path>, schema: Schema, spoken_of: &[PathBuf]) -> Result<Self> {
        let place = Place::new(dir);
        if place.accept().exists() {
            salvage::resume(&place)?;
        }
        match Database::open_sound(&place, schema, spoken_of) {
            Err(Error::Lost { .. }) if place.accept().exists() => {
                salvage::salvage(&place)?;
                Database::open_sound(&place, schema, &[])
            }
            opened => opened,
        }
    }

    fn open_sound(place: &Place, schema: Schema, spoken_of: &[PathBuf]) -> Result<Self> {
        let path = Arc::new(place.dir().to_path_buf());
        let error = |op| {
            let path = path.to_path_buf();
            move |source| Error::Database { op, path, source }
        };
        let seen = copy::look(&place.copy())?;
        let lost = |how: String| {
            let copy = seen.as_ref().is_some_and(|seen| seen.whole && seen.sequence > 0);
            Error::Lost { path: path.to_path_buf(), how, remedy: if copy { FROM_COPY } else { FROM_REST } }
        };
        let damaged = |error: &rocksdb::Error| lost(format!("are damaged ({error})"));
        if !path.join("CURRENT").exists()
            && let Some(how) = absence(place, seen.is_some(), spoken_of)?
        {
            return Err(lost(how));
        }
        atomic::create_dir_all(path.as_path())?;
        let lock = lock(&path)?;
        if let Some(flaw) = wal::mend(&path, &place.torn())? {
            return Err(lost(format!("are damaged: {flaw}")));
        }
        let options = settings::database();
        let mut names: Vec<String> = match path.join("CURRENT").exists() {
            true => Db::list_cf(&options, path.as_path()).map_err(|e| damaged(&e))?,
            false => Vec::new(),
        };
        for name in std::iter::once(&META).chain(schema.tables) {
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
        let table_settings = TableSettings::new().map_err(error("make the cache"))?;
        let columns = names.iter().map(|name| ColumnFamilyDescriptor::new(name, table_settings.options()));
        let db = match Db::open_cf_descriptors(&options, path.as_path(), columns) {
            Err(e) if is_damage(&e) => return Err(damaged(&e)),
            db => Arc::new(db.map_err(error("open"))?),
        };
        read_through(&db, &names).map_err(|e| damaged(&e))?;
        let (at, was) = (db.latest_sequence_number(), seen.as_ref().map_or(0, |seen| seen.sequence));
        if at < was {
            return Err(lost(format!("lack the last {} changes that were acknowledged", was - at)));
        }
        let copy = Copy::open(place.copy(), seen, &db, &names)?;
        let (writer, thread) = Writer::start(db.clone(), path.clone(), copy, names)?;
        let moment = Moment::default();
        let shared = Shared { db, path, moment, writer: Some(writer), thread: Some(thread), _lock: lock };
        let database = Database { shared: Arc::new(shared) };
        database.migrate(schema)?;
        if place.restored().exists() {
            database.note_loss()?;
            salvage::remove_file(&place.restored())?;
        }
        salvage::remove_file(&place.accept())?;
        Ok(database)
    }

    /// When the database lost records for good, in seconds since 1970; `None`: never. A file without a record may
    /// then still be in use.
    pub fn lost_at(&self) -> Option<u64> {
        self.moment_of(LOST_KEY)
    }

    /// When the database was created, in seconds since 1970, if known.
    pub fn made_at(&self) -> Option<u64> {
        self.moment_of(MADE_KEY)
    }

    fn moment_of(&self, key: &[u8]) -> Option<u64> {
        let stored = self.shared.db.get_cf(&self.shared.column(META), key);
        stored.ok().flatten().and_then(|bytes| <u64 as Message>::decode(bytes.as_slice()).ok())
    }

    fn note_loss(&self) -> Result<()> {
        let mut batch = self.batch();
        batch.push(now_is(LOST_KEY));
        on_a_thread_that_may_block(|| batch.commit_blocking())
    }

    /// The database's directory.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    pub(crate) fn inner(&self) -> &Arc<Db> {
        &self.shared.db
    }

    pub(crate) fn moment(&self) -> &Moment {
        &self.shared.moment
    }

    pub(crate) fn writer(&self) -> Writer {
        self.shared.writer.clone().expect("the writer is only taken by drop")
    }

    /// A table of the schema.
    ///
    /// # Panics
    /// If the table is not in the schema: a mistake in the program.
    pub fn table<K: Key, V: Message + Default>(&self, name: &'static str) -> Table<K, V> {
        let _ = self.shared.column(name);
        Table::new(self.shared.clone(), name)
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch::new(self.writer())
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
                batch.push(now_is(MADE_KEY));
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

/// Why a missing database must have been lost; `None` if it is new.
fn absence(place: &Place, has_copy: bool, spoken_of: &[PathBuf]) -> Result<Option<String>> {
    if has_copy {
        return Ok(Some("are gone, but their copy is there".to_owned()));
    }
    // A database whose creation a crash interrupted has neither tables nor logs.
    let entries = std::fs::read_dir(place.dir()).into_iter().flatten().flatten();
    let tables =
        entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|end| end == "sst"));
    if tables || wal::any(place.dir())? {
        return Ok(Some("are damaged: the file CURRENT is missing".to_owned()));
    }
    for directory in spoken_of {
        if std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
            return Ok(Some(format!("are gone, but what they speak of is in {}", directory.display())));
        }
    }
    Ok(None)
}

/// Locks a directory for this process until the file is closed.
fn lock(dir: &Path) -> Result<File> {
    let file = File::open(dir).map_err(|e| Error::io("open", dir, e))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|errno| Error::io("lock", dir, errno.into()))?;
    Ok(file)
}

fn is_damage(error: &rocksdb::Error) -> bool {
    error.kind() == rocksdb::ErrorKind::Corruption
        || error.kind() == rocksdb::ErrorKind::IOError && error.as_ref().contains("No such file")
}

/// Reads every record, so that damage is found at the start.
fn read_through(db: &Db, tables: &[String]) -> Result<(), rocksdb::Error> {
    for table in tables {
        let Some(column) = db.cf_handle(table) else { continue };
        for row in db.iterator_cf(&column, IteratorMode::Start) {
            row?;
        }
    }
    Ok(())
}

fn now_is(key: &[u8]) -> Change {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    Change { table: META, key: key.to_vec(), value: Some(now.encode_to_vec()) }
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
        // Flushed changes need not be replayed at the next start. They are safe in the log too.
        for name in Db::list_cf(&settings::database(), self.path.as_path()).unwrap_or_default() {
            if let Some(column) = self.db.cf_handle(&name) {
                let _ = self.db.flush_cf(&column);
            }
        }
    }
}

#[cfg(test)]
mod tests;
