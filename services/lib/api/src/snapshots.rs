//! What snapshots promises: states of a file system, each on top of another or of nothing.
//!
//! ```text
//!            prepare                commit
//!   (none) ─────────▶ active key ─────────────▶ committed name ──┐ prepare, view: others on top
//!      │      view                                    ▲           │
//!      └────────────▶ view key                        └───────────┘
//!   remove: from any state to (none), unless others are on top
//! ```
//!
//! - An active snapshot is what is written to, by whoever mounts it; a view is looked at; a committed one never changes,
//!   and is all that others can be on top of. Active ones and views are known by keys, committed ones by names; a key and
//!   a name of one text would be the same snapshot, so the second to come is refused with `ALREADY_EXISTS`.
//! - A key's mounts show what is below it and what was written, and are the same each time. Nothing is mounted here: who
//!   asks for mounts makes them. A committed snapshot has none (`FAILED_PRECONDITION`): view it.
//! - A commit turns a key into a name: what was written is durable when it is answered. Where the name is taken, the
//!   active snapshot stays. Only an active one can be committed (`FAILED_PRECONDITION`).
//! - A parent is committed (`INVALID_ARGUMENT`), and stays as long as anything is on top of it (`FAILED_PRECONDITION`).
//! - Everything belongs to a namespace and a snapshotter: keys, names, labels, parents. How a snapshotter keeps its
//!   snapshots is its own affair; what it can do beyond this, introspection tells. One that is not known is
//!   `INVALID_ARGUMENT`, at each call.
//! - Who unpacks a layer may say by the label `containerd.io/snapshot.ref` what it will commit: where that is there on the
//!   same parent, preparing is refused with `ALREADY_EXISTS`, and it is used instead.
//! - What is made under a lease is kept by it, from the preparation on.
//! - What is not there is `NOT_FOUND`.

pub mod client;
pub(crate) mod convert;
mod info;
mod mount;
mod name;
pub mod server;
mod unpack;

use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace, Relabel};

pub use client::Client;
pub use info::{Info, Kind, Usage};
pub use mount::Mount;
pub use name::{SnapshotKey, SnapshotName, SnapshotRef};
pub use unpack::{Layer, Progress, Step, Unpack, Unpacking};

use crate::Promise;
pub use crate::owner::Owner;

/// Looks at snapshots.
pub trait Inspect: Promise {
    /// A snapshot as the namespace sees it.
    fn stat(
        &self,
        namespace: &Namespace,
        snapshot: &SnapshotRef,
    ) -> impl Future<Output = Result<Info, Self::Error>> + Send;

    /// The namespace's snapshots that pass the filters (fields: `kind`, `name`, `parent`, `labels`), by key or name.
    fn list(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Info>, Self::Error>> + Send;

    /// What a snapshot takes by itself, without those below it.
    fn usage(
        &self,
        namespace: &Namespace,
        snapshot: &SnapshotRef,
    ) -> impl Future<Output = Result<Usage, Self::Error>> + Send;
}

/// Makes snapshots that are mounted, and tells how.
pub trait Prepare: Promise {
    /// Makes an active snapshot on top of a parent, or an empty one.
    fn prepare(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> impl Future<Output = Result<Vec<Mount>, Self::Error>> + Send;

    /// Makes a view of a parent, or of nothing.
    fn view(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> impl Future<Output = Result<Vec<Mount>, Self::Error>> + Send;

    /// The mounts of an active snapshot or a view.
    fn mounts(
        &self,
        namespace: &Namespace,
        key: &SnapshotKey,
    ) -> impl Future<Output = Result<Vec<Mount>, Self::Error>> + Send;
}

/// Makes snapshots unchangeable.
pub trait Commit: Promise {
    /// Commits an active snapshot under a name. Its labels are these: those of the active one go with its key.
    ///
    /// A new parent may be given to a snapshot that was prepared without one, where the snapshotter can (`rebase`);
    /// `UNIMPLEMENTED` otherwise.
    fn commit(
        &self,
        owner: &Owner,
        name: &SnapshotName,
        key: &SnapshotKey,
        labels: Labels,
        rebase: Option<&SnapshotName>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Changes snapshots that are there.
pub trait Manage: Promise {
    /// Changes a snapshot's labels.
    fn update(
        &self,
        namespace: &Namespace,
        snapshot: &SnapshotRef,
        labels: &Relabel,
    ) -> impl Future<Output = Result<Info, Self::Error>> + Send;

    /// Removes a snapshot, and takes it off the owner's lease. What it took may become free a little later.
    fn remove(
        &self,
        owner: &Owner,
        snapshot: &SnapshotRef,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Frees what removed snapshots took, all namespaces', before it is answered.
    fn cleanup(&self, namespace: &Namespace) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// One snapshotter.
pub trait Snapshotter: Inspect + Prepare + Commit + Manage {}

impl<S: Inspect + Prepare + Commit + Manage> Snapshotter for S {}

/// All snapshotters of a service.
pub trait Service: Promise {
    /// One of them.
    type Snapshotter: Snapshotter<Error = Self::Error> + Clone + 'static;

    /// The snapshotter of a name. Whether it is known, its calls tell.
    fn snapshotter(&self, name: &str) -> Self::Snapshotter;

    /// The namespace that all calls to a snapshotter are in, whatever they say: a backend's, whose callers keep namespaces
    /// above it, and collect without one. None where callers name theirs.
    fn backend_namespace(&self, _name: &str) -> Option<Namespace> {
        None
    }
}
