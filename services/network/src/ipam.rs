//! IPAM drivers: who gives out subnets and the addresses in them.
//!
//! ```text
//! request_pool → request_address ⇄ release_address → release_pool
//! ```
//!
//! An allocator may have to ask others (a plugin, a store that machines share): nothing is locked while it is awaited.
//! What is given out is on record with the network or the endpoint that has it. An allocator that keeps nothing itself,
//! like the [`default`](Local) one, is asked again at start for all that is on record, by name.

mod allocation;
mod local;
pub mod pool;
pub mod subnet;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::gateway::Family;

pub use allocation::{allocate, release, release_pools, request_pools};
pub use local::Local;

/// A subnet to be given.
#[derive(Clone, Debug)]
pub struct PoolRequest {
    /// Of these addresses.
    pub family: Family,
    /// The subnet; none for one that the allocator chooses.
    pub subnet: Option<IpNet>,
    /// The part of it that addresses are chosen from.
    pub range: Option<IpNet>,
    /// What must not be chosen, since the host has other uses for it.
    pub avoid: Vec<IpNet>,
    /// The allocator's options, as the user gave them.
    pub options: HashMap<String, String>,
}

/// A subnet that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPool {
    /// What the allocator calls it.
    pub id: String,
    /// The subnet.
    pub subnet: IpNet,
}

/// An allocator of subnets and addresses.
#[tonic::async_trait]
pub trait Ipam: Debug + Send + Sync {
    /// Its name in records and requests.
    fn name(&self) -> &'static str;

    /// Gives a subnet.
    ///
    /// # Errors
    /// [`Error::PoolOverlaps`] with one that was given before; [`Error::PoolsUsedUp`] when there is none to choose.
    async fn request_pool(&self, request: PoolRequest) -> Result<GivenPool>;

    /// Takes a subnet back, with all its addresses. One that was not given is no error.
    async fn release_pool(&self, pool: &str) -> Result<()>;

    /// Gives an address of a pool: this one, or any. Nothing when it is taken, or when none is left.
    async fn request_address(&self, pool: &str, wanted: Option<IpAddr>) -> Result<Option<IpAddr>>;

    /// Takes an address back. One that was not given is no error.
    async fn release_address(&self, pool: &str, address: IpAddr) -> Result<()>;
}

/// The allocators by name: the one place where they are chosen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ipams(Arc<BTreeMap<&'static str, Arc<dyn Ipam>>>);

/// The allocator of a network whose maker names none.
pub const DEFAULT: &str = "default";
/// Allocators of Docker's that are not built.
const NOT_BUILT: [&str; 1] = ["null"];

impl Ipams {
    /// Allocators to choose from.
    pub fn new(allocators: impl IntoIterator<Item = Arc<dyn Ipam>>) -> Self {
        Ipams(Arc::new(allocators.into_iter().map(|allocator| (allocator.name(), allocator)).collect()))
    }

    /// The allocator of a name; the default one for an empty name.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Ipam>> {
        let name = if name.is_empty() { DEFAULT } else { name };
        self.0.get(name).cloned().ok_or_else(|| match NOT_BUILT.contains(&name) {
            true => Error::Invalid(format!("IPAM driver {name:?} is not implemented: use {DEFAULT}")),
            false => Error::DriverUnknown(name.to_owned()),
        })
    }
}
