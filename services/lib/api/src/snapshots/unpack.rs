//! Layers unpacked while they arrive.
//!
//! - Each layer is committed under its chain id, those below it first, once content has proved its blob and its uncompressed
//!   bytes have proved to be what was said (`FAILED_PRECONDITION`). What is no layer is `INVALID_ARGUMENT`.
//! - A blob that neither is there nor arrives is `NOT_FOUND`; one that arrives is followed, however often it begins anew.
//! - Layers that are there are not unpacked again; those that somebody else unpacks are waited for.
//! - Who drops the unpacking gives up what is not committed.

use gantry_rpc::Coded;
use gantry_types::{DiffId, Digest};

use super::{Owner, SnapshotName};
use crate::Promise;
use crate::content::IngestRef;

/// Unpacks the layers of images.
pub trait Unpack: Promise {
    /// Layers on their way, until it is dropped.
    type Unpacking: Unpacking<Error = Self::Error> + 'static;

    /// Begins to unpack a stack, base first, into a snapshotter, or the default one.
    fn unpack(
        &self,
        owner: &Owner,
        snapshotter: Option<&str>,
        layers: Vec<Layer>,
    ) -> impl Future<Output = Result<Self::Unpacking, Self::Error>> + Send;
}

/// Tells how far layers are.
pub trait Unpacking: Send {
    /// What it fails with.
    type Error: Coded + Send + Sync + 'static;

    /// The latest of some layer that was not told yet; none when all are committed. Who asks seldom misses some.
    fn next(&mut self) -> impl Future<Output = Result<Option<Progress>, Self::Error>> + Send;
}

/// One layer of a stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its blob.
    pub blob: Digest,
    /// The blob's length; 0 when it is not known.
    pub size: u64,
    /// The ingest under which the blob arrives, if it is not there.
    pub reference: Option<IngestRef>,
    /// What its uncompressed bytes must be.
    pub diff_id: DiffId,
}

/// How far a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its place in the stack.
    pub layer: usize,
    /// What happens to it.
    pub step: Step,
    /// Compressed bytes read.
    pub offset: u64,
    /// Compressed bytes in all.
    pub total: u64,
    /// What it is committed as: its chain id.
    pub chain: SnapshotName,
}

/// What happens to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its bytes have not begun to arrive, or somebody else is at it.
    Waiting,
    /// Its bytes are being unpacked.
    Extracting,
    /// It is committed.
    Extracted,
    /// It was there.
    Exists,
}
