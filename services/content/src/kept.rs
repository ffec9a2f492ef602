//! Blobs whose bytes another program's store keeps: a proxy plugin, over containerd's contract.
//!
//! It is a plain backend, as for containerd: it takes blobs, gives them back, and removes those that it is told to.
//! Records, labels, references, leases and ingests stay here. A blob's bytes are either in a file of this service, or at
//! one store ([`crate::record::KeptRecord`]); with a file here, a [`Cache`] of them.
//!
//! ```text
//!           note            bytes committed there, records here            last record deleted
//!  (none) ──────▶ loose ─────────────────────────────────────────▶ held ───────────────────────▶ loose ──▶ (none)
//!                   └─ the commit failed, or a crash ─▶ removed there, and the note after it ──────────────┘
//! ```
//!
//! - A note is durable before the store hears of a blob, and goes after the store has removed it. So what a crash leaves
//!   is known, and nothing is removed that has no note: the service never looks for blobs there.
//! - A blob that was there before belongs to somebody else. It is read and verified before it is trusted, and stays
//!   there when its record here goes.
//! - Bytes that come back are hashed, and shown to nobody before.
//! - At the store, a blob of ours has a label with the note's mark. It keeps a whole containerd from collecting the blob,
//!   and tells ours from another's.
//!
//! The lock of a transfer ([`Kept::moving`]) is held while the store is called; it is taken before a digest's lock, and
//! only transfers of the same blob wait for it.

mod cache;
mod fetch;
mod fetched;
mod own;
mod pace;
mod remote;
mod stream;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_disk::KeyedLocks;
use gantry_types::Digest;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) use cache::Cache;
pub(crate) use fetch::copy;
pub(crate) use fetched::{Fetched, Lingering};
pub(crate) use remote::{Put, Remote, is_away};

use crate::layout::Layout;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::{Error, Result};

/// How long the bytes of a commit that failed stay at the store, for the next attempt to go on.
const RESUMABLE: Duration = Duration::from_secs(600);

/// The stores of other programs, and what is here of their blobs.
pub(crate) struct Kept {
    /// The store of new blobs; `None`: this service's own.
    pub(crate) store: Option<Arc<Remote>>,
    stores: BTreeMap<String, Arc<Remote>>,
    pub(crate) cache: Cache,
    pub(crate) lingering: Lingering,
    /// Held while a blob goes to a store or is removed there.
    pub(crate) moving: KeyedLocks<Digest>,
    /// Held while a blob is fetched.
    pub(crate) fetching: KeyedLocks<Digest>,
    /// Told when a note may have become one of something to remove.
    pub(crate) releasing: Notify,
    // Since when the upload of a blob is interrupted. Guarded for the moment of an edit.
    interrupted: Mutex<HashMap<Digest, Instant>>,
}

impl Kept {
    /// The stores that settings name; none is connected to yet.
    pub(crate) fn new(settings: &Settings, layout: &Layout, metrics: &Metrics) -> Result<Self> {
        let mut stores = BTreeMap::new();
        for (name, plugin) in &settings.stores {
            stores.insert(name.clone(), Arc::new(Remote::new(name, plugin)?));
        }
        Ok(Self {
            store: settings.store.as_ref().and_then(|name| stores.get(name)).cloned(),
            stores,
            cache: Cache::new(settings.cache, layout.clone(), metrics.clone()),
            lingering: Lingering::default(),
            moving: KeyedLocks::new(),
            fetching: KeyedLocks::new(),
            releasing: Notify::new(),
            interrupted: Mutex::default(),
        })
    }

    /// A store by its name.
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Remote>> {
        self.stores.get(name)
    }

    /// The store that keeps a blob.
    pub(crate) fn keeper(&self, name: &str, digest: &Digest) -> Result<Arc<Remote>> {
        let missing = || Error::UnknownStore { store: name.to_owned(), digest: digest.clone() };
        self.named(name).cloned().ok_or_else(missing)
    }

    /// Remembers that an upload was interrupted: its bytes stay at the store for a while.
    pub(crate) fn interrupt(&self, digest: &Digest) {
        self.interrupted.lock().insert(digest.clone(), Instant::now());
        self.releasing.notify_one();
    }

    /// An upload goes on, or is over.
    pub(crate) fn resume(&self, digest: &Digest) {
        self.interrupted.lock().remove(digest);
    }

    /// Whether an interrupted upload may go on.
    pub(crate) fn is_resumable(&self, digest: &Digest) -> bool {
        let mut interrupted = self.interrupted.lock();
        interrupted.retain(|_, since| since.elapsed() < RESUMABLE);
        interrupted.contains_key(digest)
    }
}

/// Refuses settings that make this Gantry a store of its own blobs: each commit would wait for itself.
pub(crate) fn refuse_loops(settings: &Settings, run: &Path) -> Result<(), String> {
    for (name, plugin) in &settings.stores {
        if own::leads_back(run, &plugin.address) {
            let address = plugin.address.display();
            return Err(format!("proxy_plugins.{name}: {address} is a socket of this Gantry itself"));
        }
    }
    Ok(())
}
