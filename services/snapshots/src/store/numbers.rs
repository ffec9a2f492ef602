//! The numbers of snapshots' directories.
//!
//! A directory is made before the record that knows it. In between only its number tells it from a stray, however long
//! that takes: a number counts as being made until its [`Number`] is dropped.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Gives numbers out. Each once between two starts.
#[derive(Debug)]
pub(super) struct Numbers {
    next: AtomicU64,
    making: Making,
}

/// The numbers that are being made. Cheap to clone.
#[derive(Debug, Clone, Default)]
struct Making(
    // Held for an edit only.
    Arc<Mutex<HashSet<u64>>>,
);

/// The number of a snapshot that is being made. To be kept until it has a record, or its directory is discarded.
#[derive(Debug)]
pub struct Number {
    id: u64,
    making: Making,
}

impl Numbers {
    pub(super) fn new() -> Self {
        Self { next: AtomicU64::new(1), making: Making::default() }
    }

    pub(super) fn next(&self) -> Number {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.making.lock().insert(id);
        Number { id, making: self.making.clone() }
    }

    pub(super) fn reserve(&self, highest: u64) {
        self.next.fetch_max(highest + 1, Ordering::Relaxed);
    }

    pub(super) fn being_made(&self) -> HashSet<u64> {
        self.making.lock().clone()
    }
}

impl Making {
    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Number {
    /// The number itself.
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.making.lock().remove(&self.id);
    }
}
