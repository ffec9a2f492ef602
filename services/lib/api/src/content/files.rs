//! Blobs and ingests as files, whose bytes go through no socket: descriptors of them change hands.
//!
//! A writable file is only ever an ingest's, never a blob's; what its holder does to it after the commit has no effect on
//! the blob. How much of it is written is its holder's word ([`Filler::progress`]), until the commit proves it.
//!
//! Who follows reads the bytes while they arrive, as far as it is told. It survives the writer: it is told of the next
//! one's progress. When the bytes are thrown away, or the ingest is, what was read is worthless.

mod filling;
mod following;
pub mod serve;

use std::fs::File;
use std::time::Duration;

use gantry_rpc::Coded;
use gantry_types::{Digest, Namespace};

use super::{Commit, Committed, Expected, IngestRef, Owner};
use crate::Promise;

/// Lends blobs and ingests as files.
pub trait Files: Promise {
    /// Has an ingest until it is dropped.
    type Filler: Filler<Error = Self::Error> + 'static;
    /// Follows bytes that arrive.
    type Follower: Follower<Error = Self::Error> + 'static;

    /// A committed blob's file, for reading, and its size.
    fn open_blob(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> impl Future<Output = Result<(File, u64), Self::Error>> + Send;

    /// Begins an ingest, or becomes the next writer of one; the file is to be written from the offset on.
    fn fill(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> impl Future<Output = Result<(Self::Filler, File), Self::Error>> + Send;

    /// Follows what is wanted; where neither ingest nor blob is there, waits for one to appear, and then fails with
    /// `NOT_FOUND`.
    fn follow(
        &self,
        namespace: &Namespace,
        wanted: &Wanted,
        wait: Duration,
    ) -> impl Future<Output = Result<(Self::Follower, File), Self::Error>> + Send;
}

/// The one writer of an ingest, by its file.
pub trait Filler: Send {
    /// What its calls fail with.
    type Error: Coded + Send + Sync + 'static;

    /// How many bytes are there, and how many there are to be.
    fn extent(&self) -> (u64, Option<u64>);

    /// Takes the file's holder's word that all bytes below `offset` are written. `OUT_OF_RANGE` when the file is shorter;
    /// through a socket, where this waits for no answer, that ends the connection.
    fn progress(&mut self, offset: u64) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Throws the bytes away, to begin at offset 0 again.
    fn truncate(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a blob of the bytes; it is durable, with its labels, when this returns. After `FAILED_PRECONDITION` the
    /// ingest may be truncated and filled anew.
    fn commit(&mut self, commit: Commit) -> impl Future<Output = Result<Committed, Self::Error>> + Send;

    /// Ends the ingest and removes its bytes.
    fn abort(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Tells how bytes arrive.
pub trait Follower: Send {
    /// What it fails with.
    type Error: Coded + Send + Sync + 'static;

    /// How many bytes there were when it began, and how many there are to be.
    fn begun_at(&self) -> (u64, Option<u64>);

    /// The next news; after `Committed` and `Aborted` there is none. May be given up at any time, and asked again.
    fn next(&mut self) -> impl Future<Output = Result<Followed, Self::Error>> + Send;
}

/// What is to be followed.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// An ingest.
    Ingest(IngestRef),
    /// A blob.
    Blob(Digest),
    /// The blob, if it is there; else the ingest, or whichever comes first.
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

/// What a follower is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// Bytes below this offset may be read.
    Available(u64),
    /// All bytes are there, and proved.
    Committed(Committed),
    /// What was read is worthless, and why.
    Aborted(String),
}
