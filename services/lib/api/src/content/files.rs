//! Blobs and ingests as file descriptors: their bytes pass through no socket.
//!
//! A writable file is always an ingest's. Writes to it after the commit do not change the blob. The holder of the
//! file reports how much of it is written ([`Filler::progress`]); content trusts that until the commit verifies the
//! bytes.
//!
//! A follower reads the bytes while they arrive, up to the reported offset. It outlives the writer, and is told of
//! the progress of the next one. When the ingest is truncated or aborted, the follower discards what it has read.

mod filling;
mod following;
pub mod serve;

use std::fs::File;
use std::time::Duration;

use gantry_rpc::Coded;
use gantry_types::{Digest, Namespace};

use super::{Commit, Committed, Expected, IngestRef, Owner};
use crate::Promise;

/// Hands out blobs and ingests as files.
pub trait Files: Promise {
    /// The writer of an ingest, until it is dropped.
    type Filler: Filler<Error = Self::Error> + 'static;
    /// A follower of an ingest.
    type Follower: Follower<Error = Self::Error> + 'static;

    /// The file of a blob for reading, and its size in bytes.
    fn open_blob(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> impl Future<Output = Result<(File, u64), Self::Error>> + Send;

    /// Opens an ingest: begins it, or resumes it as the next writer. The caller writes the file from the offset on.
    fn fill(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> impl Future<Output = Result<(Self::Filler, File), Self::Error>> + Send;

    /// Follows an ingest or a blob. Where neither exists, waits for one to appear, then fails with `NOT_FOUND`.
    fn follow(
        &self,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> impl Future<Output = Result<(Self::Follower, File), Self::Error>> + Send;
}

/// The one writer of an ingest, which writes to its file.
pub trait Filler: Send {
    /// The error of its calls.
    type Error: Coded + Send + Sync + 'static;

    /// How many bytes are written, and how many there will be.
    fn extent(&self) -> (u64, Option<u64>);

    /// Reports that all bytes below `offset` are written. `OUT_OF_RANGE` when the file is shorter. Through a socket,
    /// where this waits for no answer, that error ends the connection.
    fn progress(&mut self, offset: u64) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Discards the bytes; the caller writes again from offset 0.
    fn truncate(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a blob of the bytes. The blob and its labels are durable when this returns. After `FAILED_PRECONDITION`
    /// the ingest may be truncated and filled again.
    fn commit(&mut self, commit: Commit) -> impl Future<Output = Result<Committed, Self::Error>> + Send;

    /// Ends the ingest and removes its bytes.
    fn abort(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Reports how the bytes of an ingest arrive.
pub trait Follower: Send {
    /// The error of its calls.
    type Error: Coded + Send + Sync + 'static;

    /// How many bytes there were when it began, and how many there will be.
    fn begun_at(&self) -> (u64, Option<u64>);

    /// The next report. There is none after `Committed` and `Aborted`. Cancel safe.
    fn next(&mut self) -> impl Future<Output = Result<Followed, Self::Error>> + Send;
}

/// What to follow.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// An ingest.
    Ingest(IngestRef),
    /// A blob.
    Blob(Digest),
    /// The blob if it exists, else the ingest; where neither exists, the first of them to appear.
    Either(IngestRef, Digest),
}

impl Wanted {
    /// The ingest.
    pub fn reference(&self) -> Option<&IngestRef> {
        match self {
            Wanted::Ingest(reference) | Wanted::Either(reference, _) => Some(reference),
            Wanted::Blob(_) => None,
        }
    }

    /// The blob.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Wanted::Blob(digest) | Wanted::Either(_, digest) => Some(digest),
            Wanted::Ingest(_) => None,
        }
    }
}

/// A report to a follower.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// The bytes below this offset may be read.
    Available(u64),
    /// The ingest has become a blob.
    Committed(Committed),
    /// What was read is to be discarded, for this reason.
    Aborted(String),
}
