//! The store: blobs and ingests over their files and records. Cheap to clone.
//!
//! Locks, from the outside in: an ingest's (held by its writer), that of a blob's transfer to or from another store
//! (see `kept`), a digest's (held while its records or its file change, never over a call to a peer), the decision on an ingest's fate (held while its end is written down), the map of
//! ingests (for the moment of an edit).

mod blobs;
mod check;
mod collect;
mod commit;
mod follow;
mod ingests;
mod lease;
mod lend;
mod promise;
mod references;
mod release;
mod send;
mod verify;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use gantry_api::events::Publisher;
use gantry_api::{Peers, gc, leases};
use gantry_disk::{Database, KeyedLocks};
use gantry_rpc::carry;
use gantry_types::Digest;
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use ingests::Wish;

use crate::ingest::{Ingest, IngestKey};
use crate::kept::Kept;
use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::record::Records;
use crate::settings::Settings;
use crate::stamp::Stamps;
use crate::{Result, recover};

/// The blobs and ingests of one state directory. It keeps the promise of `gantry_api::content`.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    layout: Layout,
    records: Records,
    digests: KeyedLocks<Digest>,
    // Every ingest that exists, by its key. Guarded for the moment of an edit.
    ingests: Mutex<HashMap<IngestKey, Arc<Ingest>>>,
    // Counts up when something appears that a follower may be waiting for.
    arrivals: watch::Sender<u64>,
    stamps: Stamps,
    kept: Kept,
    leases: leases::Client,
    collector: gc::Client,
    publisher: Publisher,
    metrics: Metrics,
}

impl Store {
    /// Opens the store in its directory, after repairing what a crash left. Blocks.
    pub(crate) fn open(
        layout: Layout,
        peers: &Peers,
        publisher: Publisher,
        metrics: Metrics,
        settings: &Settings,
    ) -> Result<Self> {
        let kept = Kept::new(settings, &layout, &metrics)?;
        let records = Records::open(&layout)?;
        let ingests = recover::recover(&layout, &records)?;
        let ingests = ingests.into_iter().map(|ingest| (ingest.key.clone(), Arc::new(ingest))).collect();
        let digests = KeyedLocks::new();
        kept.cache.fill(recover::cached(&layout, &records)?);
        kept.cache.trim(&digests)?;
        Ok(Store(Arc::new(Inner {
            layout,
            records,
            digests,
            ingests: Mutex::new(ingests),
            arrivals: watch::channel(0).0,
            stamps: Stamps::new(),
            kept,
            leases: leases::Client::new(peers),
            collector: gc::Client::new(peers),
            publisher,
            metrics,
        })))
    }

    /// Opens the store in a state directory, without a service around it: its events go nowhere, its metrics are not
    /// read, expired ingests are not ended, and nothing is removed at other stores. Blocks.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read or written, or another process has it.
    pub fn alone(state: &Path, peers: &Peers) -> Result<Self> {
        Store::alone_with(state, peers, &Settings::default())
    }

    /// [`Store::alone`], with settings.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn alone_with(state: &Path, peers: &Peers, settings: &Settings) -> Result<Self> {
        let (publisher, _) = Publisher::new(peers);
        Store::open(Layout::open(state)?, peers, publisher, Metrics::default(), settings)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// The records as a whole.
    pub(crate) fn database(&self) -> &Database {
        &self.0.records.database
    }

    fn announce_arrival(&self) {
        self.0.arrivals.send_modify(|count| *count += 1);
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("layout", &self.0.layout).finish_non_exhaustive()
    }
}

/// Runs work that waits for the disk or computes long.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    carry::blocking(work).await.unwrap_or(Err(crate::Error::ShuttingDown))
}
