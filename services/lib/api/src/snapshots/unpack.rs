//! Unpacking of layers while they arrive.
//!
//! - A layer is committed under its chain id after the layers below it, when content has verified its blob and the
//!   digest of its uncompressed bytes is its diff-id (`FAILED_PRECONDITION`). A blob that is no layer is
//!   `INVALID_ARGUMENT`.
//! - A blob that neither exists nor arrives is `NOT_FOUND`. A blob that arrives is followed, however often its ingest
//!   begins again.
//! - Layers that exist are not unpacked again. Layers that another call unpacks are waited for.
//! - Dropping the unpacking discards what is not committed.

use gantry_rpc::Coded;
use gantry_types::{DiffId, Digest};

use super::{Owner, SnapshotName};
use crate::Promise;
use crate::content::IngestRef;

/// Unpacks the layers of images.
pub trait Unpack: Promise {
    /// An unpacking, until it is dropped.
    type Unpacking: Unpacking<Error = Self::Error> + 'static;

    /// Begins to unpack a stack of layers, the base first, into a snapshotter, or into the default one.
    fn unpack(
        &self,
        owner: &Owner,
        snapshotter: Option<&str>,
        layers: Vec<Layer>,
    ) -> impl Future<Output = Result<Self::Unpacking, Self::Error>> + Send;
}

/// Reports the progress of layers.
pub trait Unpacking: Send {
    /// The error of an unpacking.
    type Error: Coded + Send + Sync + 'static;

    /// The latest state of a layer that was not reported yet; `None` when all layers are committed. A caller that
    /// asks seldom misses states.
    fn next(&mut self) -> impl Future<Output = Result<Option<Progress>, Self::Error>> + Send;
}

/// One layer of a stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The digest of its blob.
    pub blob: Digest,
    /// The blob's size in bytes; 0 when unknown.
    pub size: u64,
    /// The ingest that receives the blob; `None` when the blob exists.
    pub reference: Option<IngestRef>,
    /// The digest that the uncompressed bytes must have.
    pub diff_id: DiffId,
}

/// The state of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its index in the stack.
    pub layer: usize,
    /// The present step.
    pub step: Step,
    /// Compressed bytes read.
    pub offset: u64,
    /// Compressed bytes in all.
    pub total: u64,
    /// The name that it is committed under: its chain id.
    pub chain: SnapshotName,
}

/// A step of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its bytes have not begun to arrive, or another call unpacks it.
    Waiting,
    /// Its bytes are being unpacked.
    Extracting,
    /// It is committed.
    Extracted,
    /// It existed.
    Exists,
}
