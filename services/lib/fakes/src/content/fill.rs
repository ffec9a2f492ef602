//! Writers of ingests, over gRPC and over the data socket.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use gantry_api::content::{self, Commit, Committed, Expected, IngestRef, Owner, Status, files};
use gantry_rpc::Code;
use gantry_types::{Algorithm, Digest};

use super::{Content, End, Ingest, State, file};
use crate::Refused;

/// The right to write an ingest.
#[derive(Debug)]
pub(super) struct Held {
    content: Content,
    owner: Owner,
    id: usize,
}

/// A writer through the fake.
#[derive(Debug)]
pub struct Writer(pub(super) Held);

/// A writer to the ingest's file.
#[derive(Debug)]
pub struct Filler(pub(super) Held);

impl Content {
    pub(super) fn open_ingest(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> Result<Held, Refused> {
        let key = (owner.namespace.clone(), reference.clone());
        let id = self.edit(|state| {
            let open = state.names.get(&key).copied();
            if let Some(digest) = &expected.digest
                && state.info(&owner.namespace, digest).is_ok()
            {
                state.lease(owner, "content", digest);
                state.use_blob(&owner.namespace, digest);
                if let Some(id) = open.filter(|id| !state.ingests[*id].locked) {
                    state.end(id, End::Gone("the blob exists already"));
                }
                return Err(Refused::new(Code::AlreadyExists, digest, "already exists"));
            }
            if open.is_some_and(|id| state.ingests[id].locked) {
                return Err(Refused::new(Code::Unavailable, reference, "locked by another writer"));
            }
            state.lease(owner, "ingests", reference);
            let id = open.unwrap_or_else(|| {
                state.ingests.push(Ingest::begin(owner, reference));
                state.names.insert(key, state.ingests.len() - 1);
                state.ingests.len() - 1
            });
            state.ingests[id].expect(expected);
            state.bind(id);
            state.ingests[id].locked = true;
            Ok(id)
        })?;
        Ok(Held { content: self.clone(), owner: owner.clone(), id })
    }
}

impl Ingest {
    fn begin(owner: &Owner, reference: &IngestRef) -> Self {
        let now = SystemTime::now();
        Self {
            namespace: owner.namespace.clone(),
            reference: reference.clone(),
            file: Arc::new(file()),
            written: 0,
            bound: None,
            generation: 0,
            expected: Expected::default(),
            started_at: now,
            updated_at: now,
            locked: false,
            end: None,
        }
    }

    fn expect(&mut self, expected: Expected) {
        self.expected.total = expected.total.or(self.expected.total);
        self.expected.digest = expected.digest.or(self.expected.digest.take());
    }
}

impl State {
    /// Counts the bytes of another namespace's blob as written.
    fn bind(&mut self, id: usize) {
        let expected = &self.ingests[id].expected;
        let held = self.blobs.values().find(|info| Some(&info.digest) == expected.digest.as_ref());
        let size = held.map(|info| info.size);
        self.ingests[id].bound = size.filter(|size| expected.total.is_none_or(|total| total == *size));
    }
}

impl Held {
    /// The file of the ingest.
    pub(super) fn file(&self) -> File {
        let file = self.content.read(|state| state.ingests[self.id].file.clone());
        file.try_clone().expect("a descriptor is free")
    }

    fn status(&self) -> Status {
        self.content.read(|state| state.ingests[self.id].status())
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut Ingest) -> Result<T, Refused>) -> Result<T, Refused> {
        self.content.edit(|state| {
            let ingest = &mut state.ingests[self.id];
            match ingest.end {
                None => edit(ingest),
                Some(_) => Err(Refused::new(Code::Aborted, &ingest.reference, "the ingest was aborted")),
            }
        })
    }

    fn truncate(&self) -> Result<(), Refused> {
        self.edit(|ingest| {
            ingest.file.set_len(0).expect("memory is given back");
            (ingest.written, ingest.bound) = (0, None);
            ingest.generation += 1;
            ingest.updated_at = SystemTime::now();
            Ok(())
        })
    }

    /// Moves the end of the written bytes.
    fn advance(&self, offset: u64) -> Result<(), Refused> {
        self.edit(|ingest| {
            if offset > ingest.file.metadata().expect("it is open").len() {
                return Err(Refused::new(Code::OutOfRange, &ingest.reference, "the file is shorter"));
            }
            if offset > ingest.offset() {
                (ingest.written, ingest.bound) = (offset, None);
                ingest.updated_at = SystemTime::now();
            }
            Ok(())
        })
    }

    fn commit(&self, commit: Commit) -> Result<Committed, Refused> {
        let labels = commit.labels.without_empty();
        let mismatch = |reference: &IngestRef, what| Refused::new(Code::FailedPrecondition, reference, what);
        labels
            .validate()
            .map_err(|_| Refused::new(Code::InvalidArgument, "a label", "key and value are too long"))?;
        self.edit(|_| Ok(()))?;
        self.content.edit(|state| {
            let ingest = &state.ingests[self.id];
            let (namespace, reference) = (ingest.namespace.clone(), ingest.reference.clone());
            let expected = commit.expected.digest.or(ingest.expected.digest.clone());
            if let Some(digest) = &expected
                && state.info(&namespace, digest).is_ok()
            {
                return Err(state.lose(self, digest, End::Gone("another writer was first")));
            }
            // The whole file counts, whatever was reported.
            let length = ingest.file.metadata().expect("it is open").len();
            let size = ingest.bound.unwrap_or(length);
            if commit.expected.total.or(ingest.expected.total).is_some_and(|total| total != size) {
                return Err(mismatch(&reference, "another size than expected"));
            }
            let digest = match (&ingest.bound, &ingest.expected.digest) {
                (Some(_), Some(digest)) if state.files.contains_key(digest) => digest.clone(),
                (Some(_), _) => {
                    state.ingests[self.id].bound = None;
                    return Err(Refused::new(
                        Code::Unavailable,
                        reference,
                        "deleted meanwhile: write it again",
                    ));
                }
                (None, _) => digest_of(&ingest.file, size, expected.as_ref()),
            };
            if expected.is_some_and(|expected| expected != digest) {
                return Err(mismatch(&reference, "another digest than expected"));
            }
            let blob = Committed { digest: digest.clone(), size };
            if state.info(&namespace, &digest).is_ok() {
                return Err(state.lose(self, &digest, End::Committed(blob)));
            }
            if !state.files.contains_key(&digest) {
                let file = copy(&state.ingests[self.id].file, size);
                state.files.insert(digest.clone(), Arc::new(file));
            }
            state.record(&namespace, &digest, size, labels);
            state.lease(&self.owner, "content", &digest);
            state.unlease(&self.owner, "ingests", &reference);
            state.end(self.id, End::Committed(blob.clone()));
            Ok(blob)
        })
    }
}

impl State {
    fn lose(&mut self, held: &Held, digest: &Digest, end: End) -> Refused {
        self.lease(&held.owner, "content", digest);
        self.use_blob(&held.owner.namespace, digest);
        self.end(held.id, end);
        Refused::new(Code::AlreadyExists, digest, "already exists")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.content.edit(|state| {
            let ingest = &mut state.ingests[self.id];
            // Bytes behind the reported ones may have holes.
            ingest.file.set_len(ingest.written).expect("memory is given back");
            ingest.locked = false;
        });
    }
}

fn bytes_of(file: &File, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).expect("it is in memory")];
    file.read_exact_at(&mut bytes, 0).expect("memory gives it");
    bytes
}

fn digest_of(file: &File, size: u64, expected: Option<&Digest>) -> Digest {
    let mut hasher = expected.map_or(Algorithm::Sha256, Digest::algorithm).hasher();
    hasher.update(&bytes_of(file, size));
    hasher.finish()
}

/// A file of the blob's own, because the ingest's writer may still have the other one.
fn copy(from: &File, size: u64) -> File {
    let to = file();
    to.write_all_at(&bytes_of(from, size), 0).expect("memory takes it");
    to
}

impl content::Writer for Writer {
    type Error = Refused;

    fn status(&self) -> Status {
        self.0.status()
    }

    async fn digest(&mut self) -> Result<Digest, Refused> {
        self.0.edit(|ingest| {
            Ok(match (ingest.bound, &ingest.expected.digest) {
                (Some(_), Some(digest)) => digest.clone(),
                _ => digest_of(&ingest.file, ingest.written, None),
            })
        })
    }

    async fn expect(&mut self, expected: Expected) -> Result<(), Refused> {
        let held = &self.0;
        held.content.edit(|state| {
            if let Some(digest) = &expected.digest
                && state.info(&held.owner.namespace, digest).is_ok()
            {
                return Err(state.lose(held, digest, End::Gone("another writer was first")));
            }
            let ingest = &mut state.ingests[held.id];
            if expected.digest.is_some() && expected.digest != ingest.expected.digest {
                ingest.bound = None;
            }
            ingest.expect(expected);
            Ok(())
        })
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Refused> {
        if bytes.is_empty() {
            return self.0.edit(|_| Ok(()));
        }
        let end = self.0.edit(|ingest| {
            if ingest.bound.is_some() {
                let reason = "the blob is complete: nothing can follow";
                return Err(Refused::new(Code::FailedPrecondition, &ingest.reference, reason));
            }
            ingest.file.write_all_at(&bytes, ingest.written).expect("memory takes it");
            Ok(ingest.written + bytes.len() as u64)
        })?;
        self.0.advance(end)
    }

    async fn truncate(&mut self) -> Result<(), Refused> {
        self.0.truncate()
    }

    async fn commit(&mut self, commit: Commit) -> Result<Committed, Refused> {
        self.0.commit(commit)
    }
}

impl files::Filler for Filler {
    type Error = Refused;

    fn extent(&self) -> (u64, Option<u64>) {
        let status = self.0.status();
        (status.offset, status.expected.total)
    }

    async fn progress(&mut self, offset: u64) -> Result<(), Refused> {
        self.0.advance(offset)
    }

    async fn truncate(&mut self) -> Result<(), Refused> {
        self.0.truncate()
    }

    async fn commit(&mut self, commit: Commit) -> Result<Committed, Refused> {
        self.0.commit(commit)
    }

    async fn abort(&mut self) -> Result<(), Refused> {
        self.0.edit(|_| Ok(()))?;
        self.0.content.edit(|state| state.end(self.0.id, End::Gone("aborted by its writer")));
        Ok(())
    }
}
