//! A blob's bytes as a file, wherever they are kept.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;

use gantry_rpc::carry;
use gantry_types::Digest;

use super::{Store, blocking};
use crate::kept::{Fetched, Remote, copy};
use crate::layout::{self, BLOB_MODE};
use crate::{Error, Result};

impl Store {
    /// Opens a blob's bytes for reading; fetches them first if only another store has them.
    pub(super) async fn lend(&self, digest: &Digest) -> Result<File> {
        if let Some(file) = self.file_of(digest)? {
            return Ok(file);
        }
        let (store, digest) = (self.clone(), digest.clone());
        // Carried to its end also without the caller: others may wait for the same bytes.
        carry::to_its_end(async move { store.fetch(digest).await }).await.unwrap_or(Err(Error::ShuttingDown))
    }

    /// The blob's file, if there is one.
    fn file_of(&self, digest: &Digest) -> Result<Option<File>> {
        match layout::open_read(&self.0.layout.blob(digest)) {
            Ok(file) => {
                self.0.kept.cache.touch(digest);
                Ok(Some(file))
            }
            Err(error) if error.is_missing() => Ok(self.0.kept.lingering.open(digest)),
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self, digest: Digest) -> Result<File> {
        let Some(((_, name), note)) = self.0.records.keeper(&digest)? else {
            // Deleted meanwhile, or removed by hand.
            return Err(match self.0.records.is_held(&digest)? {
                true => Error::io("open", self.0.layout.blob(&digest))(std::io::ErrorKind::NotFound.into()),
                false => Error::NotFound(digest),
            });
        };
        let remote = self.0.kept.keeper(&name, &digest)?;
        let outcome = remote.fetch(note.size, self.fetch_once(&remote, &digest, note.size)).await;
        if outcome.is_err() && !self.0.records.is_held(&digest)? {
            return Err(Error::NotFound(digest));
        }
        outcome
    }

    /// Fetches a blob, or finds the file that another fetch has made meanwhile.
    async fn fetch_once(&self, remote: &Remote, digest: &Digest, size: u64) -> Result<File> {
        let _turn = self.0.kept.fetching.lock(digest.clone()).await;
        if let Some(file) = self.file_of(digest)? {
            return Ok(file);
        }
        let store = self.clone();
        let fetched = blocking(move || Fetched::begin(&store.0.layout)).await?;
        self.fetch_into(fetched, remote, digest, size).await
    }

    async fn fetch_into(
        &self,
        fetched: Fetched,
        remote: &Remote,
        digest: &Digest,
        size: u64,
    ) -> Result<File> {
        copy(remote, digest, size, Some(fetched.file.clone())).await?;
        self.0.metrics.fetched_bytes.inc_by(size);
        let (file, path) = (fetched.file.clone(), fetched.path.clone());
        let lent = blocking(move || {
            // What is found under a blob's name after a power cut is all of it.
            file.sync_data().map_err(Error::io("sync", &path))?;
            std::fs::set_permissions(&path, Permissions::from_mode(BLOB_MODE))
                .map_err(Error::io("protect", &path))?;
            layout::open_read(&path)
        })
        .await?;
        self.keep(fetched, digest, size).await?;
        Ok(lent)
    }

    /// Puts fetched bytes into the cache, if the blob is there still; for a while beside it, where it has no room.
    async fn keep(&self, fetched: Fetched, digest: &Digest, size: u64) -> Result<()> {
        let lock = self.0.digests.lock(digest.clone()).await;
        if self.0.records.keeper(digest)?.is_none() {
            return Ok(());
        }
        let (store, digest) = (self.clone(), digest.clone());
        blocking(move || {
            let _lock = lock;
            let Some(room) = store.0.kept.cache.room(size, &store.0.digests)? else {
                store.0.kept.lingering.keep(&digest, fetched);
                return Ok(());
            };
            let path = store.0.layout.blob(&digest);
            std::fs::rename(&fetched.path, &path).map_err(Error::io("rename", &fetched.path))?;
            room.take(&digest);
            Ok(())
        })
        .await
    }
}
