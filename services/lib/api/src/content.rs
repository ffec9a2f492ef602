//! The promise of content: blobs by digest, and the ingests that become blobs.
//!
//! ```text
//!          open                write*, commit
//!   (none) ─────▶ ingest ref ───────────────────▶ blob digest ──▶ delete
//!                  │   ▲ open again: the next writer goes on at the offset
//!                  │   └──── writer dropped
//!                  └───────▶ abort
//! ```
//!
//! - A blob's bytes match its digest and never change; its labels do ([`Manage::update`]).
//! - Blobs, refs and labels belong to a namespace, which sees only what it has a record of. A client that opens an
//!   ingest with the digest of another namespace's blob finds the bytes written, and commits without writing. The
//!   bytes are stored once, until the last namespace deletes its blob.
//! - An ingest has one writer at a time, until the writer is dropped. A second writer is refused with `UNAVAILABLE`.
//!   The ingest outlives its writer: the next one goes on at the offset of [`Writer::status`].
//! - A commit with a wrong size or digest fails with `FAILED_PRECONDITION` and changes nothing. Of several commits of
//!   one blob one succeeds; the others fail with `ALREADY_EXISTS`, which ends their ingests. Opening an ingest for an
//!   existing blob fails with `ALREADY_EXISTS`.
//! - An abort ends an ingest even while it has a writer, whose calls then fail with `ABORTED`.
//! - A lease keeps what is written under it, from the first byte of the ingest to the blob.
//! - A missing blob or ingest is `NOT_FOUND`; a read that begins behind the end is `OUT_OF_RANGE`.

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

/// Finds blobs.
pub trait Inspect: Promise {
    /// A blob as the namespace sees it.
    fn info(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> impl Future<Output = Result<Info, Self::Error>> + Send;

    /// The namespace's blobs that match the filters (fields: `digest`, `labels`), by digest.
    fn walk(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Info>, Self::Error>> + Send;
}

/// Reads blobs.
pub trait Provide: Promise {
    /// Reads a blob piece by piece.
    type Reader: Reader<Error = Self::Error> + 'static;

    /// Begins to read a part of a blob.
    fn read(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        range: Range,
    ) -> impl Future<Output = Result<Self::Reader, Self::Error>> + Send;
}

/// A read of a blob, in order.
pub trait Reader: Send {
    /// The error of a read.
    type Error: Coded;

    /// The next piece; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, Self::Error>> + Send;
}

/// Writes ingests, which become blobs.
pub trait Ingest: Promise {
    /// The writer of an ingest, until it is dropped.
    type Writer: Writer<Error = Self::Error> + 'static;

    /// Opens an ingest: begins it, or resumes it as the next writer.
    fn open(
        &self,
        owner: &Owner,
        reference: &IngestRef,
        expected: Expected,
    ) -> impl Future<Output = Result<Self::Writer, Self::Error>> + Send;

    /// The status of an ingest.
    fn status(
        &self,
        namespace: &Namespace,
        reference: &IngestRef,
    ) -> impl Future<Output = Result<Status, Self::Error>> + Send;

    /// The namespace's ingests that match the filters (field: `ref`), by ref.
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
    /// The error of its calls.
    type Error: Coded + Send + Sync + 'static;

    /// The status of the ingest; the next byte goes to its offset.
    fn status(&self) -> Status;

    /// The digest (SHA-256) of the bytes that are written.
    fn digest(&mut self) -> impl Future<Output = Result<Digest, Self::Error>> + Send;

    /// Adds to the expected size or digest of the blob.
    fn expect(&mut self, expected: Expected) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Appends bytes.
    fn write(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Discards the bytes; the next write begins at offset 0.
    fn truncate(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a blob of the bytes. The blob and its labels are durable when this returns. After a failure the writer
    /// is useless; the caller may open the ingest again.
    fn commit(&mut self, commit: Commit) -> impl Future<Output = Result<Committed, Self::Error>> + Send;
}

/// Changes blobs.
pub trait Manage: Promise {
    /// Changes a blob's labels. Counts as a use of the blob.
    fn update(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        labels: &Relabel,
    ) -> impl Future<Output = Result<Info, Self::Error>> + Send;

    /// Deletes a blob from the owner's namespace, and from its lease.
    fn delete(&self, owner: &Owner, digest: &Digest) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The whole promise.
pub trait Store: Inspect + Provide + Ingest + Manage {}

impl<S: Inspect + Provide + Ingest + Manage> Store for S {}
