//! What stores promise that are collected, and whoever collects them: that what is referred to stays, and the rest goes.
//!
//! ```text
//!   of a store, for one namespace                of control
//!
//!   begin ──▶ a mark of its now                  collect: begin at every store, scan all, mark what the roots
//!   scan  ──▶ what there is, what it keeps                reach, sweep the rest
//!   sweep ──▶ what is unreached goes             hold:    what a record refers to is there, and stays
//!   touch ──▶ what is named counts as new
//! ```
//!
//! - Nobody's work is stopped. What a store made, changed or touched since it gave its mark survives the sweep of that
//!   mark, whatever the collector believes: it may have been referred to since the scan.
//! - A mark is one process's. After a start nothing is known of what was used before, so a sweep with an older mark
//!   removes nothing.
//! - Roots are what is kept for its own sake: images and leases (until their label `containerd.io/gc.expire` has passed),
//!   containers, what is labelled `containerd.io/gc.root`, what somebody is writing. What they keep follows from the
//!   labels `containerd.io/gc.ref.*`, from an image's target, a container's root and a snapshot's parent; a label
//!   `containerd.io/gc.bref.*` says the same of the other end. A lease labelled `containerd.io/gc.flat` keeps what it
//!   names, and not what that refers to. What does not parse refers to nothing; what is referred to need not exist.
//! - Who writes a reference writes its record first, then holds what it refers to, and only then acknowledges: when that
//!   is `NOT_FOUND`, the record is undone. So no reference is acknowledged that dangles, whichever collection is under
//!   way.
//! - Sweeping, touching and holding the same twice is no error. What is of no kind that a store has is missing for a
//!   touch and left alone by a sweep; a hold of it is `INVALID_ARGUMENT`.

pub mod client;
mod convert;
mod resource;
pub mod server;

use std::collections::BTreeSet;

use gantry_types::Namespace;

pub use client::Client;
pub use resource::{Node, Resource, keepers, references};

use crate::Promise;

/// A store that is collected.
pub trait Collector: Promise {
    /// Every namespace in which the store has something.
    fn namespaces(&self) -> impl Future<Output = Result<BTreeSet<Namespace>, Self::Error>> + Send;

    /// Begins a collection: what is made or touched from now on survives the sweep with this mark.
    fn begin(&self, namespace: &Namespace) -> impl Future<Output = Result<Mark, Self::Error>> + Send;

    /// Everything in the namespace, with what keeps it.
    fn scan(&self, namespace: &Namespace) -> impl Future<Output = Result<Vec<Node>, Self::Error>> + Send;

    /// Removes what is unreached, but what was made or touched since the mark, and what another of its own things needs.
    /// The records are gone for good when this returns; bytes may follow later.
    fn sweep(
        &self,
        namespace: &Namespace,
        mark: Mark,
        unreached: Vec<Resource>,
    ) -> impl Future<Output = Result<Swept, Self::Error>> + Send;

    /// Counts these as used now; returns those that are not there.
    fn touch(
        &self,
        namespace: &Namespace,
        resources: Vec<Resource>,
    ) -> impl Future<Output = Result<Vec<Resource>, Self::Error>> + Send;
}

/// Whoever protects references from collections.
pub trait Hold: Promise {
    /// Holds what a record refers to that was written and is not acknowledged yet: adds it, and all that it keeps, to a
    /// collection under way, or waits out its sweep. `NOT_FOUND` when one is gone.
    fn hold(
        &self,
        namespace: &Namespace,
        resources: Vec<Resource>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Whoever collects.
pub trait Collect: Promise {
    /// Runs a collection now, of one namespace or of all, and returns when its sweep is done.
    fn collect(
        &self,
        namespace: Option<&Namespace>,
    ) -> impl Future<Output = Result<Swept, Self::Error>> + Send;
}

/// A store's own now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// What a sweep removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// The things.
    pub removed: Vec<Resource>,
    /// The bytes that they had.
    pub freed: u64,
}

impl Swept {
    /// Adds what another sweep removed.
    pub fn add(&mut self, other: Swept) {
        self.removed.extend(other.removed);
        self.freed += other.freed;
    }
}
