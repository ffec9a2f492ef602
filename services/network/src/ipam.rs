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

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// A network's gateway.
    Gateway,
    /// An endpoint with this MAC address; empty where it has none yet.
    Endpoint {
        /// As `02:42:ac:11:00:02`.
        mac: &'a str,
    },
    /// Somebody's that is no container.
    Auxiliary,
}

/// An allocator of subnets and addresses.
#[tonic::async_trait]
pub trait Ipam: Debug + Send + Sync {
    /// Its name in records and requests.
    fn name(&self) -> &str;

    /// Whether it keeps what it has given. One that does not is asked again at start for all that is on record.
    fn keeps(&self) -> bool {
        false
    }

    /// Whether a network's gateway is its to choose; else it is the first address of the subnet, or of its range.
    fn chooses_gateways(&self) -> bool {
        false
    }

    /// Whether it gives addresses by MAC addresses, which an endpoint then has to have before.
    fn wants_mac(&self) -> bool {
        false
    }

    /// Gives a subnet.
    ///
    /// # Errors
    /// [`Error::PoolOverlaps`] with one that was given before; [`Error::PoolsUsedUp`] when there is none to choose.
    async fn request_pool(&self, request: PoolRequest) -> Result<GivenPool>;

    /// Takes a subnet back, with all its addresses. One that was not given is no error.
    async fn release_pool(&self, pool: &str) -> Result<()>;

    /// Gives an address of a pool: this one, or any. Nothing when it is taken, or when none is left.
    async fn request_address(
        &self,
        pool: &str,
        wanted: Option<IpAddr>,
        purpose: Purpose<'_>,
    ) -> Result<Option<IpAddr>>;

    /// Takes an address back. One that was not given is no error.
    async fn release_address(&self, pool: &str, address: IpAddr) -> Result<()>;
}

/// The allocators by name: the one place where they are chosen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ipams {
    own: Arc<BTreeMap<String, Arc<dyn Ipam>>>,
    plugins: Plugins,
    /// Plugins that have said what they are. Guards single edits.
    known: Arc<Mutex<BTreeMap<String, Arc<Distant>>>>,
}

/// The allocator of a network whose maker names none.
pub const DEFAULT: &str = "default";
/// How long a plugin may take at start.
const GLANCE: Duration = Duration::from_secs(5);
/// Allocators of Docker's that are not built.
const NOT_BUILT: [&str; 1] = ["null"];

impl Ipams {
    /// Allocators to choose from: these, and plugins.
    pub fn new(allocators: impl IntoIterator<Item = Arc<dyn Ipam>>, plugins: Plugins) -> Self {
        let own = allocators.into_iter().map(|allocator| (allocator.name().to_owned(), allocator)).collect();
        Ipams { own: Arc::new(own), plugins, known: Arc::default() }
    }

    /// The allocator of a name; the default one for an empty name.
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

    /// The allocator of a name, if it has to be asked again at start for what is on record. A plugin that does not answer soon is
    /// taken for one that keeps its records: nothing else may wait for it.
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
