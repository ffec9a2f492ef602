//! The handle of every call: records, drivers, names.
//!
//! A change has this order: reserve in the [`State`], so that no other call gets the same; write the record and
//! change the kernel concurrently; answer. A crash in between leaves a record without its kernel objects, or kernel
//! objects without their record. The next start recognizes both by name ([`crate::recover`]), so the two steps need
//! no order. Objects that a plugin makes cannot be recognized, so calls to plugins have an order ([`crate::owed`]).

use std::sync::Arc;

use gantry_disk::KeyedLocks;
use gantry_rpc::carry;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::dns::Resolver;
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ipam::Ipams;
use crate::netns::pool::NetnsPool;
use crate::record::Owed;
use crate::state::State;
use crate::store::Store;

/// The service's shared state. Cheap to clone.
#[derive(Clone)]
pub struct Controller(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// The lock guards the records in memory. It is never held across an await or a call that changes the kernel.
    pub(crate) state: Mutex<State>,
    pub(crate) store: Store,
    pub(crate) host: Arc<Host>,
    pub(crate) drivers: Drivers,
    pub(crate) ipams: Ipams,
    pub(crate) netns_pool: NetnsPool,
    pub(crate) dns: Resolver,
    /// Ends that plugins could not be told at once.
    pub(crate) owing: mpsc::Sender<Owed>,
    /// Serializes the changes of one network namespace.
    pub(crate) changing: KeyedLocks<String>,
}

/// Runs blocking work on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    carry::blocking(work).await.unwrap_or(Err(Error::ShuttingDown))
}
