//! The handle that every call works through: records, drivers, names.
//!
//! Order of a change: reserve in the [`State`] (nobody else can have it), write the record and change the kernel side by
//! side, then answer. A crash in between leaves either a record without its kernel objects or kernel objects without
//! their record; both are recognised by name when the service starts ([`crate::recover`]), so neither has to wait for
//! the other.

use std::sync::Arc;

use gantry_disk::KeyedLocks;
use parking_lot::Mutex;

use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ipam::Ipams;
use crate::names::Names;
use crate::netns::pool::NetnsPool;
use crate::state::State;
use crate::store::Store;

/// The service's shared state. Cheap to clone.
#[derive(Clone)]
pub struct Controller(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// Guards the records in memory; never held across an await or a kernel call that changes anything.
    pub(crate) state: Mutex<State>,
    pub(crate) store: Store,
    pub(crate) host: Arc<Host>,
    pub(crate) drivers: Drivers,
    pub(crate) ipams: Ipams,
    pub(crate) netns_pool: NetnsPool,
    pub(crate) names: Names,
    /// One change of a netns at a time.
    pub(crate) changing: KeyedLocks<String>,
}

/// Runs work that blocks for a while.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Error::ShuttingDown,
    })?
}
