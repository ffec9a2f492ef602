//! Whether blobs are still the bytes that their digests name.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use gantry_api::fsck::Repair;
use gantry_types::{Digest, Namespace};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Store, blocking};
use crate::kept::copy;
use crate::recover::Stray;
use crate::{Error, Result, layout};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// What a blob's file is called, after its digest, that was found to be damaged.
const DAMAGED: &str = "damaged";

impl Store {
    /// Reads every blob, several at a time. One that is damaged is set aside if that is wanted, and its records go: the next
    /// pull brings it again.
    pub(super) async fn verify(&self, repair: Repair) -> Result<Vec<(Stray, bool)>> {
        let mut holders: BTreeMap<Digest, Vec<Namespace>> = BTreeMap::new();
        for holder in self.0.records.holders.iter_all() {
            let ((digest, namespace), _) = holder?;
            holders.entry(digest).or_default().push(namespace);
        }
        let at_once = std::thread::available_parallelism().map_or(2, usize::from);
        let permits = Arc::new(Semaphore::new(at_once));
        let mut checks = JoinSet::new();
        for (digest, namespaces) in holders {
            let (store, permits) = (self.clone(), permits.clone());
            checks.spawn(async move {
                // It is never closed.
                let _permit = permits.acquire().await;
                store.verify_one(digest, &namespaces, repair).await
            });
        }
        let mut found = Vec::new();
        while let Some(check) = checks.join_next().await {
            match check {
                Ok(stray) => found.extend(stray?),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        Ok(found)
    }

    async fn verify_one(
        &self,
        digest: Digest,
        namespaces: &[Namespace],
        repair: Repair,
    ) -> Result<Option<(Stray, bool)>> {
        if let Some(((_, store), note)) = self.0.records.keeper(&digest)? {
            return self.verify_kept(digest, namespaces, (&store, note.size), repair).await;
        }
        let _lock = self.0.digests.lock(digest.clone()).await;
        // Removed meanwhile.
        if !self.0.records.is_held(&digest)? || self.matches(&digest).await? {
            return Ok(None);
        }
        if repair == Repair::Yes {
            self.set_aside(&digest, namespaces).await?;
        }
        Ok(Some((Stray::BlobBytes(digest), repair == Repair::Yes)))
    }

    /// The same of a blob that another store keeps: its bytes there, then its file here.
    async fn verify_kept(
        &self,
        digest: Digest,
        namespaces: &[Namespace],
        (store, size): (&str, u64),
        repair: Repair,
    ) -> Result<Option<(Stray, bool)>> {
        let is_repaired = repair == Repair::Yes;
        let remote = self.0.kept.keeper(store, &digest)?;
        let there = copy(&remote, &digest, size, None).await;
        let _lock = self.0.digests.lock(digest.clone()).await;
        if self.0.records.keeper(&digest)?.is_none() {
            return Ok(None);
        }
        match there {
            Ok(()) if self.matches(&digest).await? => Ok(None),
            Ok(()) => {
                if is_repaired {
                    self.0.layout.remove_blob(&digest)?;
                    self.0.kept.cache.forget(&digest);
                }
                Ok(Some((Stray::CacheFile(digest), is_repaired)))
            }
            Err(Error::Damaged { .. } | Error::Missing { .. }) => {
                if is_repaired {
                    self.set_aside(&digest, namespaces).await?;
                }
                Ok(Some((Stray::BlobBytes(digest), is_repaired)))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a blob's bytes have its digest. Those that are missing are told of as a record without bytes.
    async fn matches(&self, digest: &Digest) -> Result<bool> {
        let (path, wanted) = (self.0.layout.blob(digest), digest.clone());
        blocking(move || {
            let mut file = match layout::open_read(&path) {
                Err(error) if error.is_missing() => return Ok(true),
                file => file?,
            };
            let mut hasher = wanted.algorithm().hasher();
            let mut piece = vec![0; PIECE];
            loop {
                match file.read(&mut piece).map_err(Error::io("read", &path))? {
                    0 => return Ok(hasher.finish() == wanted),
                    length => hasher.update(&piece[..length]),
                }
            }
        })
        .await
    }

    async fn set_aside(&self, digest: &Digest, namespaces: &[Namespace]) -> Result<()> {
        let mut batch = self.0.records.database.batch();
        for namespace in namespaces {
            batch.delete(&self.0.records.blobs, &(namespace.clone(), digest.clone()));
            batch.delete(&self.0.records.holders, &(digest.clone(), namespace.clone()));
        }
        let is_kept = self.0.records.release(&mut batch, digest)?;
        batch.commit().await?;
        if is_kept {
            self.remove_file(digest, is_kept).await;
            return Ok(());
        }
        let path = self.0.layout.blob(digest);
        std::fs::rename(&path, path.with_extension(DAMAGED)).map_err(Error::io("set aside", path))
    }
}
