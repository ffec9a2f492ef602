//! Content's promise, as the traits of `gantry_api::content` have it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::Promise;
use gantry_api::content::files::{self, Files, Wanted};
use gantry_api::content::{
    self, Commit, Committed, Expected, Info, Ingest, IngestRef, Inspect, Manage, Owner, Provide, Range,
    Status,
};
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace, Relabel};

use super::follow::Follower;
use super::{Store, Wish, blocking};
use crate::ingest::{self, IngestKey, Writer};
use crate::{Error, Result};

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

impl Promise for Store {
    type Error = Error;
}

impl Inspect for Store {
    async fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<Info> {
        self.info(namespace, digest)
    }

    async fn walk(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Info>> {
        let (store, namespace, filters) = (self.clone(), namespace.clone(), filters.clone());
        blocking(move || store.list(&namespace, &filters)).await
    }
}

impl Provide for Store {
    type Reader = Reader;

    async fn read(&self, namespace: &Namespace, digest: &Digest, range: Range) -> Result<Reader> {
        let (file, info) = self.open_blob(namespace, digest).await?;
        let range = range.within(info.size).ok_or_else(|| Error::PastEnd {
            digest: digest.clone(),
            offset: range.start,
            size: info.size,
        })?;
        Ok(Reader { store: self.clone(), digest: info.digest, file: Arc::new(file), range })
    }
}

/// Reads a blob's file, each piece on the blocking pool.
#[derive(Debug)]
pub struct Reader {
    store: Store,
    digest: Digest,
    file: Arc<File>,
    /// What is left.
    range: std::ops::Range<u64>,
}

impl content::Reader for Reader {
    type Error = Error;

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let offset = self.range.start;
        let length = (self.range.end - offset).min(PIECE);
        if length == 0 {
            return Ok(None);
        }
        let (file, path) = (self.file.clone(), self.store.0.layout.blob(&self.digest));
        let piece = blocking(move || {
            let mut buffer = vec![0; usize::try_from(length).expect("a piece fits into memory")];
            file.read_exact_at(&mut buffer, offset).map_err(Error::io("read", path))?;
            Ok(Bytes::from(buffer))
        });
        let piece = piece.await?;
        self.range.start += length;
        Ok(Some(piece))
    }
}

impl Ingest for Store {
    type Writer = Writer;

    async fn open(&self, owner: &Owner, reference: &IngestRef, expected: Expected) -> Result<Writer> {
        self.open_ingest(IngestKey::of(&owner.namespace, reference), wish(owner, expected)).await
    }

    async fn status(&self, namespace: &Namespace, reference: &IngestRef) -> Result<Status> {
        self.status(&IngestKey::of(namespace, reference))
    }

    async fn statuses(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Status>> {
        Ok(self.statuses(namespace, filters))
    }

    async fn abort(&self, owner: &Owner, reference: &IngestRef) -> Result<()> {
        let key = IngestKey::of(&owner.namespace, reference);
        self.abort(&key).await?;
        self.unlease_ingest(&key, owner.lease.as_deref()).await;
        Ok(())
    }
}

impl content::Writer for Writer {
    type Error = Error;

    fn status(&self) -> Status {
        self.ingest().status()
    }

    async fn digest(&mut self) -> Result<Digest> {
        Writer::digest(self).await
    }

    async fn expect(&mut self, expected: Expected) -> Result<()> {
        if let Some(digest) = expected.digest {
            Writer::expect(self, digest).await?;
        }
        if let Some(total) = expected.total {
            self.expect_total(total);
        }
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        Writer::write(self, bytes).await
    }

    async fn truncate(&mut self) -> Result<()> {
        Writer::truncate(self).await
    }

    async fn commit(&mut self, commit: Commit) -> Result<Committed> {
        let info = Writer::commit(self, claim(commit)).await?;
        self.unlease().await;
        Ok(Committed { digest: info.digest, size: info.size })
    }
}

impl Files for Store {
    type Filler = Writer;
    type Follower = Follower;

    async fn open_blob(&self, namespace: &Namespace, digest: &Digest) -> Result<(File, u64)> {
        let (file, info) = self.open_blob(namespace, digest).await?;
        Ok((file, info.size))
    }

    async fn fill(&self, owner: &Owner, reference: &IngestRef, expected: Expected) -> Result<(Writer, File)> {
        let key = IngestKey::of(&owner.namespace, reference);
        let mut writer = self.open_ingest(key, wish(owner, expected)).await?;
        let file = writer.hand_out()?;
        Ok((writer, file))
    }

    async fn follow(
        &self,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> Result<(Follower, File)> {
        self.follow(namespace, wanted, wait).await
    }
}

impl files::Filler for Writer {
    type Error = Error;

    fn extent(&self) -> (u64, Option<u64>) {
        let status = self.ingest().status();
        (status.offset, status.expected.total)
    }

    async fn progress(&mut self, offset: u64) -> Result<()> {
        Writer::progress(self, offset)
    }

    async fn truncate(&mut self) -> Result<()> {
        Writer::truncate(self).await
    }

    async fn commit(&mut self, commit: Commit) -> Result<Committed> {
        let info = Writer::commit(self, claim(commit)).await?;
        Ok(Committed { digest: info.digest, size: info.size })
    }

    async fn abort(&mut self) -> Result<()> {
        Writer::abort(self).await
    }
}

fn wish(owner: &Owner, expected: Expected) -> Wish {
    Wish { total: expected.total.unwrap_or(0), expected: expected.digest, lease: owner.lease.clone() }
}

fn claim(commit: Commit) -> ingest::Commit {
    ingest::Commit {
        size: commit.expected.total.unwrap_or(0),
        expected: commit.expected.digest,
        labels: commit.labels,
    }
}

impl Manage for Store {
    async fn update(&self, namespace: &Namespace, digest: &Digest, labels: &Relabel) -> Result<Info> {
        self.update(namespace, digest, labels).await
    }

    async fn delete(&self, owner: &Owner, digest: &Digest) -> Result<()> {
        self.delete(&owner.namespace, digest).await?;
        self.unlease_blob(&owner.namespace, owner.lease.as_deref(), digest).await;
        Ok(())
    }
}
