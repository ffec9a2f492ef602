//! The promise of snapshots: states of a file system, each on top of a parent or empty.
//!
//! ```text
//!            prepare                commit
//!   (none) ─────────▶ active key ─────────────▶ committed name ──┐ prepare, view: children
//!      │      view                                    ▲           │
//!      └────────────▶ view key                        └───────────┘
//!   remove: from any state to (none), unless there are children
//! ```
//!
//! - Clients mount an active snapshot to write to it, and a view to read it. A committed snapshot never changes, and
//!   only a committed one can be a parent. Active snapshots and views have keys, committed ones have names. Keys and
//!   names share one space: making a snapshot with a key or a name that exists is `ALREADY_EXISTS`.
//! - The mounts of a key show the parent and what was written, and are the same each time. The service mounts
//!   nothing; the client does. A committed snapshot has no mounts (`FAILED_PRECONDITION`): a client makes a view of
//!   it.
//! - A commit turns a key into a name; what was written is durable when it returns. When the name exists, the active
//!   snapshot stays. Committing a snapshot that is not active is `FAILED_PRECONDITION`.
//! - A parent that is not committed is `INVALID_ARGUMENT`. Removing a snapshot with children is
//!   `FAILED_PRECONDITION`.
//! - Keys, names, labels and parents belong to a namespace and a snapshotter. How a snapshotter stores its snapshots
//!   is its own affair; introspection tells its further capabilities. Every call to an unknown snapshotter is
//!   `INVALID_ARGUMENT`.
//! - A client that unpacks a layer may name the future commit in the label `containerd.io/snapshot.ref`. When that
//!   snapshot exists on the same parent, preparing is `ALREADY_EXISTS`, and the client uses the existing one.
//! - A lease keeps the snapshots that are made under it, from the preparation on.
//! - A missing snapshot is `NOT_FOUND`.

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

/// Finds snapshots.
pub trait Inspect: Promise {
    /// A snapshot, as the namespace sees it.
    fn stat(
        &self,
        namespace: &Namespace,
        snapshot: &SnapshotRef,
    ) -> impl Future<Output = Result<Info, Self::Error>> + Send;

    /// The namespace's snapshots that match the filters (fields: `kind`, `name`, `parent`, `labels`), by key or name.
    fn list(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Info>, Self::Error>> + Send;

    /// The size of a snapshot, without its parents.
    fn usage(
        &self,
        namespace: &Namespace,
        snapshot: &SnapshotRef,
    ) -> impl Future<Output = Result<Usage, Self::Error>> + Send;
}

/// Makes snapshots with mounts.
pub trait Prepare: Promise {
    /// Makes an active snapshot on top of a parent, or an empty one.
    fn prepare(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> impl Future<Output = Result<Vec<Mount>, Self::Error>> + Send;

    /// Makes a view of a parent, or an empty one.
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

/// Commits snapshots.
pub trait Commit: Promise {
    /// Commits an active snapshot under a name. The labels are the new ones; those of the active snapshot end with
    /// its key.
    ///
    /// A snapshot that was prepared without a parent may get one here, if the snapshotter can do that (`rebase`);
    /// otherwise it is `UNIMPLEMENTED`.
    fn commit(
        &self,
        owner: &Owner,
        name: &SnapshotName,
        key: &SnapshotKey,
        labels: Labels,
        rebase: Option<&SnapshotName>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Changes snapshots.
pub trait Manage: Promise {
    /// Changes a snapshot's labels.
    fn update(
        &self,
        namespace: &Namespace,
        snapshot: &SnapshotRef,
        labels: &Relabel,
    ) -> impl Future<Output = Result<Info, Self::Error>> + Send;

    /// Removes a snapshot, also from the owner's lease. Its space may become free a little later.
    fn remove(
        &self,
        owner: &Owner,
        snapshot: &SnapshotRef,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Frees the space of removed snapshots of all namespaces, and returns then.
    fn cleanup(&self, namespace: &Namespace) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// One snapshotter.
pub trait Snapshotter: Inspect + Prepare + Commit + Manage {}

impl<S: Inspect + Prepare + Commit + Manage> Snapshotter for S {}

/// A service with its snapshotters.
pub trait Service: Promise {
    /// A snapshotter.
    type Snapshotter: Snapshotter<Error = Self::Error> + Clone + 'static;

    /// The snapshotter of a name. Its calls fail if the name is unknown.
    fn snapshotter(&self, name: &str) -> Self::Snapshotter;

    /// The namespace of all calls to a backend, whatever namespace they name: the backend's clients manage namespaces
    /// themselves, and collect without one. `None` for a snapshotter whose clients name their namespace.
    fn backend_namespace(&self, _name: &str) -> Option<Namespace> {
        None
    }
}
