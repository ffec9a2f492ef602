//! The promise of leases: garbage collection spares what a lease keeps.
//!
//! ```text
//!   create ──▶ lease ──▶ delete, or its label `containerd.io/gc.expire` passes
//!               │  ▲
//!           add │  │ remove
//!               ▼  │
//!             resource        kept, with all that its labels refer to
//!              resource        kept, with everything that its labels refer to
//!
//! - A lease belongs to a namespace, and keeps blobs, ingests, images and snapshots of it. A resource need not exist
//!   yet when it is added.
//! - A resource survives every collection from the moment at which the add has returned until the lease ends, also a
//!   collection that was under way.
//! - Creating a second lease with an id is `ALREADY_EXISTS`. Adding or removing a resource twice is no error.
//! - The resources of a deleted lease may be collected at any time; the deletion may wait for that
//!   ([`Collect::Now`]).
//! - A resource type that no store has is `UNIMPLEMENTED`; a missing lease is `NOT_FOUND`.

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

/// Finds leases.
pub trait Inspect: Promise {
    /// The namespace's leases that match the filters (fields: `id`, `labels`), by id.
    fn list(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Lease>, Self::Error>> + Send;

    /// The resources of a lease.
    fn resources(
        &self,
        namespace: &Namespace,
        lease: &str,
    ) -> impl Future<Output = Result<Vec<Resource>, Self::Error>> + Send;
}

/// Creates and deletes leases.
pub trait Manage: Promise {
    /// Creates a lease. Without an id, the lease gets a new one.
    fn create(
        &self,
        namespace: &Namespace,
        id: Option<&str>,
        labels: Labels,
    ) -> impl Future<Output = Result<Lease, Self::Error>> + Send;

    /// Deletes a lease.
    fn delete(
        &self,
        namespace: &Namespace,
        lease: &str,
        collect: Collect,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Changes the resources of a lease.
pub trait Keep: Promise {
    /// Adds a resource to a lease.
    fn add(
        &self,
        namespace: &Namespace,
        lease: &str,
        resource: &Resource,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes a resource from a lease.
    fn remove(
        &self,
        namespace: &Namespace,
        lease: &str,
        resource: &Resource,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The whole promise.
pub trait Store: Inspect + Manage + Keep {}

impl<S: Inspect + Manage + Keep> Store for S {}

/// A lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// Its id, unique in its namespace.
    pub id: String,
    /// When it was created.
    pub created_at: SystemTime,
    /// The labels that clients have set, among them its expiry.
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

/// When the resources of a deleted lease are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collect {
    /// Before the call returns.
    Now,
    /// At the next collection.
    Later,
}
