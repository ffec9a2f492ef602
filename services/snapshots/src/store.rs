//! The snapshots: records, and what may be done to them.
//!
//! ```text
//!            prepare                 commit
//!   (none) ───────────> active ────────────────> committed ──┐ prepare, view: others on top
//!      │     view                                    ^        │
//!      └──────────────> view                         └────────┘
//!   remove: from any state to (none), unless others are on top
//! ```
//!
//! The database is the truth for what exists; directories follow it. Made: directories, then the record. Removed: the
//! directories go to the trash, then the record goes ([`crate::recover`] cleans up what a crash leaves between the two). Work on one key is
//! serial (a keyed lock); that a parent stays while a child is made is seen to by [`pins`]: no lock is shared by
//! children of one parent.
//!
//! ```text
//! table snapshots: (namespace/snapshotter, key or name)  → Record
//! table children:  (namespace/snapshotter, parent, child) → Present
//! ```
//!
//! Of a remote snapshotter's the records are kept in the same way; see [`remote`] for what is kept beside.

mod change;
mod collect;
mod ids;
mod lost;
mod pins;
mod query;
mod remote;
mod usage;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_disk::{Batch, Database, KeyedLocks, Schema, Table};
use gantry_mount::Mount;
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::driver::{Driver, IdMap, Keeper, Snapshot};
use crate::record::{Discard, Kind, Present, Record, Scope};
use crate::remote::Remote;
use crate::trash::Trash;
use crate::{Error, Result};

pub use ids::PendingId;
pub use usage::Uncounted;

/// All snapshots of this machine. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    records: Table<(String, String), Record>,
    children: Table<(String, String, String), Present>,
    discards: Table<(String, String), Discard>,
    drivers: Vec<Arc<dyn Driver>>,
    remotes: Vec<Arc<Remote>>,
    making: remote::Making,
    // Told of each row of `discards`.
    discarding: Notify,
    trash: Trash,
    locks: KeyedLocks<(String, String)>,
    pins: pins::Pins,
    stamps: collect::Stamps,
    lost: lost::Lost,
    ids: ids::Ids,
    // By id: one walk through a tree at a time.
    counting: KeyedLocks<u64>,
    count: usage::Count,
}

impl Store {
    /// Opens the store below `state`. [`crate::recover::reconcile`] must follow before anything else; what is committed
    /// later waits for [`Store::count`].
    pub fn open(
        state: &Path,
        drivers: Vec<Arc<dyn Driver>>,
        remotes: Vec<Arc<Remote>>,
        trash: Trash,
    ) -> Result<(Self, Uncounted)> {
        let schema = Schema { tables: &["snapshots", "children", "discards"], migrations: &[] };
        let directories: Vec<PathBuf> = drivers.iter().map(|driver| driver.layout().snapshots()).collect();
        let database = Database::open_beside(state.join("db"), schema, &directories)?;
        let records = database.table("snapshots");
        let children = database.table("children");
        let discards = database.table("discards");
        let (count, uncounted) = Uncounted::new();
        let store = Self {
            inner: Arc::new(Inner {
                database,
                records,
                children,
                discards,
                drivers,
                remotes,
                making: remote::Making::default(),
                discarding: Notify::new(),
                trash,
                locks: KeyedLocks::new(),
                pins: pins::Pins::default(),
                stamps: collect::Stamps::new(),
                lost: lost::Lost::default(),
                ids: ids::Ids::new(),
                counting: KeyedLocks::new(),
                count,
            }),
        };
        Ok((store, uncounted))
    }

    /// The records as a whole.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// The driver of a snapshotter.
    pub fn driver(&self, snapshotter: &str) -> Result<&Arc<dyn Driver>> {
        self.inner
            .drivers
            .iter()
            .find(|driver| driver.name() == snapshotter)
            .ok_or_else(|| Error::UnknownSnapshotter(snapshotter.to_owned()))
    }

    /// What is behind a snapshotter's name.
    ///
    /// # Errors
    ///
    /// `UnknownSnapshotter`.
    pub fn backend(&self, snapshotter: &str) -> Result<Backend> {
        match self.inner.remotes.iter().find(|remote| remote.name() == snapshotter) {
            Some(remote) => Ok(Backend::Remote(remote.clone())),
            None => self.driver(snapshotter).cloned().map(Backend::Driver),
        }
    }

    /// All snapshotters whose snapshots are kept and collected by this Gantry.
    pub fn ours(&self) -> impl Iterator<Item = Backend> {
        let drivers = self.inner.drivers.iter().cloned().map(Backend::Driver);
        let all = drivers.chain(self.inner.remotes.iter().cloned().map(Backend::Remote));
        all.filter(|backend| backend.keeper() == Keeper::Us)
    }

    /// Whether a snapshotter's snapshots are kept and collected by this Gantry.
    pub fn is_ours(&self, snapshotter: &str) -> bool {
        self.ours().any(|backend| backend.name() == snapshotter)
    }

    /// All drivers.
    pub fn drivers(&self) -> &[Arc<dyn Driver>] {
        &self.inner.drivers
    }

    /// The background deletions.
    pub fn trash(&self) -> &Trash {
        &self.inner.trash
    }

    /// Every record, for reconciling.
    pub fn all(&self) -> Result<Vec<(Scope, String, Record)>> {
        let mut found = Vec::new();
        for row in self.inner.records.iter_all() {
            let ((scope, name), record) = row?;
            if let Some(scope) = Scope::parse(&scope) {
                found.push((scope, name, record));
            }
        }
        Ok(found)
    }

    /// An id that no snapshot has had since the start.
    pub fn next_id(&self) -> PendingId {
        self.inner.ids.next()
    }

    /// Sees to it that ids up to this one are not given out.
    pub fn reserve_ids(&self, highest: u64) {
        self.inner.ids.reserve(highest);
    }

    /// The ids of snapshots that may have directories already and no record yet.
    pub fn pending_ids(&self) -> HashSet<u64> {
        self.inner.ids.pending()
    }

    fn get(&self, scope: &Scope, key: &str) -> Result<Option<Record>> {
        Ok(self.inner.records.get(&(scope.key(), key.to_owned()))?)
    }

    fn has_children(&self, scope: &Scope, name: &str) -> Result<bool> {
        match self.inner.children.iter(&(scope.key(), name.to_owned())).next() {
            None => Ok(false),
            Some(row) => Ok(row.map(|_| true)?),
        }
    }

    /// Adds a record, and its place among its parent's children, to a batch.
    fn put(&self, batch: &mut Batch, scope: &Scope, key: &str, record: &Record) {
        batch.put(&self.inner.records, &(scope.key(), key.to_owned()), record);
        if !record.parent.is_empty() {
            batch.put(
                &self.inner.children,
                &(scope.key(), record.parent.clone(), key.to_owned()),
                &Present {},
            );
        }
    }

    /// The reverse of [`Store::put`].
    fn delete(&self, batch: &mut Batch, scope: &Scope, key: &str, record: &Record) {
        batch.delete(&self.inner.records, &(scope.key(), key.to_owned()));
        if !record.parent.is_empty() {
            batch.delete(&self.inner.children, &(scope.key(), record.parent.clone(), key.to_owned()));
        }
    }

    fn mounts_of(&self, driver: &dyn Driver, record: &Record) -> Result<Vec<Mount>> {
        let mut mounts = driver.mounts(record.snapshot());
        if let Some(map) = IdMap::of(&record.labels)?
            && driver.capabilities().remap_ids
        {
            for mount in &mut mounts {
                mount.options.splice(..0, map.options());
            }
        }
        Ok(mounts)
    }
}

/// Makes what a snapshot needs on disk, for the ids that its labels map. Can be repeated.
pub(crate) fn make(driver: &dyn Driver, snapshot: Snapshot<'_>, map: Option<&IdMap>) -> Result<()> {
    driver.make(snapshot)?;
    match map {
        Some(map) if driver.capabilities().remap_ids && snapshot.has_directory() => {
            driver.remap_root(snapshot, map)
        }
        _ => Ok(()),
    }
}

/// Runs blocking work on the pool for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    gantry_rpc::carry::blocking(work).await.unwrap_or(Err(Error::Cancelled))
}

/// Whether a record is of this kind.
fn is(record: &Record, kind: Kind) -> bool {
    record.kind() == kind
}
