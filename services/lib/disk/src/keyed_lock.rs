//! A lock for each key: work on one key never waits for work on another.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks by key. A lock exists while a caller holds it or waits for it; the caller that has waited longest gets it
/// first. Cheap to clone.
#[derive(Debug)]
pub struct KeyedLocks<K: Eq + Hash + Clone> {
    // Guards the map only, for the moment of an edit; never held over an await.
    locks: Arc<Mutex<HashMap<K, Arc<AsyncMutex<()>>>>>,
}

impl<K: Eq + Hash + Clone> Clone for KeyedLocks<K> {
    fn clone(&self) -> Self {
        KeyedLocks { locks: self.locks.clone() }
    }
}

impl<K: Eq + Hash + Clone> Default for KeyedLocks<K> {
    fn default() -> Self {
        KeyedLocks { locks: Arc::default() }
    }
}

/// Holds a key's lock until it is dropped.
#[derive(Debug)]
#[must_use = "the lock is free as soon as its guard is dropped"]
pub struct KeyedGuard<K: Eq + Hash + Clone> {
    // Dropped before the interest, so that the interest counts only the clones of other callers.
    _held: OwnedMutexGuard<()>,
    interest: Interest<K>,
}

/// A caller that holds the key's lock or waits for it.
#[derive(Debug)]
struct Interest<K: Eq + Hash + Clone> {
    locks: KeyedLocks<K>,
    key: K,
    // `None` only during the drop.
    lock: Option<Arc<AsyncMutex<()>>>,
}

impl<K: Eq + Hash + Clone> KeyedLocks<K> {
    /// No locks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for the key's lock. Dropping the future leaves the queue.
    pub async fn lock(&self, key: K) -> KeyedGuard<K> {
        let (interest, lock) = self.interest(key);
        let held = lock.lock_owned().await;
        KeyedGuard { _held: held, interest }
    }

    /// Takes the key's lock if no caller holds it or waits for it.
    pub fn try_lock(&self, key: K) -> Option<KeyedGuard<K>> {
        let (interest, lock) = self.interest(key);
        let held = lock.try_lock_owned().ok()?;
        Some(KeyedGuard { _held: held, interest })
    }

    fn interest(&self, key: K) -> (Interest<K>, Arc<AsyncMutex<()>>) {
        let lock = self.locks.lock().entry(key.clone()).or_default().clone();
        (Interest { locks: self.clone(), key, lock: Some(lock.clone()) }, lock)
    }
}

impl<K: Eq + Hash + Clone> KeyedGuard<K> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.interest.key
    }
}

impl<K: Eq + Hash + Clone> Drop for Interest<K> {
    fn drop(&mut self) {
        let mut locks = self.locks.locks.lock();
        // Dropped while the map is locked. Otherwise two interests that are dropped at once could each count the
        // other's clone, and both would leave the key in the map.
        drop(self.lock.take());
        // Only the map's clone is left: no caller is interested, and none can become so while the map is locked.
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn one_at_a_time_per_key_and_no_trace_afterwards() {
        let locks = KeyedLocks::new();
        let inside = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let (locks, inside) = (locks.clone(), inside.clone());
                tokio::spawn(async move {
                    let guard = locks.lock("key").await;
                    assert_eq!(guard.key(), &"key");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    if n % 2 == 0 {
                        tokio::task::yield_now().await;
                    }
                    inside.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(locks.locks.lock().is_empty());
    }

    #[test]
    fn those_who_let_go_at_once_leave_no_trace_either() {
        let locks = KeyedLocks::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for key in 0..100_000 {
                        drop(locks.try_lock(key % 3));
                    }
                });
            }
        });
        assert!(locks.locks.lock().is_empty());
    }

    #[tokio::test]
    async fn keys_are_independent_and_giving_up_leaves_no_trace() {
        let locks = KeyedLocks::new();
        let a = locks.lock(1).await;
        let b = locks.lock(2).await;
        assert!(locks.try_lock(1).is_none());
        tokio::select! {
            biased;
            _ = locks.lock(1) => panic!("locked twice"),
            () = tokio::task::yield_now() => {}
        }
        drop(a);
        drop(locks.try_lock(1).expect("free again"));
        drop(b);
        assert!(locks.locks.lock().is_empty());
    }
}
