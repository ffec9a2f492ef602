//! The promise of diff: layers applied onto mounts, and made from mounts.
//!
//! ```text
//!   layer (a blob) ── apply ──▶ mounts        mounts, before and after ── diff ──▶ layer
//! ```
//!
//! - Layers are blobs of the caller's namespace; a missing one is `NOT_FOUND`. A layer that diff makes is committed
//!   when diff returns, has its uncompressed digest as a label (`containerd.io/uncompressed`), and is kept by the
//!   caller's lease.
//! - Applying a layer that diff has made reproduces the state that it was made from. An apply that fails is not
//!   undone: the caller discards the snapshot.
//! - Mounts are made where no other process sees them, for the time of the call.
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
    /// Applies a layer's blob onto mounts. Returns the descriptor of the uncompressed layer.
    fn apply(
        &self,
        owner: &Owner,
        layer: &Descriptor,
        mounts: Vec<Mount>,
        durable: Durable,
    ) -> impl Future<Output = Result<Descriptor, Self::Error>> + Send;
}

/// Makes layers.
pub trait Compare: Promise {
    /// Makes a layer of the differences, and commits it as a blob.
    fn diff(
        &self,
        owner: &Owner,
        difference: Difference,
    ) -> impl Future<Output = Result<Descriptor, Self::Error>> + Send;
}

/// The whole promise.
pub trait Differ: Apply + Compare {}

impl<D: Apply + Compare> Differ for D {}

/// Whether written files must be on disk when the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// They must.
    Yes,
    /// The caller syncs them.
    No,
}

/// The parameters of a new layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// The mounts of the state before; empty for an empty one.
    pub left: Vec<Mount>,
    /// The mounts of the state after.
    pub right: Vec<Mount>,
    /// The layer's media type; `None`: gzip.
    pub media_type: Option<String>,
    /// The name of the ingest; `None`: one that no other ingest has.
    pub reference: Option<String>,
    /// Labels of the blob.
    pub labels: Labels,
    /// No entry has a later time than this.
    pub newest: Option<SystemTime>,
}
