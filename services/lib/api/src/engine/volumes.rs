//! Volumes: directories with names that outlive containers.
//!
//! ```text
//!            create                 remove
//!   (none) ─────────▶ volume ───────────────▶ (none)      refused while a container has it
//! ```
//!
//! - Creating is idempotent: what is there already is answered, unless it has another driver or other options
//!   (`ALREADY_EXISTS`). A volume without a name gets one, and is anonymous.
//! - What a container has, running or not, is not removed (`ABORTED`).
//! - A prune takes anonymous volumes that no container has; with the filter `all`, every one that no container has.
//! - A filter that does not exist is `INVALID_ARGUMENT`, and so is a name that cannot be one.
//! - What is not there is `NOT_FOUND`.

pub mod client;
pub mod server;

pub use client::Client;

use super::{Filter, Pruned, Volume, VolumeSpec};
use crate::Promise;

/// What a list of volumes tells of their use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Nothing.
    Untold,
    /// Their sizes, and how many containers have them.
    Measured,
}

/// Whether a volume whose content is not to be reached is removed all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// Looks at volumes.
pub trait Inspect: Promise {
    /// One volume.
    fn volume(&self, name: &str) -> impl Future<Output = Result<Volume, Self::Error>> + Send;

    /// The volumes that all filters choose.
    fn volumes(
        &self,
        filters: &[Filter],
        usage: Usage,
    ) -> impl Future<Output = Result<Vec<Volume>, Self::Error>> + Send;
}

/// Makes and removes volumes.
pub trait Manage: Promise {
    /// Makes a volume, or finds it made. It is durable when this returns.
    fn create_volume(&self, spec: VolumeSpec) -> impl Future<Output = Result<Volume, Self::Error>> + Send;

    /// Removes a volume that no container has, and all that is in it.
    fn remove_volume(&self, name: &str, force: Force)
    -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes what no container has.
    fn prune_volumes(&self, filters: &[Filter]) -> impl Future<Output = Result<Pruned, Self::Error>> + Send;
}

/// All of it.
pub trait Service: Inspect + Manage {}

impl<S: Inspect + Manage> Service for S {}
