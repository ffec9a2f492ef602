//! Committed blobs: look, list, label, read, delete.

use std::fs::File;
use std::time::SystemTime;

use gantry_api::content::Info;
use gantry_failpoint::failpoint;
use gantry_proto::containerd::events::ContentDelete;
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace, Relabel};

use super::{Store, blocking};
use crate::record::BlobRecord;
use crate::stamp::Resource;
use crate::{Error, Result};

impl Store {
    /// A blob as the namespace sees it.
    pub(crate) fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<Info> {
        let record = self.0.records.blobs.get(&(namespace.clone(), digest.clone()))?;
        record.map(|record| record.info(digest.clone())).ok_or_else(|| Error::NotFound(digest.clone()))
    }

    /// The namespace's blobs that pass the filters, by digest.
    pub(crate) fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Info>> {
        let mut blobs = Vec::new();
        for record in self.0.records.blobs.iter(namespace) {
            let ((_, digest), record) = record?;
            let info = record.info(digest);
            if filters.matches(&info) {
                blobs.push(info);
            }
        }
        Ok(blobs)
    }

    /// Changes labels. Counts as a use of the blob.
    pub(crate) async fn update(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        labels: &Relabel,
    ) -> Result<Info> {
        let lock = self.0.digests.lock(digest.clone()).await;
        let mut info = self.info(namespace, digest)?;
        info.labels.relabel(labels)?;
        info.updated_at = SystemTime::now();
        let mut batch = self.0.records.database.batch();
        batch.put(&self.0.records.blobs, &(namespace.clone(), digest.clone()), &BlobRecord::of(&info));
        batch.commit().await?;
        self.0.stamps.touch(Resource::Blob(namespace.clone(), digest.clone()));
        drop(lock);
        self.protect_references(namespace, &info.labels).await;
        Ok(info)
    }

    /// Stamps a blob as used now; `false` if the namespace does not have it.
    pub(crate) async fn touch(&self, namespace: &Namespace, digest: &Digest) -> Result<bool> {
        let _lock = self.0.digests.lock(digest.clone()).await;
        let is_there = self.0.records.blobs.contains(&(namespace.clone(), digest.clone()))?;
        if is_there {
            self.0.stamps.touch(Resource::Blob(namespace.clone(), digest.clone()));
        }
        Ok(is_there)
    }

    /// Opens a blob's bytes for reading.
    pub(crate) async fn open_blob(&self, namespace: &Namespace, digest: &Digest) -> Result<(File, Info)> {
        let info = self.info(namespace, digest)?;
        match self.lend(digest).await {
            Ok(file) => Ok((file, info)),
            // Deleted between the look and the open.
            Err(error) if error.is_missing() && self.info(namespace, digest).is_err() => {
                Err(Error::NotFound(digest.clone()))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a blob out of the namespace; its bytes go with the last namespace that had it.
    pub(crate) async fn delete(&self, namespace: &Namespace, digest: &Digest) -> Result<()> {
        self.delete_unless(namespace, digest, || false)
            .await?
            .map(drop)
            .ok_or_else(|| Error::NotFound(digest.clone()))
    }

    /// [`Store::delete`], unless `keep` says so under the digest's lock. The freed bytes, if there was such a blob.
    pub(super) async fn delete_unless(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        keep: impl FnOnce() -> bool + Send,
    ) -> Result<Option<u64>> {
        let records = &self.0.records;
        let _lock = self.0.digests.lock(digest.clone()).await;
        let key = (namespace.clone(), digest.clone());
        let Some(record) = records.blobs.get(&key)? else { return Ok(None) };
        if keep() {
            return Ok(None);
        }
        let mut batch = records.database.batch();
        batch.delete(&records.blobs, &key).delete(&records.holders, &(digest.clone(), namespace.clone()));
        let holders = records.holders.iter(digest).take(2).collect::<std::result::Result<Vec<_>, _>>()?;
        let is_last = holders.len() == 1;
        let is_kept = is_last && records.release(&mut batch, digest)?;
        batch.commit().await?;
        failpoint!("content.delete.recorded", infallible);
        self.0.metrics.deleted.inc();
        self.0.publisher.publish(namespace, "/content/delete", &ContentDelete { digest: digest.to_string() });
        if records.is_held(digest)? {
            return Ok(Some(0));
        }
        self.remove_file(digest, is_kept).await;
        Ok(Some(record.size))
    }

    /// Removes the file of a blob without records, and tells the store that keeps it. Under the digest's lock.
    pub(super) async fn remove_file(&self, digest: &Digest, is_kept: bool) {
        let path = self.0.layout.blob(digest);
        // The record is gone: what cannot be removed now is removed at the next start.
        match blocking(move || std::fs::remove_file(&path).map_err(Error::io("remove", path))).await {
            // It was not in the cache.
            Err(error) if is_kept && error.is_missing() => {}
            Err(error) => tracing::warn!(%digest, %error, "cannot remove the bytes of a deleted blob"),
            Ok(()) => {}
        }
        if is_kept {
            self.0.kept.cache.forget(digest);
            self.0.kept.lingering.forget(digest);
            self.0.kept.releasing.notify_one();
        }
    }
}
