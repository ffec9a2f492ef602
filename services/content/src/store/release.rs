//! What other stores have of blobs without a record: taken back there, as soon as they can be reached.

use std::collections::HashSet;
use std::time::Duration;

use gantry_rpc::chain;

use super::Store;
use crate::Result;
use crate::kept::{Remote, is_away};
use crate::record::KeptRecord;

/// Time until the next attempt, when something is left.
const PAUSE: Duration = Duration::from_secs(60);

impl Store {
    /// Removes files that had no room in the cache, some time after their last use. Ends only by being dropped.
    pub(crate) async fn expire_lingering(self) {
        self.0.kept.lingering.expire_always().await;
    }

    /// Takes back what has no record, at the start and whenever there may be more. Ends only by being dropped.
    pub(crate) async fn release_always(self) {
        loop {
            let left = match self.release().await {
                Ok(left) => left,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "what has no record is not known");
                    true
                }
            };
            let told = self.0.kept.releasing.notified();
            match left {
                true => drop(tokio::time::timeout(PAUSE, told).await),
                false => told.await,
            }
        }
    }

    /// One look at all notes; whether some are to be looked at again.
    async fn release(&self) -> Result<bool> {
        let (mut left, mut away) = (false, HashSet::new());
        let mut loose = Vec::new();
        for row in self.0.records.kept.iter_all() {
            let (key, note) = row?;
            if !note.held {
                loose.push(key);
            }
        }
        for key in loose {
            let (digest, name) = &key;
            let Some(remote) = self.0.kept.named(name) else {
                tracing::debug!(store = name, %digest, "settings do not name the store that has a removed blob");
                continue;
            };
            if away.contains(name) || self.0.kept.is_resumable(digest) {
                left = true;
                continue;
            }
            // On its way there, or being taken back.
            let Some(_turn) = self.0.kept.moving.try_lock(digest.clone()) else {
                left = true;
                continue;
            };
            let Some(note) = self.0.records.kept.get(&key)?.filter(|note| self.is_releasable(note)) else {
                continue;
            };
            match self.release_one(remote, &key, &note).await {
                Ok(()) => {}
                Err(error) => {
                    if is_away(&error) {
                        away.insert(name.clone());
                    }
                    tracing::debug!(store = name, %digest, error = chain(&error), "not removed yet");
                    left = true;
                }
            }
        }
        Ok(left)
    }

    /// A note that is older than a loss of records may be about a blob whose record was lost.
    fn is_releasable(&self, note: &KeptRecord) -> bool {
        !note.held && self.database().lost_at().is_none_or(|lost| lost < note.noted_at)
    }

    async fn release_one(
        &self,
        remote: &Remote,
        key: &(gantry_types::Digest, String),
        note: &KeptRecord,
    ) -> Result<()> {
        remote.release(&key.0, &note.mark, note.found).await?;
        let mut batch = self.0.records.database.batch();
        batch.delete(&self.0.records.kept, key);
        Ok(batch.commit().await?)
    }
}
