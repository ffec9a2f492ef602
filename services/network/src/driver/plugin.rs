//! A driver that is a plugin: Docker's protocol `NetworkDriver`.
//!
//! The plugin makes a link on the host. The service moves the link into the network namespace, and back to the host
//! under its former name when the endpoint ends. The plugin is responsible for the rest of the network. It keeps what
//! it has made, so at its start the service asks it for nothing. Published ports of the host lead to a bridge
//! network, not to a plugin's.

mod ports;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_netlink::{Mac, Namespace, Route, or_missing};
use gantry_plugin::wire::{Nothing, network as wire};
use gantry_plugin::{LONG, Plugin, Plugins, interface};
use ipnet::IpNet;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Capabilities, Driver, Owner};
use crate::error::{Error, Result};
use crate::record::{Endpoint, Netns, Network, StaticRoute, Subnet};

/// The scope of a network that all hosts with a common store share.
const GLOBAL: &str = "global";
/// The scope of a network on one host.
const LOCAL: &str = "local";
/// The network namespace of the calling thread: the host's.
const OWN: &str = "/proc/thread-self/ns/net";

/// A driver in another process.
#[derive(Debug)]
pub struct Distant {
    name: String,
    plugins: Plugins,
}

impl Distant {
    /// The plugin of a name. It is contacted on the first call.
    pub fn new(name: &str, plugins: Plugins) -> Distant {
        Distant { name: name.to_owned(), plugins }
    }

    async fn plugin(&self) -> Result<Plugin> {
        self.plugins.get(&self.name, interface::NETWORK).await.map_err(|error| match error {
            gantry_plugin::Error::NotFound(name) => Error::DriverUnknown(name),
            other => failure(&other),
        })
    }

    async fn ask<R: DeserializeOwned>(&self, method: &str, asked: &impl Serialize) -> Result<R> {
        let plugin = self.plugin().await?;
        let told = plugin.call(&format!("NetworkDriver.{method}"), asked, LONG).await;
        told.map_err(|error| failure(&error))
    }

    /// Makes a call that the plugin need not implement.
    async fn ask_if_known(&self, method: &str, asked: &impl Serialize) -> Result<()> {
        let plugin = self.plugin().await?;
        match plugin.call::<Nothing>(&format!("NetworkDriver.{method}"), asked, LONG).await {
            Err(error) if error.is_unknown_method() => Ok(()),
            told => told.map(drop).map_err(|error| failure(&error)),
        }
    }

    /// Checks a plugin's answer to `Join` and returns it with its routes.
    fn usable(&self, joined: wire::JoinResponse) -> Result<(wire::JoinResponse, Vec<StaticRoute>)> {
        let made = |what: String| Error::Plugin(format!("network plugin {:?} has made {what}", self.name));
        let name = &joined.interface_name.src_name;
        if gantry_netlink::route::check_name(name).is_err() {
            return Err(made(format!("{name:?}, which is no link")));
        }
        let routes = joined.static_routes.iter().map(|route| {
            let odd = || made(format!("{route:?}, which is no route"));
            route.destination.parse::<IpNet>().map_err(|_| odd())?;
            let next_hop = match route.route_type {
                wire::NEXT_HOP => route.next_hop.parse::<IpAddr>().map_err(|_| odd())?.to_string(),
                wire::CONNECTED => String::new(),
                _ => return Err(odd()),
            };
            Ok(StaticRoute { destination: route.destination.clone(), next_hop })
        });
        let routes = routes.collect::<Result<_>>()?;
        Ok((joined, routes))
    }

    /// The error for an endpoint that could not be made, after it was undone. Its kind says if the plugin has not
    /// confirmed the undoing.
    fn undone(&self, why: Error, undone: Result<()>) -> Error {
        match undone {
            Err(Error::PluginSilent(_)) => Error::PluginSilent(why.to_string()),
            Err(error) => {
                tracing::warn!(plugin = self.name, error = %gantry_rpc::chain(&error), "endpoint not wholly released");
                why
            }
            Ok(()) => why,
        }
    }

    /// Tells the plugin of an end. A plugin that cannot be found counts as not running.
    async fn tell(&self, method: &str, asked: &impl Serialize) -> Result<()> {
        match self.ask::<Nothing>(method, asked).await {
            Err(unknown @ Error::DriverUnknown(_)) => Err(Error::PluginSilent(unknown.to_string())),
            told => told.map(drop),
        }
    }

    async fn forget_endpoint(&self, endpoint: &wire::EndpointId) -> Result<()> {
        self.tell("DeleteEndpoint", endpoint).await
    }
}

#[tonic::async_trait]
impl Driver for Distant {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { endpoints: true, creatable: true, addresses: true, distant: true }
    }

    async fn prepare(&self, network: &mut Network) -> Result<()> {
        let told: wire::Capabilities =
            self.ask("GetCapabilities", &Nothing {}).await.map_err(|error| match error {
                Error::Plugin(_) => Error::DriverUnresolved(self.name.clone()),
                other => other,
            })?;
        if ![LOCAL, GLOBAL].contains(&told.scope.as_str()) {
            return Err(Error::DriverUnresolved(self.name.clone()));
        }
        network.scope = told.scope;
        Ok(())
    }

    async fn create(&self, network: &Network) -> Result<()> {
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
        let space = if network.scope() == GLOBAL { "GlobalDefault" } else { "LocalDefault" };
        let told = |subnets: Vec<&Subnet>| subnets.into_iter().map(|subnet| told(subnet, space)).collect();
        let asked = wire::Network {
            network_id: network.id.clone(),
            options,
            ipv4_data: told(v4),
            ipv6_data: told(v6),
        };
        self.ask::<Nothing>("CreateNetwork", &asked).await.map(drop)
    }

    async fn restore(&self, _network: &Network) -> Result<()> {
        // The plugin was told when the network was created, and keeps what it has made.
        Ok(())
    }

    async fn delete(&self, network: &Network) -> Result<()> {
        let asked = wire::NetworkId { network_id: network.id.clone() };
        self.tell("DeleteNetwork", &asked).await
    }

    async fn create_endpoint(
        &self,
        network: &Network,
        endpoint: &mut Endpoint,
        owner: &Owner<'_>,
    ) -> Result<()> {
        let mac = endpoint.mac.parse::<Mac>().ok().filter(|_| owner.mac_given);
        let mut options: BTreeMap<String, Value> =
            endpoint.options.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        if !network.internal && !owner.published {
            options.extend(ports::options(owner.netns));
        }
        if let Some(mac) = mac {
            options.insert(wire::MAC_ADDRESS.to_owned(), STANDARD.encode(mac.0).into());
        }
        let asked = wire::EndpointRequest {
            network_id: network.id.clone(),
            endpoint_id: endpoint.id.clone(),
            interface: wire::Interface {
                address: endpoint.ipv4.clone(),
                address_ipv6: endpoint.ipv6.clone(),
                mac_address: endpoint.mac.clone(),
            },
            options,
        };
        let made: wire::EndpointResponse =
            self.ask("CreateEndpoint", &asked).await.map_err(|error| match error {
                Error::Plugin(why) => {
                    let (name, network) = (&owner.netns.name, &network.name);
                    Error::Plugin(format!("failed to create endpoint {name} on network {network}: {why}"))
                }
                other => other,
            })?;
        if !made.interface.mac_address.is_empty() {
            endpoint.mac = made.interface.mac_address;
        }
        let id = id(network, endpoint);
        let asked = wire::JoinRequest {
            network_id: network.id.clone(),
            endpoint_id: endpoint.id.clone(),
            sandbox_key: owner.pin.display().to_string(),
            options: ports::options(owner.netns),
        };
        let joined = match self.ask::<wire::JoinResponse>("Join", &asked).await {
            Ok(joined) => joined,
            Err(error) => return Err(self.undone(error, self.forget_endpoint(&id).await)),
        };
        let (joined, routes) = match self.usable(joined) {
            Ok(usable) => usable,
            Err(error) => {
                let left = self.tell("Leave", &id).await;
                return Err(self.undone(error, left.and(self.forget_endpoint(&id).await)));
            }
        };
        // The interface on the host is the plugin's.
        endpoint.veth = String::new();
        endpoint.source = joined.interface_name.src_name;
        endpoint.ipv4_gateway = joined.gateway;
        endpoint.ipv6_gateway = joined.gateway_ipv6;
        endpoint.routes = routes;
        Ok(())
    }

    async fn delete_endpoint(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        self.forget_endpoint(&id(network, endpoint)).await
    }

    async fn begin_way_out(
        &self,
        network: &Network,
        endpoint: &Endpoint,
        netns: &Netns,
        elsewhere: bool,
    ) -> Result<()> {
        let mut options = ports::options(netns);
        options.insert(wire::NO_PROXY_6TO4.to_owned(), elsewhere.into());
        let asked = wire::ConnectivityRequest {
            network_id: network.id.clone(),
            endpoint_id: endpoint.id.clone(),
            options,
        };
        self.ask_if_known("ProgramExternalConnectivity", &asked).await
    }

    async fn end_way_out(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        self.ask_if_known("RevokeExternalConnectivity", &id(network, endpoint)).await
    }

    async fn look_at_endpoint(&self, network: &Network, endpoint: &Endpoint) {
        let told = self.ask::<wire::EndpointInfo>("EndpointOperInfo", &id(network, endpoint)).await;
        if let Err(error) = told {
            tracing::debug!(endpoint = endpoint.id, error = %gantry_rpc::chain(&error), "a plugin tells nothing of it");
        }
    }

    async fn part(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        self.tell("Leave", &id(network, endpoint)).await
    }

    fn join(&self, network: &Network, endpoint: &Endpoint, namespace: &Namespace) -> Result<()> {
        let failed = || Error::kernel(format!("endpoint {} on network {}", endpoint.id, network.name));
        let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
        if inside.link(&endpoint.interface).map_err(failed())?.is_some() {
            return Ok(());
        }
        let mut host = Route::open().map_err(failed())?;
        let index = host.index(&endpoint.source).map_err(failed())?;
        host.move_link(index, namespace, &endpoint.interface).map_err(failed())?;
        // The plugin's address, unless the user, the plugin or IPAM has chosen another one.
        let Ok(mac) = endpoint.mac.parse::<Mac>() else { return Ok(()) };
        let index = inside.index(&endpoint.interface).map_err(failed())?;
        inside.set_mac(index, mac).map_err(failed())
    }

    fn leave(&self, endpoint: &Endpoint, namespace: &Namespace) -> Result<()> {
        if endpoint.source.is_empty() {
            return Ok(());
        }
        let failed = || Error::kernel(format!("endpoint {}", endpoint.id));
        let host = Namespace::open(Path::new(OWN)).map_err(failed())?;
        let back = || {
            let mut inside = Route::open()?;
            let link = inside.link(&endpoint.interface)?;
            link.map_or(Ok(()), |link| or_missing(inside.move_link(link.index, &host, &endpoint.source)))
        };
        namespace.run(back).map_err(failed())?.map_err(failed())
    }

    fn give_back(&self, endpoint: &Endpoint, pin: &Path) -> Result<()> {
        match Namespace::is_pinned(pin) {
            true => {
                let failed = || Error::kernel(format!("endpoint {}", endpoint.id));
                self.leave(endpoint, &Namespace::open(pin).map_err(failed())?)
            }
            false => Ok(()),
        }
    }
}

fn id(network: &Network, endpoint: &Endpoint) -> wire::EndpointId {
    wire::EndpointId { network_id: network.id.clone(), endpoint_id: endpoint.id.clone() }
}

/// Words a failed call as Docker's clients know it.
fn failure(error: &gantry_plugin::Error) -> Error {
    match error {
        gantry_plugin::Error::Refused(_) => Error::Plugin(format!("remote: {error}")),
        other if is_silence(other) => Error::PluginSilent(other.to_string()),
        other => Error::Plugin(other.to_string()),
    }
}

fn is_silence(error: &gantry_plugin::Error) -> bool {
    match error {
        gantry_plugin::Error::Unusable(why) => is_silence(why),
        gantry_plugin::Error::Late { .. } | gantry_plugin::Error::NotFound(_) => true,
        other => other.is_passing(),
    }
}

/// A subnet, with the address space in which subnets of the IPAM driver `default` do not overlap.
fn told(subnet: &Subnet, space: &str) -> wire::Subnet {
    let length = subnet.net().map_or(0, |net| net.prefix_len());
    let with_length = |address: &String| match address.is_empty() {
        true => String::new(),
        false => format!("{address}/{length}"),
    };
    wire::Subnet {
        address_space: space.to_owned(),
        gateway: with_length(&subnet.gateway),
        pool: subnet.subnet.clone(),
        aux_addresses: subnet.auxiliary.iter().map(|(name, one)| (name.clone(), with_length(one))).collect(),
    }
}
