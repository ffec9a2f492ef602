//! The interface to the records of containers: what a task is created from, as containerd's clients know it.
//!
//! - An id is unique in its namespace: a second record of the id is `ALREADY_EXISTS`. A record names a runtime and has a
//!   specification; one with a snapshot key names a snapshotter, too. Anything else, and a label that is too long, is
//!   `INVALID_ARGUMENT`, and changes nothing.
//! - The specification, the options of the runtime and the extensions are the clients': they are kept byte for byte.
//! - A record keeps its snapshot, its image and what its labels refer to from garbage collection. None of them needs to
//!   exist when the record is created; the record keeps them once they exist.
//! - The id, the snapshotter, the runtime, the sandbox and the time of creation never change. A change of anything else
//!   moves the time of the last change. An update that names nothing returns the record. Times in requests are ignored.
//! - A record may be deleted while the container has a task, which goes on.
//! - A record that does not exist is `NOT_FOUND`, and so is an invalid id. One that cannot be read is `DATA_LOSS`; it is
//!   left out of lists, and may be deleted.

pub mod client;
mod convert;
mod record;
pub mod server;
mod update;

use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, Namespace};

pub use client::Client;
pub use record::{Container, InvalidRecord, Record, Runtime};
pub use update::{Extensions, Part, Update};

use crate::Promise;

/// Reads records.
pub trait Inspect: Promise {
    /// Returns the record of a container.
    fn record(
        &self,
        namespace: &Namespace,
        id: &ContainerId,
    ) -> impl Future<Output = Result<Record, Self::Error>> + Send;

    /// Returns the namespace's records that match the filters (fields: `id`, `image`, `runtime.name`, `labels`), by id.
    /// They may be longer together than a message.
    fn records(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Record>, Self::Error>> + Send;
}

/// Creates, changes and deletes records.
pub trait Manage: Promise {
    /// Creates a record. It is durable when this returns.
    fn create_record(
        &self,
        namespace: &Namespace,
        container: Container,
    ) -> impl Future<Output = Result<Record, Self::Error>> + Send;

    /// Changes a record.
    fn update_record(
        &self,
        namespace: &Namespace,
        id: &ContainerId,
        update: Update,
    ) -> impl Future<Output = Result<Record, Self::Error>> + Send;

    /// Deletes a record.
    fn delete_record(
        &self,
        namespace: &Namespace,
        id: &ContainerId,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The complete interface.
pub trait Store: Inspect + Manage {}

impl<S: Inspect + Manage> Store for S {}
