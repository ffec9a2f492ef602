//! Interfaces and ports: taken for a netns that is being built, and given back.

use std::net::{IpAddr, SocketAddr};

use gantry_api::network::{EndpointSpec, PortMapping};
use gantry_netlink::Mac;

use super::{State, key};
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::gateway::Family;
use crate::ports::{Held, Protocol, Wanted, any};
use crate::record::{Endpoint, Netns, Network, Port, option};

impl State {
    /// Adds an endpoint to a netns that is being built: finds the network, chooses names. It has no addresses yet.
    pub fn add_endpoint(
        &mut self,
        netns: &mut Netns,
        spec: &EndpointSpec,
        drivers: &Drivers,
        veth_prefix: &str,
    ) -> Result<()> {
        let network = self.network(&spec.network)?.clone();
        if !drivers.of(&network)?.capabilities().endpoints {
            return Err(Error::NoEndpoints(network.name));
        }
        if netns.endpoint_on(&network.id).is_some() {
            return Err(Error::AlreadyConnected { container: netns.name.clone(), network: network.name });
        }
        if (spec.ipv4.is_some() || spec.ipv6.is_some()) && network.predefined {
            let text = "user specified IP address is supported on user defined networks only";
            return Err(Error::Invalid(text.to_owned()));
        }
        let interface = interface(netns, &network, spec)?;
        let id = crate::random_id();
        let endpoint = Endpoint {
            veth: format!("{veth_prefix}{}", &id[..8]),
            id,
            network: network.id.clone(),
            interface,
            aliases: spec.aliases.clone(),
            links: spec.links.clone(),
            options: spec.options.clone(),
            gateway_priority: spec.gateway_priority,
            mac: mac(&spec.mac)?,
            ..Endpoint::default()
        };
        netns.endpoints.push(endpoint);
        Ok(())
    }

    /// Takes the ports that a netns wants, all or none.
    pub fn take_ports(
        &mut self,
        netns: &mut Netns,
        mappings: &[PortMapping],
        drivers: &Drivers,
        hold: impl Fn(Protocol, SocketAddr) -> Result<Held> + Copy,
    ) -> Result<()> {
        let networks = self.networks_of(netns);
        let way_out = |family| crate::gateway::gateway(netns, &networks, family);
        let binding = way_out(Family::V4).and_then(|endpoint| {
            let network = networks.get(&endpoint.network)?;
            drivers.of(network).ok()?.host_binding(network)
        });
        let v6 = way_out(Family::V6).is_some();
        let mut taken = Vec::new();
        let v4 = way_out(Family::V4).is_some();
        for spec in mappings {
            let wanted = Wanted { protocol: spec.protocol, range: spec.range };
            if let Some(IpAddr::V6(host)) = spec.host {
                let unreachable = if host.is_loopback() { v4 || v6 } else { v4 && !v6 };
                if unreachable {
                    self.give_ports(&taken);
                    return Err(Error::HostV6 { host, port: spec.container_port });
                }
            }
            let hosts: Vec<IpAddr> = match (spec.host, binding) {
                (Some(host), _) | (None, Some(host)) => vec![host],
                (None, None) if v6 => vec![any(false), any(true)],
                (None, None) => vec![any(false)],
            };
            match self.ports.allocate(wanted, &hosts, hold) {
                Ok(port) => taken.extend(hosts.iter().map(|host| Port {
                    protocol: wanted.protocol.name().to_owned(),
                    container_port: u32::from(spec.container_port),
                    host_ip: host.to_string(),
                    host_port: u32::from(port),
                })),
                Err(error) => {
                    self.give_ports(&taken);
                    return Err(error);
                }
            }
        }
        netns.ports = taken;
        Ok(())
    }

    /// Gives ports back.
    pub fn give_ports(&mut self, ports: &[Port]) {
        for port in ports {
            if let Some((protocol, number, host)) = key(port) {
                self.ports.give(protocol, number, host);
            }
        }
    }
}

/// A hardware address in the usual notation; empty for none.
fn mac(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let parsed: Mac = text
        .parse()
        .map_err(|error: gantry_netlink::mac::ParseMacError| Error::Invalid(error.to_string()))?;
    Ok(parsed.to_string())
}

/// The requested name, or the lowest `ethN` (or what the network has in place of `eth`) that the netns does not have.
fn interface(netns: &Netns, network: &Network, spec: &EndpointSpec) -> Result<String> {
    let has = |name: &str| netns.endpoints.iter().any(|endpoint| endpoint.interface == name);
    if let Some(name) = spec.options.get(option::INTERFACE) {
        let valid = gantry_netlink::route::check_name(name).is_ok() && !has(name) && name != "lo";
        return match valid {
            true => Ok(name.clone()),
            false => Err(Error::Invalid(format!("invalid or repeated interface name {name:?}"))),
        };
    }
    let prefix = network.options.get(option::INTERFACE_PREFIX).filter(|prefix| !prefix.is_empty());
    let prefix = prefix.map_or("eth", String::as_str);
    Ok((0..)
        .map(|n| format!("{prefix}{n}"))
        .find(|name| !has(name))
        .expect("numbers do not end before endpoints do"))
}
