//! Addresses, interfaces and ports: taken for a netns that is being built, and given back.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{EndpointSpec, PortMapping, State, key};
use crate::bridge::derived_mac;
use crate::error::{Error, Result};
use crate::gateway::Family;
use crate::ports::{Held, Protocol, any};
use crate::record::{Endpoint, Netns, Network, Port, option};

impl State {
    /// Adds an endpoint to a netns that is being built: finds the network, takes addresses, chooses names.
    pub fn add_endpoint(&mut self, netns: &mut Netns, spec: &EndpointSpec, veth_prefix: &str) -> Result<()> {
        let network = self.network(&spec.network)?.clone();
        if !network.is_bridge() {
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
        let mut endpoint = Endpoint {
            veth: format!("{veth_prefix}{}", &id[..8]),
            id,
            network: network.id.clone(),
            interface,
            aliases: spec.aliases.clone(),
            links: spec.links.clone(),
            options: spec.options.clone(),
            gateway_priority: spec.gateway_priority,
            ..Endpoint::default()
        };
        let taken = self.addresses(&network, spec, &mut endpoint);
        if let Err(error) = taken {
            self.release_endpoint(&endpoint);
            return Err(error);
        }
        let first = endpoint.nets().first().map(|net| net.addr().to_string()).unwrap_or_default();
        endpoint.mac = spec.mac.unwrap_or_else(|| derived_mac(&network.id, &first)).to_string();
        netns.endpoints.push(endpoint);
        Ok(())
    }

    fn addresses(&mut self, network: &Network, spec: &EndpointSpec, endpoint: &mut Endpoint) -> Result<()> {
        if network.enable_ipv4 {
            let (net, gateway) = self.address(network, Family::V4, spec.ipv4)?;
            endpoint.ipv4 = net.to_string();
            endpoint.ipv4_gateway = gateway;
        }
        if network.enable_ipv6 {
            let (net, gateway) = self.address(network, Family::V6, spec.ipv6)?;
            endpoint.ipv6 = net.to_string();
            endpoint.ipv6_gateway = gateway;
        }
        Ok(())
    }

    /// Takes an address of a family: the requested one, or the lowest free of the first subnet that has one.
    fn address(
        &mut self,
        network: &Network,
        family: Family,
        wanted: Option<IpAddr>,
    ) -> Result<(IpNet, String)> {
        let entry =
            self.networks.get_mut(&network.id).ok_or_else(|| Error::NetworkNotFound(network.id.clone()))?;
        let name = || network.name.clone();
        let mut mine =
            entry.pools.iter_mut().enumerate().filter(|(_, pool)| Family::of(pool.subnet.addr()) == family);
        let (index, address) = match wanted {
            Some(address) => {
                let pool = mine.find(|(_, pool)| pool.contains(address));
                let (index, pool) = pool.ok_or_else(|| Error::AddressOutside { address, network: name() })?;
                if !pool.take(address) {
                    return Err(Error::AddressTaken);
                }
                (index, address)
            }
            None => mine
                .find_map(|(index, pool)| pool.take_any().map(|address| (index, address)))
                .ok_or_else(|| Error::AddressesUsedUp {
                    network: name(),
                    id: network.id.clone(),
                    family: if family == Family::V4 { 4 } else { 6 },
                })?,
        };
        let prefix = entry.pools[index].subnet.prefix_len();
        let net = IpNet::new(address, prefix).expect("the prefix length is the subnet's");
        // Inside an internal network there is no way out, so no gateway either.
        let gateway =
            if network.internal { String::new() } else { entry.record.subnets[index].gateway.clone() };
        Ok((net, gateway))
    }

    /// Gives an endpoint's addresses back.
    pub fn release_endpoint(&mut self, endpoint: &Endpoint) {
        if let Some(entry) = self.networks.get_mut(&endpoint.network) {
            for net in endpoint.nets() {
                if let Some(pool) = entry.pools.iter_mut().find(|pool| pool.contains(net.addr())) {
                    pool.give(net.addr());
                }
            }
        }
    }

    /// Takes the ports that a netns wants, all or none.
    pub fn take_ports(
        &mut self,
        netns: &mut Netns,
        mappings: &[PortMapping],
        hold: impl Fn(Protocol, SocketAddr) -> Result<Held> + Copy,
    ) -> Result<()> {
        let networks = self.networks_of(netns);
        let way_out = |family| crate::gateway::gateway(netns, &networks, family);
        let binding =
            way_out(Family::V4).and_then(|endpoint| networks.get(&endpoint.network)?.host_binding());
        let v6 = way_out(Family::V6).is_some();
        let mut taken = Vec::new();
        let v4 = way_out(Family::V4).is_some();
        for spec in mappings {
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
            match self.ports.allocate(spec.wanted, &hosts, hold) {
                Ok(port) => taken.extend(hosts.iter().map(|host| Port {
                    protocol: spec.wanted.protocol.name().to_owned(),
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
