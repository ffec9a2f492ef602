//! Unpacking a stack of layers while they arrive.
//!
//! Each layer is a task of its own and goes through these steps; only the marked ones wait for the layer below:
//!
//! ```text
//! lock its chain id ─ there already? ──────────────────────────────> exists
//!   extract, following the blob             (native: below placed)
//!   prove the diff-id, content proves the blob
//!   inherit the attributes of implied directories    below placed
//!   place it under an id ──── now those above may inherit
//!   sync the file system, shared with all that wait for it
//!   record it under its chain id                     below committed
//! ```
//!
//! Onto a remote snapshotter's each layer is extracted after the one below it is committed: there are only mounts to write to.
//!
//! A layer that has a record and has lost its files is extracted again, and placed under the id in its record.
//!
//! Two calls for the same chain id share the work: the second waits for the lock and finds the snapshot. Locks are
//! taken by layer, and a layer only waits for those below it, so no two calls can wait for each other. Extracting takes
//! one of the service's [`Slots`], and nothing that is waited for with one in hand is another layer. Progress is left
//! where the caller finds it ([`Tracker`]): a caller that does not read it blocks nothing. Dropping the call ends its
//! tasks; what they staged goes to the trash.

mod extraction;
mod follow;
mod progress;
mod remote;
mod sync;
mod unpacking;

use std::sync::Arc;
use std::time::Duration;

use gantry_api::Peers;
use gantry_api::snapshots::{Layer, Owner, Progress, SnapshotName, Step};
use gantry_disk::KeyedLocks;
use gantry_failpoint::failpoint;
use gantry_rpc::carry;
use gantry_types::{ChainId, DiffId, Labels};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::driver::{Driver, Layers, Snapshot};
use crate::layer::inherit::{Inherited, inherit};
use crate::layer::slots::Slots;
use crate::record::Scope;
use crate::server::{Events, Leases};
use crate::store::{PendingId, Store, blocking};
use crate::{Error, Result};
use gantry_rooted::Root;
use progress::Tracker;

/// Unpacks layers. Cheap to clone.
#[derive(Clone)]
pub struct Unpacker {
    store: Store,
    peers: Peers,
    leases: Leases,
    events: Events,
    chains: KeyedLocks<(String, String)>,
    sync: sync::Syncer,
    slots: Slots,
}

/// What a layer knows of the one below it.
#[derive(Debug, Clone)]
enum Below {
    Working,
    /// Its directories are final: the ids of it and those below it.
    Placed(Vec<u64>),
    /// It has a record.
    Committed(Vec<u64>),
}

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

impl Unpacker {
    /// Unpacks into the store.
    pub fn new(store: Store, peers: Peers, leases: Leases, events: Events, slots: Slots) -> Self {
        let (chains, sync) = (KeyedLocks::new(), sync::Syncer::default());
        Self { store, peers, leases, events, chains, sync, slots }
    }

    /// Unpacks a stack, base first, and commits each layer under its chain id.
    ///
    /// # Errors
    ///
    /// The first layer's that failed; those below it may be committed.
    async fn all(&self, owner: Owner, scope: Scope, layers: Vec<Layer>, tracker: Arc<Tracker>) -> Result<()> {
        self.store.backend(&scope.snapshotter)?;
        let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let chains = ChainId::all(&diff_ids);
        let mut tasks = JoinSet::new();
        let mut below = watch::channel(Below::Committed(Vec::new())).1;
        let mut parent: Option<ChainId> = None;
        for (index, (layer, chain)) in layers.into_iter().zip(chains).enumerate() {
            let (above, next) = watch::channel(Below::Working);
            let task = Task {
                unpacker: self.clone(),
                owner: owner.clone(),
                scope: scope.clone(),
                index,
                layer,
                parent: parent.replace(chain.clone()),
                chain,
                tracker: tracker.clone(),
                above,
            };
            tasks.spawn(carry::part(task.run(below)));
            below = next;
        }
        let mut failure: Option<Error> = None;
        while let Some(joined) = tasks.join_next().await {
            let error = match joined {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => Error::Cancelled,
            };
            match error {
                // The layer below tells why.
                Error::Below(_) if failure.is_some() || !tasks.is_empty() => {
                    failure.get_or_insert(error);
                }
                error => return Err(error),
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

struct Task {
    unpacker: Unpacker,
    owner: Owner,
    scope: Scope,
    index: usize,
    layer: Layer,
    chain: ChainId,
    parent: Option<ChainId>,
    tracker: Arc<Tracker>,
    above: watch::Sender<Below>,
}

impl Task {
    async fn run(self, below: watch::Receiver<Below>) -> Result<()> {
        let blob = self.layer.blob.clone();
        self.steps(below).await.map_err(|error| match error {
            error @ (Error::Below(_) | Error::WrongDiffId { .. } | Error::WrongBlob { .. }) => error,
            error => Error::Layer { layer: blob, source: Box::new(error) },
        })
    }

    async fn steps(&self, mut below: watch::Receiver<Below>) -> Result<()> {
        let store = &self.unpacker.store;
        let name = self.chain.to_string();
        self.tell(Step::Waiting, 0);
        let _chain = self.unpacker.chains.lock((self.scope.key(), name.clone())).await;
        self.unpacker.leases.add(&self.owner, &self.scope, &name).await?;
        let there = store.unpacked(&self.scope, &name)?;
        if let Some(record) = there.as_ref().filter(|record| !store.is_lost(record)) {
            if store.is_lost_below(record) {
                self.committed(&mut below).await?;
            }
            self.above.send_replace(Below::Committed(record.stack()));
            self.tell(Step::Exists, self.layer.size);
            return Ok(());
        }

        let driver = match store.backend(&self.scope.snapshotter)? {
            Backend::Driver(driver) => driver,
            Backend::Remote(_) => return self.onto_remote(&mut below).await,
        };
        let extraction = extraction::Extraction { task: self, driver: driver.clone() };
        let (mut staging, implied) = extraction.run(&mut below).await?;
        failpoint!("snapshots.unpack.extracted");
        let layers = self.placed(&mut below).await?;
        if !layers.is_empty() && !implied.is_empty() && driver.capabilities().layers == Layers::Stacked {
            let mounts = driver.mounts(Snapshot::view(&layers));
            let files = staging.fs();
            let inherited = blocking(move || {
                let lower = Root::from_fd(gantry_mount::open_detached(&mounts)?);
                inherit(&Root::open_path(&files)?, &lower, &implied)
            });
            if let Inherited::ThroughLink(path) = inherited.await? {
                tracing::debug!(layer = %self.layer.blob, path = %String::from_utf8_lossy(&path), "extracted again: a parent is a symlink below");
                staging = extraction.again(&layers).await?;
            }
        }

        if let Some(lost) = there {
            // What has its name has its record already: it must be durable before.
            self.unpacker.sync.sync(driver.layout().root()).await?;
            self.committed(&mut below).await?;
            store.fill(&self.scope, &name, lost.id, staging).await?;
            self.unpacker.sync.sync(driver.layout().root()).await?;
            self.above.send_replace(Below::Committed(lost.stack()));
            self.tell(Step::Extracted, self.layer.size);
            return Ok(());
        }

        let unrecorded = Unrecorded { driver: driver.clone(), id: store.next_id(), armed: true };
        let id = unrecorded.id.get();
        staging.place(id)?;
        failpoint!("snapshots.unpack.placed");
        self.above.send_replace(Below::Placed(std::iter::once(id).chain(layers).collect()));
        self.unpacker.sync.sync(driver.layout().root()).await?;
        self.committed(&mut below).await?;
        failpoint!("snapshots.unpack.synced");
        self.record(unrecorded).await?;
        failpoint!("snapshots.unpack.recorded", infallible);
        let record = store.stat(&self.scope, &name)?;
        self.above.send_replace(Below::Committed(record.stack()));
        self.tell(Step::Extracted, self.layer.size);
        Ok(())
    }

    /// Commits, on a task of its own: once begun it must be known how it ended.
    async fn record(&self, placed: Unrecorded) -> Result<()> {
        let (store, scope) = (self.unpacker.store.clone(), self.scope.clone());
        let name = self.chain.to_string();
        let parent = self.parent.as_ref().map(ToString::to_string).unwrap_or_default();
        let events = self.unpacker.events.clone();
        let work = async move {
            let mut placed = placed;
            let labels = Labels::from([("containerd.io/snapshot.ref", name.as_str())]);
            match store.commit_unpacked(&scope, &name, placed.id.get(), &parent, labels).await {
                Ok(true) => {
                    placed.armed = false;
                    events.committed(&scope, &name, &name);
                }
                Ok(false) => {}
                Err(error) => {
                    if matches!(
                        error,
                        Error::Disk(gantry_disk::Error::Database { .. } | gantry_disk::Error::Closed { .. })
                    ) {
                        // Only the next start will tell whether the record is in the log: it finds its files then, or
                        // removes them. Until then they must not be taken for a stray.
                        let _ = std::mem::ManuallyDrop::new(placed);
                    }
                    return Err(error);
                }
            }
            Ok(())
        };
        carry::to_its_end(work).await.unwrap_or(Err(Error::Cancelled))
    }

    /// Waits until the layer below has its final directories.
    async fn placed(&self, below: &mut watch::Receiver<Below>) -> Result<Vec<u64>> {
        let state = below.wait_for(|below| !matches!(below, Below::Working)).await;
        match state.as_deref() {
            Ok(Below::Placed(layers) | Below::Committed(layers)) => Ok(layers.clone()),
            Ok(Below::Working) | Err(_) => Err(Error::Below(self.layer.blob.clone())),
        }
    }

    /// Waits until the layer below has a record.
    async fn committed(&self, below: &mut watch::Receiver<Below>) -> Result<()> {
        let state = below.wait_for(|below| matches!(below, Below::Committed(_))).await;
        state.map(drop).map_err(|_| Error::Below(self.layer.blob.clone()))
    }

    fn tell(&self, step: Step, offset: u64) {
        let (layer, total) = (self.index, self.layer.size);
        // A chain id is a text with something in it.
        if let Ok(chain) = SnapshotName::try_from(self.chain.to_string()) {
            self.tracker.set(Progress { layer, step, offset, total, chain });
        }
    }
}

/// A directory under an id that no record has yet: it goes again unless it gets one.
struct Unrecorded {
    driver: Arc<dyn Driver>,
    id: PendingId,
    armed: bool,
}

impl Drop for Unrecorded {
    fn drop(&mut self) {
        if self.armed
            && let Err(error) = self.driver.layout().discard(self.id.get())
        {
            tracing::warn!(id = self.id.get(), error = %gantry_rpc::chain(&error), "a layer's directory stays until the next start");
        }
    }
}
