//! What content promises: blobs by digest, and the ingests that become blobs.
//!
//! ```text
//!          open                write*, commit
//!   (none) ─────▶ ingest ref ───────────────────▶ blob digest ──▶ delete
//!                  │   ▲ open again: the next writer goes on at the offset
//!                  │   └──── writer dropped
//!                  └───────▶ abort
//! ```
//!
//! - A blob's bytes are those that its digest names, and never change; its labels do ([`Manage::update`]).
//! - Everything belongs to a namespace: blobs, refs, labels. What a namespace has no record of is not there for it. Who
//!   names the digest of bytes that another namespace has finds them written when it opens the ingest, and commits
//!   without writing: the bytes are stored once, and stay until the last namespace deletes them.
//! - An ingest has one writer at a time, who has it until the writer is dropped; another one is refused with
//!   `UNAVAILABLE`. It outlives its writer: the next one goes on at [`Writer::status`]'s offset.
//! - A commit whose size or digest differs from what was said fails with `FAILED_PRECONDITION`, and leaves the ingest as
//!   it is. Of several commits of one blob one wins, and the others are told `ALREADY_EXISTS`, which ends their ingests;
//!   so is who opens an ingest for a blob that is there.
//! - An abort ends an ingest even under its writer, who learns of it by `ABORTED`.
//! - What is written under a lease is kept by it, from the ingest's first byte to the blob.
//! - What is not there is `NOT_FOUND`; a read from behind the end is `OUT_OF_RANGE`.

mod blob;
pub mod client;
mod convert;
pub mod files;
mod ingest;
mod range;
pub mod server;

use bytes::Bytes;
use gantry_rpc::Coded;
use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace, Relabel};

pub use blob::Info;
pub use client::Client;
pub use files::Files;
pub use ingest::{Commit, Committed, Expected, IngestRef, Status};
pub use range::Range;

use crate::Promise;
pub use crate::owner::Owner;

/// Looks at blobs.
pub trait Inspect: Promise {
    /// A blob as the namespace sees it.
    fn info(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> impl Future<Output = Result<Info, Self::Error>> + Send;

    /// The namespace's blobs that pass the filters (fields: `digest`, `labels`), by digest.
    fn walk(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Info>, Self::Error>> + Send;
}

/// Gives the bytes of blobs.
pub trait Provide: Promise {
    /// Reads pieces of a blob.
    type Reader: Reader<Error = Self::Error> + 'static;

    /// Begins to read a part of a blob.
    fn read(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        range: Range,
    ) -> impl Future<Output = Result<Self::Reader, Self::Error>> + Send;
}

/// The bytes of a read, in order.
pub trait Reader: Send {
    /// What a read fails with.
    type Error: Coded;

    /// The next piece; none when all were taken.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Self::Error>> + Send;
}

/// Takes bytes that become blobs.
pub trait Ingest: Promise {
    /// Has an ingest until it is dropped.
    type Writer: Writer<Error = Self::Error> + 'static;

    /// Begins an ingest, or becomes the next writer of one.
    fn open(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> impl Future<Output = Result<Self::Writer, Self::Error>> + Send;

    /// How far an ingest is.
    fn status(
        &self,
        namespace: &Namespace,
        reference: &IngestRef,
    ) -> impl Future<Output = Result<Status, Self::Error>> + Send;

    /// The namespace's ingests that pass the filters (field: `ref`), by ref.
    fn statuses(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Status>, Self::Error>> + Send;

    /// Ends an ingest and removes its bytes.
    fn abort(
        &self,
        owner: &Owner,
        reference: &IngestRef,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The one writer of an ingest.
pub trait Writer: Send {
    /// What its calls fail with.
    type Error: Coded + Send + Sync + 'static;

    /// How far the ingest is; the next byte goes to its offset.
    fn status(&self) -> Status;

    /// The digest (SHA-256) of the bytes so far.
    fn digest(&mut self) -> impl Future<Output = Result<Digest, Self::Error>> + Send;

    /// Learns more of what the blob is to be.
    fn expect(&mut self, expected: Expected) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Appends bytes.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Throws the bytes away, to begin at offset 0 again.
    fn truncate(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a blob of the bytes; it is durable, with its labels, when this returns. After a failure the writer is of no
    /// more use: who wants to go on opens the ingest again.
    fn commit(&mut self, commit: Commit) -> impl Future<Output = Result<Committed, Self::Error>> + Send;
}

/// Changes blobs that are there.
pub trait Manage: Promise {
    /// Changes a blob's labels. Counts as a use of the blob.
    fn update(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        labels: &Relabel,
    ) -> impl Future<Output = Result<Info, Self::Error>> + Send;

    /// Takes a blob out of the owner's namespace, and off its lease.
    fn delete(&self, owner: &Owner, digest: &Digest) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// All of it.
pub trait Store: Inspect + Provide + Ingest + Manage {}

impl<S: Inspect + Provide + Ingest + Manage> Store for S {}
