//! Ingests: open, look, list, abort, expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gantry_api::content::{Expected, Status};
use gantry_failpoint::failpoint;
use gantry_rpc::carry;
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace};

use super::{Store, blocking};
use crate::ingest::{Fate, Ingest, IngestKey, Lock, Writer};
use crate::stamp::Resource;
use crate::{Error, Result, layout};

/// How long an ingest lives without a writer and without a lease.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What the caller that opens an ingest says of it.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// 0 when unknown.
    pub(crate) total: u64,
    pub(crate) expected: Option<Digest>,
    pub(crate) lease: Option<String>,
}

impl Ingest {
    /// The ingest as clients see it.
    pub(crate) fn status(&self) -> Status {
        let state = self.state();
        let total = Some(state.total).filter(|total| *total > 0);
        Status {
            reference: self.key.reference.parse().expect("an ingest has a ref"),
            offset: state.offset(),
            expected: Expected { total, digest: state.expected },
            started_at: self.started_at,
            updated_at: state.updated_at,
        }
    }
}

impl Store {
    /// Begins an ingest, or becomes the next writer of one.
    ///
    /// If the namespace has the expected blob: [`Error::AlreadyExists`], and no ingest stays. If another namespace has
    /// it, all bytes count as written.
    pub(crate) async fn open_ingest(&self, key: IngestKey, wish: Wish) -> Result<Writer> {
        if let Some(digest) = &wish.expected
            && self.touch(&key.namespace, digest).await?
        {
            self.lease_blob(&key.namespace, wish.lease.as_deref(), digest).await?;
            if let Some(ingest) = self.ingest(&key)
                && let Ok(_lock) = ingest.lock(&self.0.layout)
            {
                self.end(&ingest, Fate::Gone("the blob exists already")).await?;
            }
            return Err(Error::AlreadyExists(digest.clone()));
        }
        let (ingest, lock) = self.claim(&key)?;
        let store = self.clone();
        // Carried out even if the caller cancels. Otherwise the next caller would find the ingest new and make its
        // directory again.
        let begun = carry::to_its_end(async move { store.begin(&ingest, lock, wish).await });
        begun.await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// Prepares an ingest for its next writer.
    async fn begin(&self, ingest: &Arc<Ingest>, lock: Arc<Lock>, wish: Wish) -> Result<Writer> {
        if let Err(error) = self.prepare(ingest, &wish).await {
            if ingest.state().fate == Fate::New {
                self.forget(ingest, Fate::Gone("it could not be begun"));
                let _ = self.0.layout.remove_ingest(&ingest.id);
            }
            drop(lock);
            return Err(error);
        }
        self.announce_arrival();
        Ok(Writer::new(self.clone(), lock, wish.lease))
    }

    /// The ingest under the key, new or not, and its lock.
    fn claim(&self, key: &IngestKey) -> Result<(Arc<Ingest>, Arc<Lock>)> {
        let mut ingests = self.0.ingests.lock();
        let ingest = ingests.entry(key.clone()).or_insert_with(|| Arc::new(Ingest::begin(key.clone())));
        let lock = ingest.lock(&self.0.layout)?;
        Ok((ingest.clone(), lock))
    }

    async fn prepare(&self, ingest: &Arc<Ingest>, wish: &Wish) -> Result<()> {
        self.lease_ingest(&ingest.key, wish.lease.as_deref()).await?;
        // An abort takes no lock: it may have ended the ingest, and the record under the key may be the next
        // ingest's.
        let _deciding = ingest.decide().await;
        if matches!(ingest.state().fate, Fate::Committed { .. } | Fate::Gone(_)) {
            return Err(Error::IngestAborted { reference: ingest.key.reference.clone() });
        }
        let before = ingest.record();
        ingest.change(|state| {
            if wish.total > 0 {
                state.total = wish.total;
            }
            if wish.expected.is_some() {
                state.expected.clone_from(&wish.expected);
            }
            if let Some(lease) = &wish.lease {
                state.lease.clone_from(lease);
            }
            state.updated_at = SystemTime::now();
        });
        let state = ingest.state();
        let elsewhere = match &state.expected {
            Some(digest) => {
                self.0.records.held_size(digest)?.filter(|size| state.total == 0 || state.total == *size)
            }
            None => None,
        };
        let is_new = state.fate == Fate::New;
        if is_new {
            let (layout, id) = (self.0.layout.clone(), ingest.id.clone());
            blocking(move || layout.create_ingest(&id)).await?;
            failpoint!("content.ingest.made");
        }
        let record = ingest.record();
        if is_new || record != before {
            let records = &self.0.records;
            let mut batch = records.database.batch();
            batch.put(
                &records.ingests,
                &(ingest.key.namespace.clone(), ingest.key.reference.clone()),
                &record,
            );
            batch.commit().await?;
            failpoint!("content.ingest.recorded", infallible);
        }
        self.0.stamps.touch(Resource::Ingest(ingest.key.namespace.clone(), ingest.key.reference.clone()));
        ingest.change(|state| {
            state.bound = elsewhere;
            if is_new {
                state.fate = Fate::Live;
            }
        });
        Ok(())
    }

    /// The live ingest under the key.
    pub(crate) fn ingest(&self, key: &IngestKey) -> Option<Arc<Ingest>> {
        self.0.ingests.lock().get(key).filter(|ingest| ingest.is_live()).cloned()
    }

    pub(crate) fn status(&self, key: &IngestKey) -> Result<Status> {
        self.ingest(key).map(|ingest| ingest.status()).ok_or_else(|| key.not_found())
    }

    /// The namespace's ingests that pass the filters, by ref.
    pub(crate) fn statuses(&self, namespace: &Namespace, filters: &FilterSet) -> Vec<Status> {
        let mut statuses: Vec<_> = self.live_ingests(Some(namespace)).iter().map(|i| i.status()).collect();
        statuses.retain(|status| filters.matches(status));
        statuses.sort_by(|a, b| a.reference.cmp(&b.reference));
        statuses
    }

    /// All live ingests, of one namespace or of all.
    pub(super) fn live_ingests(&self, namespace: Option<&Namespace>) -> Vec<Arc<Ingest>> {
        let ingests = self.0.ingests.lock();
        let of_namespace = |i: &&Arc<Ingest>| i.is_live() && namespace.is_none_or(|n| i.key.namespace == *n);
        ingests.values().filter(of_namespace).cloned().collect()
    }

    /// Ends an ingest and removes its bytes. A writer that is at it learns of it at its next step.
    pub(crate) async fn abort(&self, key: &IngestKey) -> Result<()> {
        let ingest = self.ingest(key).ok_or_else(|| key.not_found())?;
        self.end(&ingest, Fate::Gone("aborted")).await
    }

    /// Whether an ingest has outlived its time.
    pub(super) fn is_expired(ingest: &Ingest) -> bool {
        ingest.state().updated_at.elapsed().is_ok_and(|age| age > LIFETIME)
    }

    /// Whether a collection that does not reach an ingest may end it: it was opened under a lease, or has outlived its time.
    pub(super) fn is_collectable(ingest: &Ingest) -> bool {
        !ingest.state().lease.is_empty() || Store::is_expired(ingest)
    }

    /// Ends the ingests that have outlived their time. Those under a lease are the collector's.
    pub(crate) async fn expire(&self) {
        for ingest in self.live_ingests(None) {
            if !Store::is_expired(&ingest) || !ingest.state().lease.is_empty() {
                continue;
            }
            let Ok(_lock) = ingest.lock(&self.0.layout) else { continue };
            match self.end(&ingest, Fate::Gone("expired")).await {
                Ok(()) => tracing::info!(reference = ingest.key.reference, "an ingest expired"),
                Err(error) => {
                    tracing::warn!(reference = ingest.key.reference, %error, "cannot end an expired ingest")
                }
            }
        }
    }

    /// Removes an ingest, unless it has ended: record, then bytes. On a full disk the bytes go first, to make room for
    /// the rest.
    pub(super) async fn end(&self, ingest: &Arc<Ingest>, fate: Fate) -> Result<()> {
        let _deciding = ingest.decide().await;
        if !ingest.is_live() {
            return Ok(());
        }
        match self.remove_ingest_record(ingest).await {
            Err(Error::Disk(error)) if error.is_disk_full() => {
                let path = self.0.layout.data(&ingest.id);
                blocking(move || layout::open_write(&path)?.set_len(0).map_err(Error::io("truncate", path)))
                    .await?;
                self.remove_ingest_record(ingest).await?;
            }
            outcome => outcome?,
        }
        self.forget(ingest, fate);
        self.remove_ingest_files(ingest).await;
        Ok(())
    }

    async fn remove_ingest_record(&self, ingest: &Ingest) -> Result<()> {
        let records = &self.0.records;
        let mut batch = records.database.batch();
        batch.delete(&records.ingests, &(ingest.key.namespace.clone(), ingest.key.reference.clone()));
        Ok(batch.commit().await?)
    }

    pub(super) async fn remove_ingest_files(&self, ingest: &Ingest) {
        let (layout, id) = (self.0.layout.clone(), ingest.id.clone());
        // The record is gone: what cannot be removed now is removed at the next start.
        if let Err(error) = blocking(move || layout.remove_ingest(&id)).await {
            tracing::warn!(reference = ingest.key.reference, %error, "cannot remove the bytes of an ingest");
        }
    }

    /// Takes an ingest out of the map and tells its followers its fate.
    pub(super) fn forget(&self, ingest: &Arc<Ingest>, fate: Fate) {
        let mut ingests = self.0.ingests.lock();
        if ingests.get(&ingest.key).is_some_and(|known| Arc::ptr_eq(known, ingest)) {
            ingests.remove(&ingest.key);
        }
        drop(ingests);
        ingest.change(|state| {
            if matches!(state.fate, Fate::New | Fate::Live) {
                state.fate = fate;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use gantry_api::Peers;

    use super::*;

    #[tokio::test]
    async fn an_end_that_comes_late_leaves_the_next_ingest_alone() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Store::alone(dir.path(), &Peers::new(dir.path())).unwrap();
        let key = IngestKey { namespace: Namespace::moby(), reference: "r".parse().unwrap() };

        drop(store.open_ingest(key.clone(), Wish::default()).await.unwrap());
        let first = store.ingest(&key).unwrap();
        store.end(&first, Fate::Gone("aborted")).await.unwrap();
        drop(store.open_ingest(key.clone(), Wish::default()).await.unwrap());
        // By a caller that had found the first one before it ended.
        store.end(&first, Fate::Gone("aborted")).await.unwrap();
        assert!(store.0.records.ingests.contains(&(key.namespace, key.reference)).unwrap());
    }

    #[tokio::test]
    async fn an_open_that_nobody_awaits_any_more_leaves_no_half_made_ingest() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Store::alone(dir.path(), &Peers::new(dir.path())).unwrap();
        for steps in 1..6 {
            let key = IngestKey { namespace: Namespace::moby(), reference: format!("r{steps}") };
            {
                let mut open = std::pin::pin!(store.open_ingest(key.clone(), Wish::default()));
                for _ in 0..steps {
                    if let Some(opened) = open.as_mut().now_or_never() {
                        drop(opened.unwrap());
                        break;
                    }
                    tokio::time::sleep(Duration::from_micros(50)).await;
                }
            }
            let writer = loop {
                match store.open_ingest(key.clone(), Wish::default()).await {
                    // By the call that was cancelled.
                    Err(Error::IngestLocked { .. }) => tokio::task::yield_now().await,
                    opened => break opened.unwrap(),
                }
            };
            assert!(store.0.layout.data(&writer.ingest().id).exists());
        }
        let names = std::fs::read_dir(store.0.layout.ingests()).unwrap();
        assert_eq!(names.count(), store.live_ingests(None).len(), "each directory is an ingest's");
    }

    #[tokio::test]
    async fn an_ingest_that_was_aborted_is_not_opened_again() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Store::alone(dir.path(), &Peers::new(dir.path())).unwrap();
        let key = IngestKey { namespace: Namespace::moby(), reference: "r".parse().unwrap() };
        drop(store.open_ingest(key.clone(), Wish::default()).await.unwrap());
        let (ingest, lock) = store.claim(&key).unwrap();
        store.abort(&key).await.unwrap();
        let refused = store.begin(&ingest, lock, Wish { total: 7, ..Wish::default() }).await.unwrap_err();
        assert!(matches!(refused, Error::IngestAborted { .. }), "{refused}");
        assert!(!store.0.records.ingests.contains(&(key.namespace, key.reference)).unwrap());
    }
}
