//! The interface to volumes: named directories that outlive containers.
//!
//! ```text
//!            create                 remove
//!   (none) ─────────▶ volume ───────────────▶ (none)      refused while a container has it
//! ```
//!
//! - Creation is idempotent: an existing volume is returned, unless it has another driver or other options
//!   (`ALREADY_EXISTS`). A volume without a name gets one and is anonymous.
//! - A volume that a container has, running or not, is not removed (`ABORTED`).
//! - A prune removes anonymous volumes that no container has, and with the filter `all` every volume that no
//!   container has. It never removes a volume that was made with options: its content is on another file system, so
//!   its removal frees no space.
//! - An unknown filter is `INVALID_ARGUMENT`, and so is an invalid name.
//! - A volume that does not exist is `NOT_FOUND`.

pub mod client;
pub mod server;

pub use client::Client;

use super::{Filter, Pruned, Volume, VolumeSpec};
use crate::Promise;

/// Whether a list of volumes includes their usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Usage is left out.
    Untold,
    /// Sizes, and the number of containers that have each volume.
    Measured,
}

/// Whether a volume is removed although its content cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// The volume is removed.
    Yes,
    /// The removal fails.
    No,
}

/// Reads volumes.
pub trait Inspect: Promise {
    /// Returns one volume.
    fn volume(&self, name: &str) -> impl Future<Output = Result<Volume, Self::Error>> + Send;

    /// Returns the volumes that match all filters.
    fn volumes(
        &self,
        filters: &[Filter],
        usage: Usage,
    ) -> impl Future<Output = Result<Vec<Volume>, Self::Error>> + Send;
}

/// Creates and removes volumes.
pub trait Manage: Promise {
    /// Creates a volume, or returns the existing one. The volume is durable when this returns.
    fn create_volume(&self, spec: VolumeSpec) -> impl Future<Output = Result<Volume, Self::Error>> + Send;

    /// Removes a volume that no container has, with its content.
    fn remove_volume(&self, name: &str, force: Force)
    -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes volumes that no container has.
    fn prune_volumes(&self, filters: &[Filter]) -> impl Future<Output = Result<Pruned, Self::Error>> + Send;
}

/// The complete interface.
pub trait Service: Inspect + Manage {}

impl<S: Inspect + Manage> Service for S {}
