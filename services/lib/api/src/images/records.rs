//! The interface to image records: names and their targets, as containerd's clients know them.
//!
//! - A name is any text but the empty one, and unique in its namespace: a second record of the name is
//!   `ALREADY_EXISTS`. A target has a media type and a size (`INVALID_ARGUMENT`).
//! - The target of a record need not exist yet. Once it exists, the record keeps it, and everything that it refers
//!   to, from garbage collection.
//! - An update that does not name the target keeps it. An update that changes nothing returns the record.
//! - A deletion may state the expected target: if the record points elsewhere, the error is `NOT_FOUND`, and the
//!   record stays. After the deletion, its content may be collected at any time; the client may wait for the
//!   collection.
//! - A record that does not exist is `NOT_FOUND`.

use gantry_types::filter::FilterSet;
use gantry_types::{Digest, Namespace};

use super::{NewRecord, Record, RecordUpdate};
use crate::Promise;
pub use crate::leases::Collect;

/// Reads records.
pub trait Inspect: Promise {
    /// Returns the record of a name.
    fn record(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> impl Future<Output = Result<Record, Self::Error>> + Send;

    /// Returns the namespace's records that match the filters (fields: `name`, `target.digest`, `target.mediatype`,
    /// `labels`, `annotations`), by name.
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
        record: NewRecord,
    ) -> impl Future<Output = Result<Record, Self::Error>> + Send;

    /// Changes a record.
    fn update_record(
        &self,
        namespace: &Namespace,
        name: &str,
        update: RecordUpdate,
    ) -> impl Future<Output = Result<Record, Self::Error>> + Send;

    /// Deletes a record, if it points at the `expected` target.
    fn delete_record(
        &self,
        namespace: &Namespace,
        name: &str,
        expected: Option<&Digest>,
        collect: Collect,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The complete interface.
pub trait Store: Inspect + Manage {}

impl<S: Inspect + Manage> Store for S {}
