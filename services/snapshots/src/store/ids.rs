//! The ids of snapshots: the names of their directories.
//!
//! A directory is made before the record that knows it. In between only its id tells it from a stray, however long
//! that takes: an id counts as pending until its [`PendingId`] is dropped.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

/// Gives ids out. Each once between two starts.
#[derive(Debug)]
pub(super) struct Ids {
    next: AtomicU64,
    pending: Pending,
}

/// The ids that are pending. Cheap to clone.
#[derive(Debug, Clone, Default)]
struct Pending(
    // Held for an edit only.
    Arc<Mutex<HashSet<u64>>>,
);

/// The id of a snapshot that is being made. To be kept until it has a record, or its directory is discarded.
#[derive(Debug)]
pub struct PendingId {
    id: u64,
    pending: Pending,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self { next: AtomicU64::new(1), pending: Pending::default() }
    }

    pub(super) fn next(&self) -> PendingId {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.pending.lock().insert(id);
        PendingId { id, pending: self.pending.clone() }
    }

    pub(super) fn reserve(&self, highest: u64) {
        self.next.fetch_max(highest + 1, Ordering::Relaxed);
    }

    pub(super) fn pending(&self) -> HashSet<u64> {
        self.pending.lock().clone()
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock()
    }
}

impl PendingId {
    /// The id itself.
    pub fn get(&self) -> u64 {
        self.id
    }
}

impl Drop for PendingId {
    fn drop(&mut self) {
        self.pending.lock().remove(&self.id);
    }
}
