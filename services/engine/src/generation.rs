//! Whether what container lists show has changed.
//!
//! A caller that caches a list stores the generation with it. The list is valid while that generation is the present
//! one. The caller reads the generation before it looks at the containers, and a change is made before it is counted:
//! a cached list may be newer than its generation says, but never older.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Counts changes of containers.
#[derive(Debug)]
pub struct Generation(AtomicU64);

impl Default for Generation {
    /// Begins at the present time in nanoseconds, so that an engine which starts later begins above every number of
    /// this one.
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(AtomicU64::new(u64::try_from(since.as_nanos()).unwrap_or(1)))
    }
}

impl Generation {
    /// The present generation.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Counts a change, which must be visible to readers already.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}
