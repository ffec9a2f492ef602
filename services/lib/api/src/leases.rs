//! What leases promise: that nothing is collected while somebody works on it.
//!
//! ```text
//!   create ──▶ lease ──▶ delete, or its label `containerd.io/gc.expire` passes
//!               │  ▲
//!           add │  │ remove
//!               ▼  │
//!             resource        kept, with all that its labels refer to
//! ```
//!
//! - A lease belongs to a namespace, and keeps what is named in it: blobs, ingests, images, snapshots. What it keeps need
//!   not be there yet.
//! - What was added when an add was answered outlives every collection, also the one under way, until the lease ends.
//! - A second lease of one id is refused with `ALREADY_EXISTS`; adding or removing the same thing twice is no error.
//! - What a lease that is gone kept may be collected at any time from then on; who deletes it may wait for that
//!   ([`Collect::Now`]).
//! - A type of resources that no store has is `UNIMPLEMENTED`; a lease that is not there is `NOT_FOUND`.

pub mod client;
mod convert;
mod resource;
pub mod server;

use std::borrow::Cow;
use std::time::SystemTime;

use gantry_types::filter::{self, Fields, FilterSet};
use gantry_types::{Labels, Namespace};

pub use client::Client;
pub use resource::{BadResource, Kind, Resource};

use crate::Promise;

/// Looks at leases.
pub trait Inspect: Promise {
    /// The namespace's leases that pass the filters (fields: `id`, `labels`), by id.
    fn list(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Lease>, Self::Error>> + Send;

    /// What a lease keeps.
    fn resources(
        &self,
        namespace: &Namespace,
        lease: &str,
    ) -> impl Future<Output = Result<Vec<Resource>, Self::Error>> + Send;
}

/// Makes leases, and ends them.
pub trait Manage: Promise {
    /// Makes a lease; without an id it gets one that no other has.
    fn create(
        &self,
        namespace: &Namespace,
        id: Option<&str>,
        labels: Labels,
    ) -> impl Future<Output = Result<Lease, Self::Error>> + Send;

    /// Ends a lease.
    fn delete(
        &self,
        namespace: &Namespace,
        lease: &str,
        collect: Collect,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Changes what a lease keeps.
pub trait Keep: Promise {
    /// Makes a lease keep something.
    fn add(
        &self,
        namespace: &Namespace,
        lease: &str,
        resource: &Resource,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a lease keep something no longer.
    fn remove(
        &self,
        namespace: &Namespace,
        lease: &str,
        resource: &Resource,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// All of it.
pub trait Store: Inspect + Manage + Keep {}

impl<S: Inspect + Manage + Keep> Store for S {}

/// A lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// Its id, unique in its namespace.
    pub id: String,
    /// When it was made.
    pub created_at: SystemTime,
    /// What clients noted of it, its expiry among it.
    pub labels: Labels,
}

impl Fields for Lease {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        match path.split_first() {
            Some((first, [])) if first == "id" => Some(self.id.as_str().into()),
            Some((first, key)) if first == "labels" => filter::label(&self.labels, key),
            _ => None,
        }
    }
}

/// When what a lease kept is collected that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collect {
    /// Before the answer.
    Now,
    /// Some time.
    Later,
}
