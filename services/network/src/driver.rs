//! Network drivers, which make networks and their endpoints. The rest of the service calls a network's driver and
//! never tests for its name.
//!
//! ```text
//! network   check → prepare → create or restore ⇄ withdraw → delete
//! endpoint  create_endpoint → join → settle → begin_way_out ⇄ end_way_out → part → leave or give_back → delete_endpoint
//! ```
//!
//! Steps that may wait for other systems (a store that machines share, a plugin) are async. Steps in the kernel
//! block: they run on one blocking thread together with everything else that a network namespace needs, so that a
//! container's start changes threads once. Every step succeeds if it is already done, because start, repetition and
//! recovery are the same code.
//!
//! The drivers are [`bridge`], [`host`], [`none`] and every [`plugin`].

pub mod bridge;
pub mod host;
pub mod none;
#[cfg(test)]
pub(crate) mod plain;
pub mod plugin;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use gantry_api::network::NetworkSpec;
use gantry_netlink::nft::Family;
use gantry_netlink::{Link, Namespace};
use gantry_plugin::{Plugins, interface};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::firewall::Entry;
use crate::record::{Endpoint, Netns, Network, Port};

/// What a driver's networks support.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// Network namespaces can have endpoints on the driver's networks. Otherwise a container shares the host's
    /// network namespace, or has no network.
    pub endpoints: bool,
    /// Users can create networks of this driver; otherwise only the predefined one exists.
    pub creatable: bool,
    /// The networks have subnets, and their endpoints addresses, from IPAM.
    pub addresses: bool,
    /// The driver is another process, which is told of networks and endpoints by calls. After a kill it is unknown
    /// which calls it got ([`crate::owed`]).
    pub distant: bool,
}

/// What a driver knows of the container when it makes an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The container's network namespace.
    pub netns: &'a Netns,
    /// The path at which the namespace is pinned, or will be.
    pub pin: &'a Path,
    /// Whether the container's ports are published by another network.
    pub published: bool,
    /// Whether the user chose the endpoint's hardware address.
    pub mac_given: bool,
}

/// A network driver.
#[tonic::async_trait]
pub trait Driver: Debug + Send + Sync {
    /// The driver's name in records and requests.
    fn name(&self) -> &str;

    /// What the driver's networks support.
    fn capabilities(&self) -> Capabilities;

    /// Refuses, before anything is made, options that the driver does not have and subnets that it cannot use.
    ///
    /// # Errors
    /// A refusal in the words that Docker's clients know.
    fn check(&self, _spec: &NetworkSpec) -> Result<()> {
        Ok(())
    }

    /// Adds to the record of a new network what the driver decides, such as the host's interface. Changes nothing on
    /// the host.
    async fn prepare(&self, _network: &mut Network) -> Result<()> {
        Ok(())
    }

    /// Makes on the host what the network needs, or completes it. The record has the network's subnets.
    async fn create(&self, _network: &Network) -> Result<()> {
        Ok(())
    }

    /// Makes sure, at the start of the service, that what [`Driver::create`] made exists.
    async fn restore(&self, network: &Network) -> Result<()> {
        self.create(network).await
    }

    /// Undoes [`Driver::create`]. Succeeds if nothing exists.
    async fn delete(&self, _network: &Network) -> Result<()> {
        Ok(())
    }

    /// Removes a network's interface from the host until the next [`Driver::create`]. Returns the links that the
    /// caller must delete. The caller removes the rules of all networks at once, with their table. Blocks.
    fn withdraw(&self, _network: &Network) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Announces an endpoint with these addresses to systems beyond this host, and adds to its record what the driver
    /// decides. After an error nothing was made, unless the error is [`Error::PluginSilent`].
    async fn create_endpoint(
        &self,
        _network: &Network,
        _endpoint: &mut Endpoint,
        _owner: &Owner<'_>,
    ) -> Result<()> {
        Ok(())
    }

    /// Undoes [`Driver::create_endpoint`]. Succeeds if there is no endpoint.
    async fn delete_endpoint(&self, _network: &Network, _endpoint: &Endpoint) -> Result<()> {
        Ok(())
    }

    /// Puts an endpoint's interface into a network namespace under its name there, down and without addresses. Leaves
    /// an existing interface alone. Blocks.
    fn join(&self, network: &Network, _endpoint: &Endpoint, _namespace: &Namespace) -> Result<()> {
        Err(Error::NoEndpoints(network.name.clone()))
    }

    /// Returns once an interface that has just been set up can be reached. Blocks.
    fn settle(&self, _network: &Network, _endpoint: &Endpoint) -> Result<()> {
        Ok(())
    }

    /// Announces that the container's default route leads through an endpoint, to a driver that publishes ports
    /// itself. `elsewhere` says that the IPv6 default route leads through another endpoint.
    async fn begin_way_out(
        &self,
        _network: &Network,
        _endpoint: &Endpoint,
        _netns: &Netns,
        _elsewhere: bool,
    ) -> Result<()> {
        Ok(())
    }

    /// Undoes [`Driver::begin_way_out`].
    async fn end_way_out(&self, _network: &Network, _endpoint: &Endpoint) -> Result<()> {
        Ok(())
    }

    /// Asks for further facts about an endpoint. Succeeds if there is no answer.
    async fn look_at_endpoint(&self, _network: &Network, _endpoint: &Endpoint) {}

    /// Announces that an endpoint's interface will be removed from its network namespace.
    async fn part(&self, _network: &Network, _endpoint: &Endpoint) -> Result<()> {
        Ok(())
    }

    /// Removes an endpoint's interface from a network namespace that continues to exist. Succeeds if there is none.
    /// Blocks.
    fn leave(&self, _endpoint: &Endpoint, _namespace: &Namespace) -> Result<()> {
        Ok(())
    }

    /// Moves an interface that outlives its network namespace out of it, before the namespace is deleted. Succeeds if
    /// there is none, or no namespace. Blocks.
    fn give_back(&self, _endpoint: &Endpoint, _pin: &Path) -> Result<()> {
        Ok(())
    }

    /// Makes sure, some time after the network namespace was deleted, that nothing of an endpoint remains on the
    /// host.
    fn left(&self, _endpoint: &Endpoint) {}

    /// The entries of the host's rules for a network.
    fn rules(&self, _network: &Network) -> BTreeSet<Entry> {
        BTreeSet::new()
    }

    /// The address families whose packets the host must forward for a network.
    fn forwards(&self, _network: &Network) -> BTreeSet<Family> {
        BTreeSet::new()
    }

    /// The host's address for published ports that name none; `None` for all addresses.
    fn host_binding(&self, _network: &Network) -> Option<IpAddr> {
        None
    }

    /// The entries of the host's rules that publish a port of an endpoint; none if the driver publishes no ports.
    fn publish(&self, _network: &Network, _endpoint: &Endpoint, _port: &Port) -> Option<Entry> {
        None
    }

    /// The interface on the host that a network should have.
    fn interface(&self, _network: &Network) -> Option<String> {
        None
    }

    /// Whether a link of the host has this driver's mark: if it has no record, it is a stray.
    fn is_ours(&self, _link: &Link) -> bool {
        false
    }
}

/// The drivers by name. Only this type selects a driver. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drivers {
    own: Arc<BTreeMap<String, Arc<dyn Driver>>>,
    plugins: Plugins,
    /// Plugins that networks use. The lock is held for single edits.
    known: Arc<Mutex<BTreeMap<String, Arc<dyn Driver>>>>,
}

/// The driver of a network whose creator names none.
const DEFAULT: &str = "bridge";
/// Docker's drivers that Gantry does not have.
const NOT_BUILT: [&str; 3] = ["macvlan", "ipvlan", "overlay"];

impl Drivers {
    /// The given drivers, and plugins.
    pub fn new(drivers: impl IntoIterator<Item = Arc<dyn Driver>>, plugins: Plugins) -> Self {
        let own = drivers.into_iter().map(|driver| (driver.name().to_owned(), driver)).collect();
        Drivers { own: Arc::new(own), plugins, known: Arc::default() }
    }

    /// The driver of a name; the default driver for an empty name.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Driver>> {
        let name = if name.is_empty() { DEFAULT } else { name };
        match self.own.get(name) {
            Some(own) => Ok(own.clone()),
            None if NOT_BUILT.contains(&name) => Err(Error::DriverNotBuilt(name.to_owned())),
            None if self.plugins.is_there(name) => Ok(self.distant(name)),
            None => Err(Error::DriverUnknown(name.to_owned())),
        }
    }

    /// Whether a driver of a name is built in, or a plugin of that name has left a trace: a socket, or a file with its
    /// address.
    pub fn is_installed(&self, name: &str) -> bool {
        self.own.contains_key(name) || self.plugins.is_there(name)
    }

    /// The driver of a network. A plugin may not be running: calls to it then fail.
    pub fn of(&self, network: &Network) -> Result<Arc<dyn Driver>> {
        match self.get(&network.driver) {
            Err(Error::DriverUnknown(name)) => Ok(self.distant(&name)),
            found => found,
        }
    }

    /// The built-in drivers.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        self.own.values()
    }

    /// The names of the built-in drivers and of the plugins that were in use, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.plugins.active_names(interface::NETWORK);
        names.extend(self.own.keys().cloned());
        names.sort_unstable();
        names.dedup();
        names
    }

    fn distant(&self, name: &str) -> Arc<dyn Driver> {
        let mut known = self.known.lock();
        let new = || Arc::new(plugin::Distant::new(name, self.plugins.clone())) as Arc<dyn Driver>;
        known.entry(name.to_owned()).or_insert_with(new).clone()
    }
}
