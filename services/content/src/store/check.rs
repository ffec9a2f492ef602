//! The consistency check while the service runs: what is in the making is no stray.

use gantry_api::fsck::{self, Check, Depth, Repair};
use gantry_types::Digest;

use super::{Store, blocking};
use crate::Result;
use crate::recover::{self, Stray};

impl Check for Store {
    async fn check(&self, repair: Repair, depth: Depth) -> Result<Vec<fsck::Stray>> {
        let mut strays = self.compare(repair).await?;
        if depth == Depth::Whole {
            strays.extend(self.verify(repair).await?);
        }
        Ok(strays.into_iter().map(stray).collect())
    }
}

impl Store {
    /// Compares records and files; each stray, and whether it was repaired.
    ///
    /// Records without bytes are only reported: they are dropped at the start, when no client is connected.
    async fn compare(&self, repair: Repair) -> Result<Vec<(Stray, bool)>> {
        let (layout, records) = (self.0.layout.clone(), self.0.records.clone());
        let suspects = blocking(move || recover::strays(&layout, &records)).await?;
        let mut found = Vec::new();
        for stray in suspects {
            let repaired = match &stray {
                Stray::BlobFile(digest) => match self.check_file(digest, repair).await? {
                    Some(repaired) => repaired,
                    None => continue,
                },
                Stray::CacheFile(digest) => match self.check_cached(digest, repair).await? {
                    Some(repaired) => repaired,
                    None => continue,
                },
                Stray::BlobBytes(_) => continue,
                Stray::BlobRecord(namespace, digest) => {
                    let _lock = self.0.digests.lock(digest.clone()).await;
                    if self.info(namespace, digest).is_err() {
                        continue;
                    }
                    false
                }
                Stray::IngestRecord(key) => {
                    if self.0.ingests.lock().contains_key(key) {
                        continue;
                    }
                    false
                }
                Stray::IngestDirectory(id) => {
                    if self.0.ingests.lock().values().any(|ingest| ingest.id == *id) {
                        continue;
                    }
                    if repair == Repair::Yes {
                        self.0.layout.remove_ingest(id)?;
                    }
                    repair == Repair::Yes
                }
            };
            found.push((stray, repaired));
        }
        Ok(found)
    }

    /// `None` if the blob is not kept elsewhere after all.
    async fn check_cached(&self, digest: &Digest, repair: Repair) -> Result<Option<bool>> {
        let _lock = self.0.digests.lock(digest.clone()).await;
        if self.0.records.keeper(digest)?.is_none() {
            return Ok(None);
        }
        if repair == Repair::Yes {
            self.0.layout.remove_blob(digest)?;
            self.0.kept.cache.forget(digest);
        }
        Ok(Some(repair == Repair::Yes))
    }

    /// `None` if the file is no stray after all.
    async fn check_file(&self, digest: &Digest, repair: Repair) -> Result<Option<bool>> {
        let _lock = self.0.digests.lock(digest.clone()).await;
        let path = self.0.layout.blob(digest);
        if self.0.records.is_held(digest)? || !path.is_file() {
            return Ok(None);
        }
        // Where records were lost, these bytes may be all that is left of an image: its next pull gives them a record.
        let removed = repair == Repair::Yes && self.database().lost_at().is_none();
        if removed {
            std::fs::remove_file(&path).map_err(crate::Error::io("remove", path))?;
        }
        Ok(Some(removed))
    }
}

fn stray((stray, repaired): (Stray, bool)) -> fsck::Stray {
    let (kind, name, detail) = match stray {
        Stray::BlobRecord(namespace, digest) => (
            "record",
            digest.to_string(),
            format!("a blob of namespace {namespace} whose bytes are missing or damaged"),
        ),
        Stray::BlobFile(digest) => {
            ("directory", digest.to_string(), "bytes of a blob that no namespace has".to_owned())
        }
        Stray::CacheFile(digest) => (
            "file",
            digest.to_string(),
            "a damaged copy of a blob that another store keeps: to be fetched again".to_owned(),
        ),
        Stray::BlobBytes(digest) => (
            "blob",
            digest.to_string(),
            "its bytes are not those that its digest names: to be set aside, and pulled again".to_owned(),
        ),
        Stray::IngestRecord(key) => (
            "record",
            key.reference,
            format!("an ingest of namespace {} whose bytes are missing", key.namespace),
        ),
        Stray::IngestDirectory(id) => {
            ("ingest", id.as_str().to_owned(), "bytes of an ingest without a record".to_owned())
        }
    };
    fsck::Stray { kind: kind.to_owned(), name, detail, repaired }
}
