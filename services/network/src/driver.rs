//! Network drivers: what a network and its endpoints are made of. The rest of the service asks a network's driver, and
//! never tests for its name.
//!
//! ```text
//! network   check → prepare → create ⇄ withdraw → delete
//! endpoint  create_endpoint → join → settle ⇄ leave → delete_endpoint
//! ```
//!
//! What may wait for others (a store that machines share, a plugin) is async. What the kernel does at once blocks: it is
//! carried out with all else that a network namespace needs, on one blocking thread, so that a container's start goes
//! from thread to thread once. Every step finds itself already done: start, repetition and recovery are the same code.
//!
//! The drivers that there are: [`bridge`], [`host`], [`none`], and what [`plugin`]s there are.

pub mod bridge;
pub mod host;
pub mod none;
#[cfg(test)]
pub(crate) mod plain;
pub mod plugin;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use gantry_api::network::NetworkSpec;
use gantry_netlink::nft::Family;
use gantry_netlink::{Link, Namespace};
use gantry_plugin::Plugins;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::firewall::Entry;
use crate::record::{Endpoint, Network, Port};

/// How far a driver's networks reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One host.
    Local,
    /// All hosts that share a store.
    Global,
}

impl Scope {
    /// As clients know it.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Local => "local",
            Scope::Global => "global",
        }
    }
}

/// What the networks of a driver are capable of.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// Network namespaces can have endpoints on them. Else a container has the host's network, or none.
    pub endpoints: bool,
    /// Users can make them; else there is the predefined one.
    pub creatable: bool,
    /// They have subnets, and their endpoints addresses, from IPAM.
    pub addresses: bool,
    /// How far they reach.
    pub scope: Scope,
}

/// A network driver.
#[tonic::async_trait]
pub trait Driver: Debug + Send + Sync {
    /// Its name in records and requests.
    fn name(&self) -> &str;

    /// What its networks are capable of.
    fn capabilities(&self) -> Capabilities;

    /// Refuses what it cannot give, before anything is made: options that it cannot carry out, subnets that it cannot have.
    ///
    /// # Errors
    /// In the words that Docker's clients know.
    fn check(&self, _spec: &NetworkSpec) -> Result<()> {
        Ok(())
    }

    /// Completes the record of a new network with what the driver decides, such as the host's interface. Makes nothing.
    async fn prepare(&self, _network: &mut Network) -> Result<()> {
        Ok(())
    }

    /// Makes on the host what a network needs, or completes it. The record has its subnets.
    async fn create(&self, _network: &Network) -> Result<()> {
        Ok(())
    }

    /// Undoes [`Driver::create`]. What is not there is no error.
    async fn delete(&self, _network: &Network) -> Result<()> {
        Ok(())
    }

    /// Takes a network's interface off the host until [`Driver::create`]; the links that are to be deleted for that. The
    /// rules go all at once, with the table. Blocks.
    fn withdraw(&self, _network: &Network) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Makes known that an endpoint with these addresses is to be, where that needs more than this host; completes its record
    /// with what the driver decides.
    async fn create_endpoint(&self, _network: &Network, _endpoint: &mut Endpoint) -> Result<()> {
        Ok(())
    }

    /// Undoes [`Driver::create_endpoint`]. What is not there is no error.
    async fn delete_endpoint(&self, _network: &Network, _endpoint: &Endpoint) -> Result<()> {
        Ok(())
    }

    /// Puts an endpoint's interface into a network namespace, under its name there, down and without addresses. One that
    /// is there is left alone. Blocks.
    fn join(&self, network: &Network, _endpoint: &Endpoint, _namespace: &Namespace) -> Result<()> {
        Err(Error::NoEndpoints(network.name.clone()))
    }

    /// Returns when an interface that has just been set up can be reached. Blocks.
    fn settle(&self, _network: &Network, _endpoint: &Endpoint) -> Result<()> {
        Ok(())
    }

    /// Takes an endpoint's interface out of a network namespace that lives on. One that is not there is no error. Blocks.
    fn leave(&self, _endpoint: &Endpoint) -> Result<()> {
        Ok(())
    }

    /// Sees to it that nothing of an endpoint is left on the host, some time after its network namespace has gone.
    fn left(&self, _endpoint: &Endpoint) {}

    /// What the host's rules must know of a network.
    fn rules(&self, _network: &Network) -> BTreeSet<Entry> {
        BTreeSet::new()
    }

    /// The families whose packets a network wants to pass the host.
    fn forwards(&self, _network: &Network) -> BTreeSet<Family> {
        BTreeSet::new()
    }

    /// The host's address for published ports that name none, where it is not all of them.
    fn host_binding(&self, _network: &Network) -> Option<IpAddr> {
        None
    }

    /// What the host's rules must know for a port to lead to an endpoint; nothing where ports are not published.
    fn publish(&self, _network: &Network, _endpoint: &Endpoint, _port: &Port) -> Option<Entry> {
        None
    }

    /// The interface of a network that ought to be on the host.
    fn interface(&self, _network: &Network) -> Option<String> {
        None
    }

    /// Whether a link of the host carries this driver's mark: without a record it is a stray.
    fn is_ours(&self, _link: &Link) -> bool {
        false
    }
}

/// The drivers by name: the one place where they are chosen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drivers {
    own: Arc<BTreeMap<String, Arc<dyn Driver>>>,
    plugins: Plugins,
    /// Plugins that networks are of. Guards single edits.
    known: Arc<Mutex<BTreeMap<String, Arc<dyn Driver>>>>,
}

/// The driver of a network whose maker names none.
const DEFAULT: &str = "bridge";
/// Drivers of Docker's that are not built.
const NOT_BUILT: [&str; 3] = ["macvlan", "ipvlan", "overlay"];

impl Drivers {
    /// Drivers to choose from: these, and plugins.
    pub fn new(drivers: impl IntoIterator<Item = Arc<dyn Driver>>, plugins: Plugins) -> Self {
        let own = drivers.into_iter().map(|driver| (driver.name().to_owned(), driver)).collect();
        Drivers { own: Arc::new(own), plugins, known: Arc::default() }
    }

    /// The driver of a name; the default one for an empty name.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Driver>> {
        let name = if name.is_empty() { DEFAULT } else { name };
        match self.own.get(name) {
            Some(own) => Ok(own.clone()),
            None if NOT_BUILT.contains(&name) => Err(Error::DriverNotBuilt(name.to_owned())),
            None if self.plugins.is_there(name) => Ok(self.distant(name)),
            None => Err(Error::DriverUnknown(name.to_owned())),
        }
    }

    /// The driver of a network. A plugin may be away: what it is asked for meanwhile fails.
    pub fn of(&self, network: &Network) -> Result<Arc<dyn Driver>> {
        match self.get(&network.driver) {
            Err(Error::DriverUnknown(name)) => Ok(self.distant(&name)),
            found => found,
        }
    }

    /// Our own.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.own.values()
    }

    fn distant(&self, name: &str) -> Arc<dyn Driver> {
        let mut known = self.known.lock();
        let new = || Arc::new(plugin::Distant::new(name, self.plugins.clone())) as Arc<dyn Driver>;
        known.entry(name.to_owned()).or_insert_with(new).clone()
    }
}
