//! Whether anything that lists show of containers has changed.
//!
//! Whoever keeps a list keeps its generation with it, and the list is as good as a new one while that is the present one.
//! So a list's generation is read before the containers are looked at, and a change is made before it is counted: what is
//! kept may be newer than its generation says, never older.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counts changes of containers.
#[derive(Debug)]
pub struct Generation(AtomicU64);

impl Default for Generation {
    /// Begins at a time's nanoseconds: an engine that is started later begins behind all that this one can count.
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(AtomicU64::new(u64::try_from(since.as_nanos()).unwrap_or(1)))
    }
}

impl Generation {
    /// The present one.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Counts a change that whoever looks from now on sees.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}
