//! What snapshots take on disk.
//!
//! A committed one never changes: it is counted once, in the background right after its commit, one at a time. If a
//! client asks before that, or if a kill came between, it is counted then.

use tokio::sync::mpsc;

use super::{Store, blocking, is};
use crate::backend::Backend;
use crate::record::{Kind, Record, Scope, StoredUsage};
use crate::{Error, Result};

/// Snapshots that may wait to be counted; further ones are counted when a client asks.
const QUEUE: usize = 4096;

/// The snapshots that were committed and are still to be counted.
pub struct Uncounted(mpsc::Receiver<(Scope, String)>);

/// The way into [`Uncounted`].
pub(super) type Count = mpsc::Sender<(Scope, String)>;

impl Uncounted {
    pub(super) fn new() -> (Count, Self) {
        let (count, waiting) = mpsc::channel(QUEUE);
        (count, Self(waiting))
    }
}

impl Store {
    /// Counts what is committed from now on. Ends only by being dropped, at any moment without harm.
    pub async fn count(self, mut uncounted: Uncounted) {
        while let Some((scope, name)) = uncounted.0.recv().await {
            match self.usage(&scope, &name).await {
                Ok(_) | Err(Error::NotFound(_)) => {}
                Err(error) => {
                    tracing::warn!(snapshot = name, error = %gantry_rpc::chain(&error), "not counted, again when its usage is asked for");
                }
            }
        }
    }

    /// Bytes and inodes of a snapshot alone, without those below it.
    ///
    /// # Errors
    ///
    /// `NotFound`.
    pub async fn usage(&self, scope: &Scope, key: &str) -> Result<StoredUsage> {
        let record = self.stat(scope, key)?;
        if !is(&record, Kind::Committed) {
            return self.walk(scope, key, &record).await;
        }
        if let Some(usage) = record.usage {
            return Ok(usage);
        }
        // A second caller waits here, and finds what the first one has counted.
        let _one_walk = self.inner.counting.lock(record.id).await;
        let record = self.stat(scope, key)?;
        if let Some(usage) = record.usage {
            return Ok(usage);
        }
        let usage = self.walk(scope, key, &record).await?;
        let _serial = self.lock(scope, key).await;
        // It may have been removed, or its labels changed, while it was counted.
        if let Some(mut current) = self.get(scope, key)?
            && current.id == record.id
        {
            current.usage = Some(usage);
            let mut batch = self.inner.database.batch();
            self.put(&mut batch, scope, key, &current);
            batch.commit().await?;
        }
        Ok(usage)
    }

    /// Has a snapshot counted some time soon that was just committed.
    pub(super) fn count_later(&self, scope: &Scope, name: &str) {
        // Too many wait, or the service ends: then it is counted when a client asks.
        let _ = self.inner.count.try_send((scope.clone(), name.to_owned()));
    }

    async fn walk(&self, scope: &Scope, key: &str, record: &Record) -> Result<StoredUsage> {
        let driver = match self.backend(&scope.snapshotter)? {
            Backend::Driver(driver) => driver,
            Backend::Remote(remote) => {
                let usage = remote.usage(&scope.namespace, &record.remote).await?;
                return Ok(StoredUsage { size: usage.size, inodes: usage.inodes });
            }
        };
        let (id, record) = (record.id, record.clone());
        match blocking(move || driver.usage(record.snapshot())).await {
            Ok(counted) => Ok(StoredUsage { size: counted.size, inodes: counted.inodes }),
            Err(Error::Host(error))
                if error.is_not_found() && self.get(scope, key)?.is_none_or(|current| current.id != id) =>
            {
                Err(Error::NotFound(key.to_owned()))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gantry_types::Labels;

    use super::*;
    use crate::driver::Snapshot;

    #[tokio::test]
    async fn what_is_committed_is_counted_and_what_is_removed_stays_away() {
        let base = tempfile::tempdir_in("/dev/shm").unwrap();
        let (store, uncounted) = crate::app::open(base.path(), &Default::default()).unwrap();
        let scope = Scope { namespace: "test".parse().unwrap(), snapshotter: "native".into() };
        for name in ["removed", "kept"] {
            store.prepare(&scope, Kind::Active, "key", "", Labels::new()).await.unwrap();
            store.commit(&scope, name, "key", Labels::new(), "").await.unwrap();
        }
        let id = store.next_id();
        let layer = Snapshot { id: id.get(), kind: Kind::Committed, layers: &[] };
        store.drivers()[1].make(layer).unwrap();
        assert!(store.commit_unpacked(&scope, "layer", id.get(), "kept", Labels::new()).await.unwrap());
        store.remove(&scope, "removed").await.unwrap();

        let counting = tokio::spawn(store.clone().count(uncounted));
        // The last of the queue: all before it are done.
        for _ in 0..500 {
            if store.stat(&scope, "layer").unwrap().usage.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for name in ["kept", "layer"] {
            assert_eq!(store.stat(&scope, name).unwrap().usage.map(|usage| usage.inodes), Some(1), "{name}");
        }
        assert!(matches!(store.stat(&scope, "removed"), Err(Error::NotFound(_))));
        counting.abort();
    }
}
