//! A lock per key: work on different keys never waits for each other.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Locks that come into being when they are taken and vanish when nobody holds or awaits them. Cheap to clone.
/// Who waits longest is served first.
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
    // Dropped before the interest, so that the interest finds nobody else's clone of the lock.
    _held: OwnedMutexGuard<()>,
    interest: Interest<K>,
}

/// Somebody holds or awaits the key's lock.
#[derive(Debug)]
struct Interest<K: Eq + Hash + Clone> {
    locks: KeyedLocks<K>,
    key: K,
    lock: Arc<AsyncMutex<()>>,
}

impl<K: Eq + Hash + Clone> KeyedLocks<K> {
    /// No locks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for the key's lock. Dropping the future gives up the place in the queue.
    pub async fn lock(&self, key: K) -> KeyedGuard<K> {
        let interest = self.interest(key);
        let held = interest.lock.clone().lock_owned().await;
        KeyedGuard { _held: held, interest }
    }

    /// Takes the key's lock if nobody holds or awaits it.
    pub fn try_lock(&self, key: K) -> Option<KeyedGuard<K>> {
        let interest = self.interest(key);
        let held = interest.lock.clone().try_lock_owned().ok()?;
        Some(KeyedGuard { _held: held, interest })
    }

    fn interest(&self, key: K) -> Interest<K> {
        let lock = self.locks.lock().entry(key.clone()).or_default().clone();
        Interest { locks: self.clone(), key, lock }
    }
}

impl<K: Eq + Hash + Clone> KeyedGuard<K> {
    /// The key whose lock is held.
    pub fn key(&self) -> &K {
        &self.interest.key
    }
}

impl<K: Eq + Hash + Clone> Drop for Interest<K> {
    fn drop(&mut self) {
        let mut locks = self.locks.locks.lock();
        // The map's and ours: nobody else is interested, and nobody can become so while the map is locked.
        if Arc::strong_count(&self.lock) == 2 {
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
