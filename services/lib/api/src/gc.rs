//! The promise of garbage collection, by the stores and by control: referenced resources stay, all others are
//! deleted.
//!
//! ```text
//!   a store, for one namespace                   control
//!
//!   begin ──▶ a mark: the store's present time   collect: begins at every store, scans all, marks what the
//!   scan  ──▶ resources and their references              roots reach, sweeps the rest
//!   sweep ──▶ unreached resources are deleted    hold:    ensures that what a record refers to exists and stays
//!   touch ──▶ the resources count as new
//! ```
//!
//! - A collection stops no other work. A sweep spares every resource that the store has created, changed or touched
//!   since it returned the mark, whatever the collector has found: a record may have referred to it since the scan.
//! - A mark is void after the store restarts, because the store then no longer knows what was used before. A sweep
//!   with such a mark removes nothing.
//! - Roots are images and leases (until the time in their label `containerd.io/gc.expire`), containers, resources
//!   with the label `containerd.io/gc.root`, and ingests that are being written. The references of a resource follow
//!   from its labels `containerd.io/gc.ref.*`, from an image's target, a container's root and a snapshot's parent. A
//!   label `containerd.io/gc.bref.*` states a reference at its other end. A lease with the label
//!   `containerd.io/gc.flat` keeps its resources, but not what they refer to. A label that does not parse is no
//!   reference; a referenced resource need not exist.
//! - A service that adds a reference writes its record first, then holds what the record refers to, and then
//!   acknowledges the record. When the hold fails with `NOT_FOUND`, the service undoes the record. So no acknowledged
//!   reference dangles, whichever collection is under way.
//! - Sweeping, touching and holding are idempotent. For a type that no store has, a touch reports the resource as
//!   missing, a sweep ignores it, and a hold is `INVALID_ARGUMENT`.

pub mod client;
mod convert;
mod resource;
pub mod server;

use std::collections::BTreeSet;

use gantry_types::Namespace;

pub use client::Client;
pub use resource::{Node, Resource, keepers, references};

use crate::Promise;

/// A store with resources that can be collected.
pub trait Collector: Promise {
    /// The namespaces in which the store has resources.
    fn namespaces(&self) -> impl Future<Output = Result<BTreeSet<Namespace>, Self::Error>> + Send;

    /// Begins a collection: a sweep with the returned mark spares what is created or touched from now on.
    fn begin(&self, namespace: &Namespace) -> impl Future<Output = Result<Mark, Self::Error>> + Send;

    /// Every resource of the namespace, with its references.
    fn scan(&self, namespace: &Namespace) -> impl Future<Output = Result<Vec<Node>, Self::Error>> + Send;

    /// Deletes unreached resources, except those that were created or touched since the mark, and those that another
    /// resource of the store needs. Their records are deleted durably when this returns; their bytes may be deleted
    /// later.
    fn sweep(
        &self,
        namespace: &Namespace,
        mark: Mark,
        unreached: Vec<Resource>,
    ) -> impl Future<Output = Result<Swept, Self::Error>> + Send;

    /// Marks resources as used now. Returns those that do not exist.
    fn touch(
        &self,
        namespace: &Namespace,
        resources: Vec<Resource>,
    ) -> impl Future<Output = Result<Vec<Resource>, Self::Error>> + Send;
}

/// Protects references from collections.
pub trait Hold: Promise {
    /// Holds what a record refers to that is written and not acknowledged: adds the resources, and all that they
    /// keep, to the marked ones of a collection under way, or waits for its sweep. `NOT_FOUND` when a resource does
    /// not exist.
    fn hold(
        &self,
        namespace: &Namespace,
        resources: Vec<Resource>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Runs collections.
pub trait Collect: Promise {
    /// Runs a collection of one namespace or of all, and returns when every store has swept.
    fn collect(
        &self,
        namespace: Option<&Namespace>,
    ) -> impl Future<Output = Result<Swept, Self::Error>> + Send;
}

/// A time of a store's own clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// The result of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// The deleted resources.
    pub removed: Vec<Resource>,
    /// Their size in bytes.
    pub freed: u64,
}

impl Swept {
    /// Adds the result of another sweep.
    pub fn add(&mut self, other: Swept) {
        self.removed.extend(other.removed);
        self.freed += other.freed;
    }
}
