//! What diff promises: layers applied onto mounts, and taken from them.
//!
//! ```text
//!   layer (a blob) ── apply ──▶ what mounts show        what mounts show, before and after ── diff ──▶ layer
//! ```
//!
//! - Layers are blobs of content's, in the caller's namespace; one that is not there is `NOT_FOUND`. What is made is
//!   committed, labelled with its uncompressed digest (`containerd.io/uncompressed`), when it is answered, and kept by the
//!   caller's lease.
//! - Applying a layer that was taken gives what it was taken from. It is not undone when it fails in the middle: its
//!   caller throws away what it was applied onto.
//! - Mounts are made where nobody else sees them, for the time of the call.
//! - A media type that is no layer's is `UNIMPLEMENTED`: another differ may know it.

pub mod client;
pub(crate) mod convert;
pub mod server;

use std::time::SystemTime;

use gantry_types::{Descriptor, Labels};

pub use client::Client;

use crate::Promise;
pub use crate::owner::Owner;
use crate::snapshots::Mount;

/// Applies layers.
pub trait Apply: Promise {
    /// Applies a layer's blob onto mounts; tells what the layer is when it is not compressed.
    fn apply(
        &self,
        owner: &Owner,
        layer: &Descriptor,
        mounts: Vec<Mount>,
        durable: Durable,
    ) -> impl Future<Output = Result<Descriptor, Self::Error>> + Send;
}

/// Takes layers.
pub trait Compare: Promise {
    /// Makes a layer of what differs, and commits it as a blob.
    fn diff(
        &self,
        owner: &Owner,
        difference: Difference,
    ) -> impl Future<Output = Result<Descriptor, Self::Error>> + Send;
}

/// Both.
pub trait Differ: Apply + Compare {}

impl<D: Apply + Compare> Differ for D {}

/// Whether what was written must be on disk before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// It must.
    Yes,
    /// The caller sees to it.
    No,
}

/// What a layer is to be made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// The mounts of the state before; none for an empty one.
    pub left: Vec<Mount>,
    /// The mounts of the state after.
    pub right: Vec<Mount>,
    /// The layer's media type; none for gzip.
    pub media_type: Option<String>,
    /// The ingest's name; none for one that nobody else has.
    pub reference: Option<String>,
    /// Labels of the blob.
    pub labels: Labels,
    /// No entry is younger than this.
    pub newest: Option<SystemTime>,
}
