//! Marks and stamps: what was created or touched after a collection began survives its sweep.
//!
//! A mark is a number that only grows (nanoseconds, pushed on where the clock does not). Stamps live in memory: a sweep
//! whose mark is older than this process, or than the horizon, is not carried out, because what was touched since is
//! not known any more; the next collection will.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantry_types::{Digest, Namespace};
use parking_lot::Mutex;

/// How long stamps are remembered, and so how long a collection may take.
const HORIZON: Duration = Duration::from_secs(3600);

/// What can be stamped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Resource {
    /// A namespace's blob.
    Blob(Namespace, Digest),
    /// A namespace's ingest, by ref.
    Ingest(Namespace, String),
}

/// The clock of marks, and when each resource was last used.
#[derive(Debug)]
pub(crate) struct Stamps {
    last: AtomicU64,
    born: u64,
    // Guards the map for the moment of an edit.
    stamps: Mutex<HashMap<Resource, u64>>,
}

impl Stamps {
    pub(crate) fn new() -> Self {
        let stamps = Stamps { last: AtomicU64::new(0), born: 0, stamps: Mutex::default() };
        Stamps { born: stamps.tick(), ..stamps }
    }

    fn tick(&self) -> u64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(0));
        let next = |last: u64| now.max(last + 1);
        let last = self.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
        next(last.unwrap_or_default())
    }

    /// Begins a collection.
    pub(crate) fn begin(&self) -> u64 {
        let mark = self.tick();
        let oldest = mark.saturating_sub(horizon());
        self.stamps.lock().retain(|_, stamp| *stamp >= oldest);
        mark
    }

    /// Stamps a resource as used now.
    pub(crate) fn touch(&self, resource: Resource) {
        let mut stamps = self.stamps.lock();
        stamps.insert(resource, self.tick());
    }

    /// Whether a sweep with this mark knows all that it must know.
    pub(crate) fn knows_since(&self, mark: u64) -> bool {
        let now = self.tick();
        // One from the future is of an earlier life too: the clock was set back since.
        mark > self.born && mark < now && mark >= now.saturating_sub(horizon())
    }

    /// Whether the resource was used after the mark.
    pub(crate) fn touched_since(&self, resource: &Resource, mark: u64) -> bool {
        self.stamps.lock().get(resource).is_some_and(|stamp| *stamp > mark)
    }
}

fn horizon() -> u64 {
    u64::try_from(HORIZON.as_nanos()).expect("an hour in nanoseconds fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_after_the_mark_is_seen() {
        let stamps = Stamps::new();
        let blob = |name: &[u8]| Resource::Blob(Namespace::moby(), Digest::sha256(name));
        stamps.touch(blob(b"old"));
        let mark = stamps.begin();
        stamps.touch(blob(b"new"));
        assert!(!stamps.touched_since(&blob(b"old"), mark));
        assert!(stamps.touched_since(&blob(b"new"), mark));
        assert!(!stamps.touched_since(&blob(b"never"), mark));
        assert!(stamps.knows_since(mark));
    }

    #[test]
    fn marks_of_another_life_are_not_trusted() {
        let earlier = Stamps::new().begin();
        let stamps = Stamps::new();
        assert!(!stamps.knows_since(earlier));
        assert!(!stamps.knows_since(0));
        assert!(!stamps.knows_since(stamps.begin() + horizon()));
    }
}
