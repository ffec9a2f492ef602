//! The interface of content, implemented by the fake.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gantry_api::Promise;
use gantry_api::content::files::Wanted;
use gantry_api::content::{
    self, Expected, Files, Info, Ingest, IngestRef, Inspect, Manage, Owner, Provide, Range, Status,
};
use gantry_rpc::Code;
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace, Relabel};

use super::{Content, End, Filler, Follower, Writer, opened};
use crate::Refused;

/// Small, so that a read has several pieces.
const PIECE: u64 = 16 << 10;

impl Promise for Content {
    type Error = Refused;
}

impl Inspect for Content {
    async fn info(&self, namespace: &Namespace, digest: &Digest) -> Result<Info, Refused> {
        self.read(|state| state.info(namespace, digest))
    }

    async fn walk(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Info>, Refused> {
        Ok(self.read(|state| {
            let of_namespace = state.blobs.iter().filter(|((of, _), _)| of == namespace);
            of_namespace.map(|(_, info)| info).filter(|info| filters.matches(*info)).cloned().collect()
        }))
    }
}

impl Provide for Content {
    type Reader = Reader;

    async fn read(&self, namespace: &Namespace, digest: &Digest, range: Range) -> Result<Reader, Refused> {
        self.read(|state| {
            let info = state.info(namespace, digest)?;
            let rest = range.within(info.size);
            let rest = rest.ok_or_else(|| Refused::new(Code::OutOfRange, digest, "read past its end"))?;
            Ok(Reader { file: state.files[digest].clone(), rest })
        })
    }
}

/// Reads a blob.
#[derive(Debug)]
pub struct Reader {
    file: Arc<File>,
    rest: std::ops::Range<u64>,
}

impl content::Reader for Reader {
    type Error = Refused;

    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        let length = (self.rest.end - self.rest.start).min(PIECE);
        let mut piece = vec![0; usize::try_from(length).expect("a piece is small")];
        self.file.read_exact_at(&mut piece, self.rest.start).expect("memory gives it");
        self.rest.start += length;
        Ok(Some(Bytes::from(piece)).filter(|piece| !piece.is_empty()))
    }
}

impl Ingest for Content {
    type Writer = Writer;

    async fn open(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> Result<Writer, Refused> {
        self.open_ingest(owner, reference, expected).map(Writer)
    }

    async fn status(&self, namespace: &Namespace, reference: &IngestRef) -> Result<Status, Refused> {
        let found = self.read(|state| state.live(namespace, reference).map(super::Ingest::status));
        found.ok_or_else(|| Refused::new(Code::NotFound, reference, "no such ingest"))
    }

    async fn statuses(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Status>, Refused> {
        Ok(self.read(|state| {
            let of_namespace = state.names.iter().filter(|((of, _), _)| of == namespace);
            let statuses = of_namespace.map(|(_, id)| state.ingests[*id].status());
            statuses.filter(|status| filters.matches(status)).collect()
        }))
    }

    async fn abort(&self, owner: &Owner, reference: &IngestRef) -> Result<(), Refused> {
        self.edit(|state| {
            let id = state.names.get(&(owner.namespace.clone(), reference.clone())).copied();
            let id = id.ok_or_else(|| Refused::new(Code::NotFound, reference, "no such ingest"))?;
            state.end(id, End::Gone("aborted"));
            state.unlease(owner, "ingests", reference);
            Ok(())
        })
    }
}

impl Manage for Content {
    async fn update(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        labels: &Relabel,
    ) -> Result<Info, Refused> {
        self.edit(|state| {
            let mut info = state.info(namespace, digest)?;
            let applied = info.labels.relabel(labels);
            applied.map_err(|_| Refused::new(Code::InvalidArgument, digest, "a label that is too long"))?;
            info.updated_at = SystemTime::now();
            state.blobs.insert((namespace.clone(), digest.clone()), info.clone());
            state.use_blob(namespace, digest);
            Ok(info)
        })
    }

    async fn delete(&self, owner: &Owner, digest: &Digest) -> Result<(), Refused> {
        self.edit(|state| {
            state.info(&owner.namespace, digest)?;
            state.forget(&owner.namespace, digest);
            state.unlease(owner, "content", digest);
            Ok(())
        })
    }
}

impl Files for Content {
    type Filler = Filler;
    type Follower = Follower;

    async fn open_blob(&self, namespace: &Namespace, digest: &Digest) -> Result<(File, u64), Refused> {
        self.read(|state| {
            let info = state.info(namespace, digest)?;
            Ok((opened(&state.files[digest]), info.size))
        })
    }

    async fn fill(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> Result<(Filler, File), Refused> {
        let held = self.open_ingest(owner, reference, expected)?;
        let file = held.file();
        Ok((Filler(held), file))
    }

    async fn follow(
        &self,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> Result<(Follower, File), Refused> {
        Follower::begin(self, namespace, wanted, wait).await
    }
}
