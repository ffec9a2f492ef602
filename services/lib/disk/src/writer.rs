//! The thread that writes to a database. It merges all waiting batches into one write with one sync.
//!
//! While a sync is under way, new batches queue up, and all of them share the next one. So a single commit costs one
//! sync, and a hundred concurrent ones cost two. A batch without a waiting caller is written to the log in its turn,
//! and is on disk after the next sync.
//!
//! RocksDB does not recover from a full or failing disk by itself: after one failed write it refuses all others until
//! it is opened again. So the writer puts no new record when less than a reserve is left. It does delete records,
//! which frees space, and change existing ones, because a container that is to be stopped or removed is marked so
//! first. If a write fails all the same, the process ends as soon as there is space, and its supervisor starts it
//! again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rocksdb::{BoundColumnFamily, DBWithThreadMode, MultiThreaded, WriteBatch, WriteOptions};
use tokio::sync::{mpsc, oneshot};

use crate::copy::Copy;
use crate::{Error, Result};

pub(crate) type Db = DBWithThreadMode<MultiThreaded>;

/// How many batches may be queued; further callers wait.
const QUEUE: usize = 1024;
/// How many bytes one write merges at most.
const MERGE_BYTES: usize = 1 << 20;

/// How many bytes must be free for a put: the write buffers and logs that RocksDB may still have to write.
const RESERVE: u64 = 32 << 20;

/// One record to be put or, without a value, deleted.
pub(crate) struct Change {
    pub(crate) table: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Change {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }

    /// Whether it puts a new record.
    fn is_new_in(&self, db: &Db) -> bool {
        let known =
            || db.get_pinned_cf(&column(db, self.table), &self.key).is_ok_and(|record| record.is_some());
        self.value.is_some() && !known()
    }
}

struct Waiting {
    changes: Vec<Change>,
    /// Receives the result; `None` for a batch without a waiting caller.
    done: Option<oneshot::Sender<Result<()>>>,
}

impl Waiting {
    /// Fails the batch if it puts new records while the disk is full.
    fn unless_put_into(self, db: &Db, full: Option<&Error>) -> Option<Waiting> {
        match full {
            Some(error) if self.changes.iter().any(|change| change.is_new_in(db)) => {
                self.answer(Err(error.clone()));
                None
            }
            _ => Some(self),
        }
    }

    fn answer(self, outcome: Result<()>) {
        match (self.done, outcome) {
            // A caller that has cancelled does not learn the result.
            (Some(done), outcome) => drop(done.send(outcome)),
            (None, Ok(())) => {}
            (None, Err(error)) => tracing::warn!(%error, "a change that nobody waits for was not written"),
        }
    }
}

/// A pause of all writes.
struct Pause {
    /// Is told when the pause begins.
    begun: oneshot::Sender<()>,
    /// The pause ends when the sender is dropped.
    end: std::sync::mpsc::Receiver<()>,
    /// The latest end of the pause.
    until: Instant,
}

enum Work {
    Write(Waiting),
    Pause(Pause),
}

/// The sender to the writer thread.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Work>,
    path: Arc<PathBuf>,
}

impl Writer {
    /// Starts the thread. It ends when every clone of the writer is dropped and the queue is empty.
    pub(crate) fn start(
        db: Arc<Db>,
        path: Arc<PathBuf>,
        copy: Copy,
        tables: Vec<String>,
    ) -> Result<(Writer, JoinHandle<()>)> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let thread_path = path.clone();
        let thread = std::thread::Builder::new()
            .name("db-writer".into())
            .stack_size(512 << 10)
            .spawn(move || run(&Target { db: &db, path: &thread_path, tables }, copy, waiting))
            .map_err(|e| Error::io("start the writer thread of", path.as_path(), e))?;
        Ok((Writer { queue, path }, thread))
    }

    pub(crate) async fn write(self, changes: Vec<Change>) -> Result<()> {
        let (done, outcome) = oneshot::channel();
        self.queue
            .send(Work::Write(Waiting { changes, done: Some(done) }))
            .await
            .map_err(|_| self.closed())?;
        let path = self.path.clone();
        // Dropped first: a closing database waits until the queue has no sender.
        drop(self.queue);
        outcome.await.unwrap_or_else(|_| Err(Error::Closed { path: path.to_path_buf() }))
    }

    pub(crate) async fn write_soon(self, changes: Vec<Change>) -> Result<()> {
        self.queue.send(Work::Write(Waiting { changes, done: None })).await.map_err(|_| self.closed())
    }

    pub(crate) fn write_blocking(self, changes: Vec<Change>) -> Result<()> {
        let (done, outcome) = oneshot::channel();
        let work = Work::Write(Waiting { changes, done: Some(done) });
        self.queue.blocking_send(work).map_err(|_| self.closed())?;
        outcome.blocking_recv().unwrap_or_else(|_| Err(self.closed()))
    }

    /// Pauses all writes after the earlier commits, until the returned sender is dropped, or until the deadline.
    pub(crate) async fn pause(self, until: Instant) -> Result<std::sync::mpsc::Sender<()>> {
        let (begun, begins) = oneshot::channel();
        let (keep, end) = std::sync::mpsc::channel();
        self.queue.send(Work::Pause(Pause { begun, end, until })).await.map_err(|_| self.closed())?;
        begins.await.map_err(|_| self.closed())?;
        Ok(keep)
    }

    fn closed(&self) -> Error {
        Error::Closed { path: self.path.to_path_buf() }
    }
}

/// The target of the writes.
struct Target<'t> {
    db: &'t Db,
    path: &'t Path,
    tables: Vec<String>,
}

fn run(target: &Target<'_>, mut copy: Copy, mut queue: mpsc::Receiver<Work>) {
    while let Some(work) = queue.blocking_recv() {
        let pause = match work {
            Work::Pause(pause) => Some(pause),
            Work::Write(first) => write_merged(target, &mut copy, first, &mut queue),
        };
        if let Some(pause) = pause {
            let patience = pause.until.saturating_duration_since(Instant::now());
            if pause.begun.send(()).is_ok() {
                // The channel carries no message: it is closed, or the deadline has passed.
                let _ = pause.end.recv_timeout(patience);
            }
        }
    }
}

/// Writes a batch together with those queued behind it, up to a pause.
fn write_merged(
    target: &Target<'_>,
    copy: &mut Copy,
    first: Waiting,
    queue: &mut mpsc::Receiver<Work>,
) -> Option<Pause> {
    let Target { db, path, tables } = target;
    let mut pause = None;
    let mut bytes: usize = first.changes.iter().map(Change::bytes).sum();
    let full = check_space(path).err();
    let mut merged: Vec<Waiting> = first.unless_put_into(db, full.as_ref()).into_iter().collect();
    while bytes < MERGE_BYTES
        && let Ok(work) = queue.try_recv()
    {
        match work {
            Work::Write(next) => {
                bytes += next.changes.iter().map(Change::bytes).sum::<usize>();
                merged.extend(next.unless_put_into(db, full.as_ref()));
            }
            Work::Pause(next) => {
                pause = Some(next);
                break;
            }
        }
    }
    if merged.is_empty() {
        return pause;
    }
    let outcome = write(db, path, &merged);
    if let Err(Error::Database { source, .. }) = &outcome
        && is_final(source)
        && check_space(path).is_ok()
    {
        tracing::error!(
            database = %path.display(),
            error = %source,
            "the process ends: after a failed write the database must be opened anew"
        );
        std::process::exit(1);
    }
    if outcome.is_ok() {
        let synced = merged.iter().any(|waiting| waiting.done.is_some());
        copy.note(merged.iter().flat_map(|waiting| &waiting.changes), synced, db, tables);
    }
    for waiting in merged {
        waiting.answer(outcome.clone());
    }
    pause
}

/// Whether RocksDB refuses every write after this error.
fn is_final(error: &rocksdb::Error) -> bool {
    matches!(error.kind(), rocksdb::ErrorKind::IOError | rocksdb::ErrorKind::Corruption)
}

fn column<'d>(db: &'d Db, table: &'static str) -> Arc<BoundColumnFamily<'d>> {
    db.cf_handle(table).expect("a table is only made for a column family that is open")
}

fn check_space(path: &Path) -> Result<()> {
    // A file system that does not report its space counts as having some.
    let available = rustix::fs::statvfs(path).map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    match available < RESERVE {
        true => Err(Error::DiskFull { path: path.to_path_buf(), available, reserve: RESERVE }),
        false => Ok(()),
    }
}

fn write(db: &Db, path: &Path, merged: &[Waiting]) -> Result<()> {
    let mut batch = WriteBatch::default();
    for change in merged.iter().flat_map(|waiting| &waiting.changes) {
        let table = column(db, change.table);
        match &change.value {
            Some(value) => batch.put_cf(&table, &change.key, value),
            None => batch.delete_cf(&table, &change.key),
        }
    }
    let mut options = WriteOptions::default();
    options.set_sync(merged.iter().any(|waiting| waiting.done.is_some()));
    db.write_opt(batch, &options).map_err(|source| Error::Database {
        op: "write",
        path: path.to_path_buf(),
        source,
    })
}
