//! IPAM drivers, which allocate subnets and addresses.
//!
//! ```text
//! request_pool → request_address ⇄ release_address → release_pool
//! ```
//!
//! An IPAM driver may have to ask others (a plugin, a store that hosts share), so no lock is held during a call. The
//! allocations are recorded with the network or the endpoint that has them. At the start, the service requests every
//! recorded allocation again from a driver that keeps none itself, such as the [`default`](Local) one.

mod allocation;
mod local;
mod plugin;
pub mod pool;
pub mod subnet;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gantry_plugin::{Plugins, interface};
use ipnet::IpNet;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::gateway::Family;

pub use allocation::{allocate, release, release_pools, request_pools};
pub use local::Local;
pub use plugin::Distant;

/// A request for a subnet.
#[derive(Clone, Debug)]
pub struct PoolRequest {
    /// The address family.
    pub family: Family,
    /// The subnet; `None`: the driver chooses.
    pub subnet: Option<IpNet>,
    /// The part of the subnet that addresses are allocated from.
    pub range: Option<IpNet>,
    /// Subnets that the driver must not choose, because the host uses them.
    pub avoid: Vec<IpNet>,
    /// The driver's options, as the user gave them.
    pub options: HashMap<String, String>,
}

/// An allocated subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPool {
    /// The driver's id of the pool.
    pub id: String,
    /// The subnet.
    pub subnet: IpNet,
}

/// The purpose of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// A network's gateway.
    Gateway,
    /// An endpoint with this MAC address; empty when the endpoint has none yet.
    Endpoint {
        /// As `02:42:ac:11:00:02`.
        mac: &'a str,
    },
    /// An address outside of Gantry, which no container gets.
    Auxiliary,
}

/// An IPAM driver.
#[tonic::async_trait]
pub trait Ipam: Debug + Send + Sync {
    /// The driver's name in records and requests.
    fn name(&self) -> &str;

    /// Whether the driver keeps its allocations. From a driver that does not, the service requests the recorded ones
    /// again at the start.
    fn keeps(&self) -> bool {
        false
    }

    /// Whether the driver chooses a network's gateway; otherwise it is the first address of the subnet or of its
    /// range.
    fn chooses_gateways(&self) -> bool {
        false
    }

    /// Whether the driver allocates by MAC address: an endpoint then needs its MAC address before.
    fn wants_mac(&self) -> bool {
        false
    }

    /// Allocates a subnet.
    ///
    /// # Errors
    /// [`Error::PoolOverlaps`] with an allocated subnet; [`Error::PoolsUsedUp`] when the driver has none to choose.
    async fn request_pool(&self, request: PoolRequest) -> Result<GivenPool>;

    /// Releases a subnet with all its addresses. One that is not allocated is no error.
    async fn release_pool(&self, pool: &str) -> Result<()>;

    /// Allocates an address of a pool: the given one, or any. Returns `None` when it is taken, or none is free.
    async fn request_address(
        &self,
        pool: &str,
        wanted: Option<IpAddr>,
        purpose: Purpose<'_>,
    ) -> Result<Option<IpAddr>>;

    /// Releases an address. One that is not allocated is no error.
    async fn release_address(&self, pool: &str, address: IpAddr) -> Result<()>;
}

/// The IPAM drivers by name: the only place that chooses one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ipams {
    own: Arc<BTreeMap<String, Arc<dyn Ipam>>>,
    plugins: Plugins,
    /// Plugins whose capabilities are known. Guards single edits.
    known: Arc<Mutex<BTreeMap<String, Arc<Distant>>>>,
}

/// The driver of a network whose creator names none.
pub const DEFAULT: &str = "default";
/// How long a plugin may take at the start.
const GLANCE: Duration = Duration::from_secs(5);
/// IPAM drivers of Docker's that are not implemented.
const NOT_BUILT: [&str; 1] = ["null"];

impl Ipams {
    /// These drivers, and plugins.
    pub fn new(allocators: impl IntoIterator<Item = Arc<dyn Ipam>>, plugins: Plugins) -> Self {
        let own = allocators.into_iter().map(|allocator| (allocator.name().to_owned(), allocator)).collect();
        Ipams { own: Arc::new(own), plugins, known: Arc::default() }
    }

    /// The driver of a name; the default one for an empty name.
    pub async fn get(&self, name: &str) -> Result<Arc<dyn Ipam>> {
        let name = if name.is_empty() { DEFAULT } else { name };
        if let Some(own) = self.own.get(name) {
            return Ok(own.clone());
        }
        if NOT_BUILT.contains(&name) {
            return Err(Error::Invalid(format!("IPAM driver {name:?} is not implemented: use {DEFAULT}")));
        }
        let plugin = self.plugins.get(name, interface::IPAM).await.map_err(|error| match error {
            gantry_plugin::Error::NotFound(name) => Error::DriverUnknown(name),
            other => Error::Plugin(other.to_string()),
        })?;
        let known = self.known.lock().get(name).cloned();
        match known {
            Some(known) => Ok(known),
            None => {
                let met = Arc::new(Distant::meet(plugin).await?);
                Ok(self.known.lock().entry(name.to_owned()).or_insert(met).clone())
            }
        }
    }

    /// The driver of a name, if it does not keep its allocations. A plugin that does not answer soon counts as one
    /// that keeps them, so that it does not delay the start.
    pub async fn forgetful(&self, name: &str) -> Option<Arc<dyn Ipam>> {
        match tokio::time::timeout(GLANCE, self.get(name)).await {
            Ok(Ok(ipam)) => Some(ipam).filter(|ipam| !ipam.keeps()),
            Ok(Err(error)) => {
                tracing::warn!(ipam = name, error = %gantry_rpc::chain(&error), "its addresses are not asked for again");
                None
            }
            Err(_) => {
                tracing::warn!(ipam = name, "does not answer: its addresses are not asked for again");
                None
            }
        }
    }
}
