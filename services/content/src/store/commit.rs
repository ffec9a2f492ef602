//! The commit: from proved bytes to a blob.
//!
//! Bytes synced → linked among the blobs → directory synced → record (labels with it, the ingest's record gone) → event.
//! Where another store keeps blobs, that store has committed the bytes before the record, in place of the link.
//! A crash before the record leaves the ingest as it was, for its writer to commit again without a byte written anew,
//! and a link that is removed at start. A crash after it leaves the ingest's directory, removed at start. A record that
//! is refused, by a full disk for example, takes the link with it: else the bytes would outlive an abort of the ingest.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use gantry_api::content::Info;
use gantry_disk::{KeyedGuard, atomic};
use gantry_failpoint::failpoint;
use gantry_proto::containerd::events::ContentCreate;
use gantry_types::{Algorithm, Digest};

use super::send::Sent;
use super::{Store, blocking};
use crate::ingest::{Commit, Fate, Ingest, Writer};
use crate::layout::{BLOB_MODE, INGEST_MODE, Layout};
use crate::record::{BlobRecord, Holder};
use crate::seal::Proved;
use crate::stamp::Resource;
use crate::{Error, Result};

const FIRST: &str = "another writer committed the blob first: follow again";

/// Where a blob's bytes come from.
enum Source {
    /// The ingest.
    Proved(Proved),
    /// Another namespace has them.
    Elsewhere(Digest, u64),
}

impl Writer {
    /// Proves the bytes and makes them a blob, durably, with its labels.
    ///
    /// [`Error::WrongSize`] and [`Error::WrongDigest`] leave the ingest as it is. [`Error::AlreadyExists`], if
    /// another commit was first, ends it.
    pub(crate) async fn commit(&mut self, commit: Commit) -> Result<Info> {
        commit.labels.validate()?;
        let state = self.ensure_live()?;
        let expected = commit.expected.clone().or_else(|| state.expected.clone());
        let namespace = self.ingest().key.namespace.clone();
        if let Some(digest) = &expected
            && self.store.touch(&namespace, digest).await?
        {
            return Err(self.lost_the_race(digest.clone(), Fate::Gone(FIRST)).await?);
        }
        let size = if commit.size > 0 { commit.size } else { state.total };
        let source = match (state.bound, &state.expected) {
            (Some(bound), Some(digest)) if expected.as_ref() == Some(digest) => {
                self.check_size(size, bound)?;
                Source::Elsewhere(digest.clone(), bound)
            }
            _ => {
                let proved = self.prove_as(size, expected.as_ref()).await;
                Source::Proved(proved.map_err(|error| aborted_if_missing(error, self.ingest()))?)
            }
        };
        failpoint!("content.commit.proved");
        self.install(source, commit).await
    }

    async fn prove_as(&mut self, size: u64, expected: Option<&Digest>) -> Result<Proved> {
        // Before the long work, for what can be told without it.
        let path = self.store.layout().data(&self.ingest().id);
        let length = std::fs::metadata(&path).map_err(Error::io("look at", path))?.len();
        self.check_size(size, length)?;
        let proved = self.prove(expected.map_or(Algorithm::Sha256, Digest::algorithm)).await?;
        self.check_size(size, proved.size)?;
        match expected {
            Some(expected) if *expected != proved.digest => Err(Error::WrongDigest {
                reference: self.ingest().key.reference.clone(),
                expected: expected.clone(),
                actual: proved.digest,
            }),
            _ => Ok(proved),
        }
    }

    fn check_size(&self, expected: u64, actual: u64) -> Result<()> {
        if expected > 0 && expected != actual {
            return Err(Error::WrongSize {
                reference: self.ingest().key.reference.clone(),
                expected,
                actual,
            });
        }
        Ok(())
    }

    async fn install(&mut self, source: Source, commit: Commit) -> Result<Info> {
        let store = self.store.clone();
        let ingest = self.ingest().clone();
        let namespace = ingest.key.namespace.clone();
        let (digest, size) = match &source {
            Source::Proved(proved) => (proved.digest.clone(), proved.size),
            Source::Elsewhere(digest, size) => (digest.clone(), *size),
        };
        // First, so that no collection sees the blob without its lease.
        store.lease_blob(&namespace, self.lease.as_deref(), &digest).await?;

        failpoint!("content.commit.leased");
        let records = &store.0.records;
        let (sent, lock) = self.send_first(&source, &digest).await?;
        if records.blobs.contains(&(namespace.clone(), digest.clone()))? {
            store.0.stamps.touch(Resource::Blob(namespace.clone(), digest.clone()));
            drop(lock);
            let fate = Fate::Committed { digest: digest.clone(), size };
            return Err(self.lost_the_race(digest, fate).await?);
        }
        let deciding = ingest.decide().await;
        self.ensure_live()?;
        let held = records.is_held(&digest)?;
        let mut to_cache = None;
        let linked = match source {
            Source::Elsewhere(..) if held => {
                store.0.metrics.shared.inc();
                None
            }
            Source::Elsewhere(..) => {
                ingest.change(|state| state.bound = None);
                return Err(Error::Vanished { reference: ingest.key.reference.clone(), digest });
            }
            Source::Proved(_) if held => None,
            Source::Proved(proved) if sent.is_some() => {
                to_cache = Some(proved);
                None
            }
            Source::Proved(proved) => {
                let layout = store.0.layout.clone();
                Some(blocking(move || link(&layout, &proved).map(|()| proved)).await?)
            }
        };
        let now = SystemTime::now();
        let info = Info {
            digest: digest.clone(),
            size,
            created_at: now,
            updated_at: now,
            labels: commit.labels.without_empty(),
        };
        let mut batch = records.database.batch();
        batch
            .put(&records.blobs, &(namespace.clone(), digest.clone()), &BlobRecord::of(&info))
            .put(&records.holders, &(digest.clone(), namespace.clone()), &Holder {})
            .delete(&records.ingests, &(namespace.clone(), ingest.key.reference.clone()));
        if let Some(sent) = &sent {
            batch.put(&records.kept, &sent.note.0, &sent.note.1);
        }
        if let Err(error) = batch.commit().await {
            let is_recorded = || records.blobs.contains(&(namespace.clone(), digest.clone())).unwrap_or(true);
            if let Some(proved) = linked.filter(|_| !is_recorded()) {
                let layout = store.0.layout.clone();
                blocking(move || {
                    unlink(&layout, &proved);
                    Ok(())
                })
                .await?;
            }
            return Err(error.into());
        }
        failpoint!("content.commit.recorded", infallible);
        store.0.stamps.touch(Resource::Blob(namespace.clone(), digest.clone()));
        if let Some(sent) = sent {
            sent.recorded();
        }
        if let Some(proved) = to_cache {
            store.cache(proved).await;
        }
        drop(lock);

        store.0.metrics.committed.inc();
        store.0.metrics.committed_bytes.inc_by(size);
        let event = ContentCreate {
            digest: digest.to_string(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            ..Default::default()
        };
        store.0.publisher.publish(&namespace, "/content/create", &event);
        store.forget(&ingest, Fate::Committed { digest, size });
        drop(deciding);
        store.announce_arrival();
        store.remove_ingest_files(&ingest).await;
        store.protect_references(&namespace, &info.labels).await;
        Ok(info)
    }

    /// Sends the bytes to the store that keeps blobs, if there is one and the blob is new; then locks the digest.
    async fn send_first(
        &self,
        source: &Source,
        digest: &Digest,
    ) -> Result<(Option<Sent>, KeyedGuard<Digest>)> {
        let (store, mut sent) = (&self.store, None);
        loop {
            if let Source::Proved(proved) = source {
                let sending = store.send(proved).await;
                sent = sending.map_err(|error| aborted_if_missing(error, self.ingest()))?;
            }
            let lock = store.0.digests.lock(digest.clone()).await;
            // The namespace that had it may have deleted it since.
            if sent.is_some() || matches!(source, Source::Elsewhere(..)) || !store.is_to_be_sent(digest)? {
                return Ok((sent, lock));
            }
        }
    }

    /// Learns what the blob's digest is to be. If the blob is there already, that is the end of the ingest.
    pub(crate) async fn expect(&self, digest: Digest) -> Result<()> {
        if self.store.touch(&self.ingest().key.namespace, &digest).await? {
            return Err(self.lost_the_race(digest, Fate::Gone(FIRST)).await?);
        }
        self.ingest().change(|state| {
            if state.expected.as_ref() != Some(&digest) {
                state.bound = None;
                state.expected = Some(digest);
            }
        });
        Ok(())
    }

    /// Another writer has committed the blob: the ingest has no purpose any more.
    async fn lost_the_race(&self, digest: Digest, fate: Fate) -> Result<Error> {
        let (store, ingest) = (&self.store, self.ingest());
        store.lease_blob(&ingest.key.namespace, self.lease.as_deref(), &digest).await?;
        store.end(ingest, fate).await?;
        Ok(Error::AlreadyExists(digest))
    }

    /// Ends the ingest and removes its bytes.
    pub(crate) async fn abort(&self) -> Result<()> {
        self.ensure_live()?;
        self.store.end(self.ingest(), Fate::Gone("aborted by its writer")).await
    }
}

impl Store {
    /// Puts bytes that another store keeps into the cache, if there is room. Under the digest's lock.
    async fn cache(&self, proved: Proved) {
        let store = self.clone();
        let cached = blocking(move || {
            let Some(room) = store.0.kept.cache.room(proved.size, &store.0.digests)? else { return Ok(()) };
            link(&store.0.layout, &proved)?;
            room.take(&proved.digest);
            Ok(())
        });
        if let Err(error) = cached.await {
            tracing::warn!(%error, "a blob does not get into the cache");
        }
    }
}

/// Gives proved bytes their name among the blobs, durably, or not at all. Under the digest's lock, when no record has
/// the digest.
fn link(layout: &Layout, proved: &Proved) -> Result<()> {
    try_link(layout, proved).inspect_err(|_| unlink(layout, proved))
}

/// Takes the name away again: the bytes are the ingest's alone, to be committed once more, written anew or removed.
fn unlink(layout: &Layout, proved: &Proved) {
    let removed = match std::fs::remove_file(layout.blob(&proved.digest)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    };
    let opened = std::fs::set_permissions(&proved.path, Permissions::from_mode(INGEST_MODE));
    if let Err(error) = removed.and(opened) {
        tracing::warn!(digest = %proved.digest, %error, "cannot undo a commit that failed: the next start will");
    }
}

fn try_link(layout: &Layout, proved: &Proved) -> Result<()> {
    let blob = layout.blob(&proved.digest);
    std::fs::set_permissions(&proved.path, Permissions::from_mode(BLOB_MODE))
        .map_err(Error::io("protect", &proved.path))?;
    let linked = match std::fs::hard_link(&proved.path, &blob) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            // No namespace has a record of it: a delete or a commit that failed half-way left it.
            remove_stray(&blob)?;
            std::fs::hard_link(&proved.path, &blob)
        }
        outcome => outcome,
    };
    linked.map_err(Error::io("link", &blob))?;
    atomic::sync_dir(layout.blobs(proved.digest.algorithm()))?;
    failpoint!("content.commit.linked");
    Ok(())
}

fn remove_stray(blob: &Path) -> Result<()> {
    std::fs::remove_file(blob).map_err(Error::io("remove", blob))
}

/// An abort takes the files away under a commit's feet.
fn aborted_if_missing(error: Error, ingest: &Ingest) -> Error {
    match error.is_missing() && !ingest.is_live() {
        true => Error::IngestAborted { reference: ingest.key.reference.clone() },
        false => error,
    }
}
