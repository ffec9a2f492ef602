//! A driver that is a plugin: Docker's protocol `NetworkDriver`.
//!
//! The plugin makes a link on the host, which is moved into the network namespace; what the network is made of otherwise is its
//! business. It keeps what it has made: at start it is asked for nothing. Ports of the host lead to the default network or another
//! bridge, not to a plugin's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use gantry_netlink::{Namespace, Route};
use gantry_plugin::wire::{Nothing, network as wire};
use gantry_plugin::{LONG, Plugins, interface};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Capabilities, Driver, Scope};
use crate::error::{Error, Result};
use crate::record::{Endpoint, Network, Subnet};

/// The address space that subnets of the allocator `default` are of.
const ADDRESS_SPACE: &str = "LocalDefault";

/// A driver somewhere else.
#[derive(Debug)]
pub struct Distant {
    name: String,
    plugins: Plugins,
    scope: OnceLock<Scope>,
    /// Ids of networks that it has not been told of yet. Guards single edits.
    new: Mutex<BTreeSet<String>>,
}

impl Distant {
    /// The plugin of a name, which is asked when it is needed.
    pub fn new(name: &str, plugins: Plugins) -> Distant {
        Distant { name: name.to_owned(), plugins, scope: OnceLock::new(), new: Mutex::default() }
    }

    async fn ask<R: DeserializeOwned>(&self, method: &str, asked: &impl Serialize) -> Result<R> {
        let plugin = self.plugins.get(&self.name, interface::NETWORK).await.map_err(|error| match error {
            gantry_plugin::Error::NotFound(name) => Error::DriverUnknown(name),
            other => Error::Plugin(other.to_string()),
        })?;
        let told = plugin.call(&format!("NetworkDriver.{method}"), asked, LONG).await;
        told.map_err(|error| Error::Plugin(format!("remote: {error}")))
    }

    async fn forget_endpoint(&self, endpoint: &wire::EndpointId) -> Result<()> {
        self.ask::<Nothing>("DeleteEndpoint", endpoint).await.map(drop)
    }
}

#[tonic::async_trait]
impl Driver for Distant {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        let scope = self.scope.get().copied().unwrap_or(Scope::Local);
        Capabilities { endpoints: true, creatable: true, addresses: true, scope }
    }

    async fn prepare(&self, network: &mut Network) -> Result<()> {
        let told: wire::Capabilities = self.ask("GetCapabilities", &Nothing {}).await?;
        let scope = if told.scope == Scope::Global.name() { Scope::Global } else { Scope::Local };
        let _ = self.scope.set(scope);
        self.new.lock().insert(network.id.clone());
        Ok(())
    }

    async fn create(&self, network: &Network) -> Result<()> {
        // At start: it was told when the network was made.
        if !self.new.lock().remove(&network.id) {
            return Ok(());
        }
        let generic: BTreeMap<_, _> = network.options.iter().collect();
        let mut options = BTreeMap::from([
            (wire::ENABLE_IPV4.to_owned(), network.enable_ipv4.into()),
            (wire::ENABLE_IPV6.to_owned(), network.enable_ipv6.into()),
            (wire::GENERIC.to_owned(), serde_json::json!(generic)),
        ]);
        if network.internal {
            options.insert(wire::INTERNAL.to_owned(), true.into());
        }
        let (v4, v6): (Vec<_>, Vec<_>) =
            network.subnets.iter().partition(|subnet| subnet.net().is_some_and(|net| net.addr().is_ipv4()));
        let told = |subnets: Vec<&Subnet>| subnets.into_iter().map(told).collect();
        let asked = wire::Network {
            network_id: network.id.clone(),
            options,
            ipv4_data: told(v4),
            ipv6_data: told(v6),
        };
        self.ask::<Nothing>("CreateNetwork", &asked).await.map(drop)
    }

    async fn delete(&self, network: &Network) -> Result<()> {
        self.new.lock().remove(&network.id);
        let asked = wire::NetworkId { network_id: network.id.clone() };
        self.ask::<Nothing>("DeleteNetwork", &asked).await.map(drop)
    }

    async fn create_endpoint(&self, network: &Network, endpoint: &mut Endpoint) -> Result<()> {
        let asked = wire::EndpointRequest {
            network_id: network.id.clone(),
            endpoint_id: endpoint.id.clone(),
            interface: wire::Interface {
                address: endpoint.ipv4.clone(),
                address_ipv6: endpoint.ipv6.clone(),
                mac_address: endpoint.mac.clone(),
            },
            options: BTreeMap::new(),
        };
        let made: wire::EndpointResponse = self.ask("CreateEndpoint", &asked).await?;
        if !made.interface.mac_address.is_empty() {
            endpoint.mac = made.interface.mac_address;
        }
        let id = id(network, endpoint);
        let asked = wire::JoinRequest {
            network_id: network.id.clone(),
            endpoint_id: endpoint.id.clone(),
            sandbox_key: endpoint.id.clone(),
            options: BTreeMap::new(),
        };
        let joined = match self.ask::<wire::JoinResponse>("Join", &asked).await {
            Ok(joined) if gantry_netlink::route::check_name(&joined.interface_name.src_name).is_ok() => {
                joined
            }
            Ok(joined) => {
                self.forget_endpoint(&id).await?;
                let name = joined.interface_name.src_name;
                return Err(Error::Plugin(format!(
                    "network plugin {:?} has made {name:?}, which is no link",
                    self.name
                )));
            }
            Err(error) => {
                self.forget_endpoint(&id).await?;
                return Err(error);
            }
        };
        // What the host has of it is the plugin's.
        endpoint.veth = String::new();
        endpoint.source = joined.interface_name.src_name;
        endpoint.ipv4_gateway = joined.gateway;
        endpoint.ipv6_gateway = joined.gateway_ipv6;
        Ok(())
    }

    async fn delete_endpoint(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        // One that was never made has nothing to leave.
        if endpoint.source.is_empty() {
            return Ok(());
        }
        let id = id(network, endpoint);
        let left = self.ask::<Nothing>("Leave", &id).await.map(drop);
        left.and(self.forget_endpoint(&id).await)
    }

    fn join(&self, network: &Network, endpoint: &Endpoint, namespace: &Namespace) -> Result<()> {
        let failed = || Error::kernel(format!("endpoint {} on network {}", endpoint.id, network.name));
        let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
        if inside.link(&endpoint.interface).map_err(failed())?.is_some() {
            return Ok(());
        }
        let mut host = Route::open().map_err(failed())?;
        let index = host.index(&endpoint.source).map_err(failed())?;
        host.move_link(index, namespace, &endpoint.interface).map_err(failed())
    }
}

fn id(network: &Network, endpoint: &Endpoint) -> wire::EndpointId {
    wire::EndpointId { network_id: network.id.clone(), endpoint_id: endpoint.id.clone() }
}

fn told(subnet: &Subnet) -> wire::Subnet {
    let length = subnet.net().map_or(0, |net| net.prefix_len());
    let with_length = |address: &String| match address.is_empty() {
        true => String::new(),
        false => format!("{address}/{length}"),
    };
    wire::Subnet {
        address_space: ADDRESS_SPACE.to_owned(),
        gateway: with_length(&subnet.gateway),
        pool: subnet.subnet.clone(),
        aux_addresses: subnet.auxiliary.iter().map(|(name, one)| (name.clone(), with_length(one))).collect(),
    }
}
