//! The store's part of garbage collection.
//!
//! A collection asks for a mark, looks at everything, and comes back with what nothing reaches. What was made or used
//! after the mark stays: records carry the stamp of their making, later uses are remembered here. Where uses since the
//! mark may not be remembered any more ([`Stamps::knows_since`]), nothing is swept.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_types::Namespace;
use parking_lot::Mutex;

use super::Store;
use crate::record::{Record, Scope};
use crate::{Error, Result};

/// How many uses are remembered at least before old ones are forgotten.
const REMEMBERED: usize = 8192;
/// A use older than this is of no collection that still runs.
const OLD: u64 = 3_600_000_000_000;

/// When snapshots were used, by a clock that never stands still or goes back.
pub(super) struct Stamps {
    last: AtomicU64,
    started: u64,
    // Guards the map for an edit; never held over an await.
    uses: Mutex<Uses>,
}

#[derive(Debug)]
struct Uses {
    stamps: HashMap<(String, String), u64>,
    /// How many there are when old ones are forgotten next: twice what was left the last time, so that looking
    /// through all of them costs each of them little.
    full: usize,
}

impl Stamps {
    pub(super) fn new() -> Self {
        let mut stamps = Self {
            last: AtomicU64::new(0),
            started: 0,
            uses: Mutex::new(Uses { stamps: HashMap::new(), full: REMEMBERED }),
        };
        stamps.started = stamps.now();
        stamps
    }

    /// A stamp later than all before. Survives restarts as long as the system's clock does not go back.
    pub(super) fn now(&self) -> u64 {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        let before = self.last.fetch_max(wall, Ordering::SeqCst);
        if wall > before { wall } else { self.last.fetch_add(1, Ordering::SeqCst) + 1 }
    }

    pub(super) fn touch(&self, scope: &Scope, key: &str) {
        let now = self.now();
        let mut uses = self.uses.lock();
        if uses.stamps.len() >= uses.full {
            uses.stamps.retain(|_, stamp| *stamp + OLD > now);
            uses.full = REMEMBERED.max(uses.stamps.len() * 2);
        }
        uses.stamps.insert((scope.key(), key.to_owned()), now);
    }

    pub(super) fn forget(&self, scope: &Scope, key: &str) {
        self.uses.lock().stamps.remove(&(scope.key(), key.to_owned()));
    }

    /// Whether every use since the mark is remembered. It is not for a mark of an earlier process; nor for one so old
    /// that later uses are forgotten; nor for one that is still to come, which an earlier process made before the
    /// system's clock was set back.
    fn knows_since(&self, mark: u64) -> bool {
        let now = self.now();
        mark >= self.started && mark < now && mark.saturating_add(OLD) > now
    }

    fn used_since(&self, scope: &Scope, key: &str, mark: u64) -> bool {
        let uses = self.uses.lock();
        uses.stamps.get(&(scope.key(), key.to_owned())).is_some_and(|stamp| *stamp > mark)
    }
}

impl Store {
    /// The namespaces that have snapshots of ours.
    pub fn namespaces(&self) -> Result<BTreeSet<Namespace>> {
        let ours = self.all()?.into_iter().filter(|(scope, _, _)| self.is_ours(&scope.snapshotter));
        Ok(ours.map(|(scope, _, _)| scope.namespace).collect())
    }

    /// A mark of now.
    pub fn mark(&self) -> u64 {
        self.inner.stamps.now()
    }

    /// Says that a snapshot is in use; `false` if there is none.
    pub fn touch(&self, scope: &Scope, key: &str) -> Result<bool> {
        // First the stamp, then the look: a sweep that comes to this snapshot later sees the stamp. One that has found it
        // unused already may still remove it: the control service lets its callers wait until a sweep is over.
        self.inner.stamps.touch(scope, key);
        Ok(self.get(scope, key)?.is_some())
    }

    /// Removes those of these snapshots that were neither made nor used since the mark and have nothing on top.
    /// Tells which, and the bytes that are known to become free.
    pub async fn sweep(
        &self,
        namespace: &Namespace,
        mark: u64,
        unreached: Vec<(Scope, String)>,
    ) -> Result<(Vec<(Scope, String)>, u64)> {
        if !self.inner.stamps.knows_since(mark) {
            return Ok((Vec::new(), 0));
        }
        let mut doomed: Vec<(usize, Scope, String)> = Vec::new();
        for (scope, key) in unreached {
            if scope.namespace == *namespace
                && self.is_ours(&scope.snapshotter)
                && let Some(record) = self.get(&scope, &key)?
            {
                doomed.push((record.layers.len(), scope, key));
            }
        }
        // Children have more layers than their parents: they go first.
        doomed.sort_by_key(|(depth, _, _)| std::cmp::Reverse(*depth));
        let (mut removed, mut freed) = (Vec::new(), 0);
        for (_, scope, key) in doomed {
            let unused =
                |record: &Record| record.stamp <= mark && !self.inner.stamps.used_since(&scope, &key, mark);
            match self.remove_if(&scope, &key, unused).await {
                Ok(Some(record)) => {
                    freed += record.usage.map_or(0, |usage| usage.size);
                    removed.push((scope, key));
                }
                Ok(None) | Err(Error::NotFound(_) | Error::HasChildren(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((removed, freed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_uses_are_not_looked_through_each_time_and_old_ones_are_forgotten() {
        let stamps = Stamps::new();
        let scope = Scope { namespace: "test".parse().unwrap(), snapshotter: "s".into() };
        let mut looks = 0;
        for number in 0..5 * REMEMBERED {
            let full = stamps.uses.lock().full;
            stamps.touch(&scope, &number.to_string());
            looks += usize::from(stamps.uses.lock().full != full);
        }
        assert_eq!(looks, 3, "after once, twice and four times as many");
        assert!(stamps.used_since(&scope, "0", stamps.started));
        let now = stamps.now();
        for stamp in stamps.uses.lock().stamps.values_mut() {
            *stamp = now - OLD;
        }
        stamps.uses.lock().full = 0;
        stamps.touch(&scope, "new");
        let uses = stamps.uses.lock();
        assert_eq!((uses.stamps.len(), uses.full), (1, REMEMBERED));
    }

    #[test]
    fn marks_since_when_uses_may_be_forgotten_are_not_trusted() {
        let stamps = Stamps::new();
        let mark = stamps.now();
        assert!(stamps.knows_since(mark));
        assert!(!stamps.knows_since(stamps.started - 1), "of an earlier process");
        assert!(!stamps.knows_since(stamps.now() + OLD), "still to come");
        stamps.last.store(mark + OLD, Ordering::SeqCst);
        assert!(!stamps.knows_since(mark), "an hour ago");
    }

    #[test]
    fn stamps_always_grow() {
        let stamps = Stamps::new();
        let mut last = stamps.started;
        for _ in 0..10_000 {
            let next = stamps.now();
            assert!(next > last);
            last = next;
        }
    }
}
