//! The contract's messages to the service's types and back. Parsed once, here.

use std::net::IpAddr;
use std::path::Path;

use gantry_proto::gantry::network::v1 as pb;

use crate::controller::Controller;
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::firewall;
use crate::netns::{Described, NetnsSpec};
use crate::networks::NetworkSpec;
use crate::ports::{Protocol, Wanted};
use crate::record::{Endpoint, Netns, Network, Networks, Subnet};
use crate::state::{EndpointSpec, PortMapping};

pub(super) fn network_spec(request: pb::CreateRequest) -> NetworkSpec {
    let ipam = request.ipam.unwrap_or_default();
    let subnet = |config: pb::IpamConfig| Subnet {
        subnet: config.subnet,
        ip_range: config.ip_range,
        gateway: config.gateway,
        auxiliary: config.auxiliary_addresses,
        ..Subnet::default()
    };
    NetworkSpec {
        name: request.name,
        driver: request.driver,
        internal: request.internal,
        attachable: request.attachable,
        ipv4: request.enable_ipv4.unwrap_or(true),
        ipv6: request.enable_ipv6.unwrap_or(false),
        subnets: ipam.config.into_iter().map(subnet).collect(),
        ipam_driver: ipam.driver,
        ipam_options: ipam.options,
        options: request.options,
        labels: request.labels,
    }
}

pub(super) fn netns_spec(request: pb::AttachRequest) -> Result<NetnsSpec> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if request.netns.is_empty() || request.netns.starts_with('.') || !request.netns.chars().all(plain) {
        return Err(Error::Invalid(format!("invalid id of a network namespace {:?}", request.netns)));
    }
    for server in &request.dns_servers {
        if server.parse::<IpAddr>().is_err() {
            return Err(Error::Invalid(format!("invalid DNS server {server:?}: want an address")));
        }
    }
    for name in request.sysctls.keys() {
        if !name.starts_with("net.") && !name.starts_with("net/") {
            return Err(Error::Invalid(format!("sysctl {name:?} is not one of the network's")));
        }
    }
    Ok(NetnsSpec {
        id: request.netns,
        name: request.name,
        hostname: request.hostname,
        endpoints: request.endpoints.into_iter().map(endpoint_spec).collect::<Result<_>>()?,
        ports: request.ports.iter().map(port_mapping).collect::<Result<_>>()?,
        dns_servers: request.dns_servers,
        sysctls: request.sysctls,
    })
}

pub(super) fn endpoint_spec(spec: pb::EndpointSpec) -> Result<EndpointSpec> {
    let address = |text: &str, v4: bool| match text {
        "" => Ok(None),
        text => match text.parse::<IpAddr>() {
            Ok(address) if address.is_ipv4() == v4 => Ok(Some(address)),
            _ => Err(Error::Invalid(format!("invalid IPv{} address {text:?}", if v4 { 4 } else { 6 }))),
        },
    };
    let mac = match spec.mac_address.as_str() {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|error: gantry_netlink::mac::ParseMacError| Error::Invalid(error.to_string()))?,
        ),
    };
    Ok(EndpointSpec {
        ipv4: address(&spec.ipv4_address, true)?,
        ipv6: address(&spec.ipv6_address, false)?,
        network: spec.network,
        aliases: spec.aliases,
        links: spec.links,
        mac,
        options: spec.driver_options,
        gateway_priority: spec.gateway_priority,
    })
}

fn port_mapping(mapping: &pb::PortMapping) -> Result<PortMapping> {
    let number =
        |value: u32| u16::try_from(value).map_err(|_| Error::Invalid(format!("invalid port {value}")));
    let (first, last) = (number(mapping.host_port_first)?, number(mapping.host_port_last)?);
    let range = match (first, last) {
        (0, 0) => None,
        (first, 0) => Some((first, first)),
        (first, last) if first > 0 && first <= last => Some((first, last)),
        _ => return Err(Error::Invalid(format!("invalid range of host ports {first}-{last}"))),
    };
    let host = match mapping.host_ip.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| Error::Invalid(format!("invalid host address {text:?}")))?),
    };
    let container_port = number(mapping.container_port)?;
    if container_port == 0 {
        return Err(Error::Invalid("invalid container port 0".to_owned()));
    }
    Ok(PortMapping {
        container_port,
        host,
        wanted: Wanted { protocol: Protocol::parse(&mapping.protocol)?, range },
    })
}

pub(super) fn network(drivers: &Drivers, network: &Network, endpoints: Vec<pb::Endpoint>) -> pb::Network {
    let config = |subnet: &Subnet| pb::IpamConfig {
        subnet: subnet.subnet.clone(),
        ip_range: subnet.ip_range.clone(),
        // What the user did not say about a subnet of their own is not shown.
        gateway: if subnet.gateway_chosen { String::new() } else { subnet.gateway.clone() },
        auxiliary_addresses: subnet.auxiliary.clone(),
        chosen: subnet.chosen,
    };
    pb::Network {
        id: network.id.clone(),
        name: network.name.clone(),
        driver: network.driver.clone(),
        scope: drivers.of(network).map_or("", |driver| driver.capabilities().scope.name()).to_owned(),
        internal: network.internal,
        attachable: network.attachable,
        enable_ipv4: network.enable_ipv4,
        enable_ipv6: network.enable_ipv6,
        ipam: Some(pb::Ipam {
            driver: network.ipam_driver.clone(),
            options: network.ipam_options.clone(),
            config: network.subnets.iter().map(config).collect(),
        }),
        options: network.options.clone(),
        labels: network.labels.clone(),
        created_at: network.created_at,
        endpoints,
        bridge: network.bridge.clone(),
    }
}

fn netns(drivers: &Drivers, netns: &Netns, networks: &Networks, pin: &Path) -> pb::Netns {
    let served = |port: &&crate::record::Port| firewall::served(drivers, netns, networks, port).is_some();
    let port = |port: &crate::record::Port| pb::PublishedPort {
        protocol: port.protocol.clone(),
        container_port: port.container_port,
        host_ip: port.host_ip.clone(),
        host_port: port.host_port,
    };
    pb::Netns {
        id: netns.id.clone(),
        name: netns.name.clone(),
        netns_path: pin.to_string_lossy().into_owned(),
        endpoints: netns
            .endpoints
            .iter()
            .filter_map(|it| Some(endpoint(netns, it, networks.get(&it.network)?)))
            .collect(),
        ports: netns.ports.iter().filter(served).map(port).collect(),
        hostname: netns.hostname.clone(),
    }
}

fn endpoint(netns: &Netns, endpoint: &Endpoint, network: &Network) -> pb::Endpoint {
    let split = |net: Option<ipnet::IpNet>| match net {
        Some(net) => (net.addr().to_string(), u32::from(net.prefix_len())),
        None => (String::new(), 0),
    };
    let ((ipv4_address, ipv4_prefix), (ipv6_address, ipv6_prefix)) =
        (split(endpoint.ipv4()), split(endpoint.ipv6()));
    pb::Endpoint {
        id: endpoint.id.clone(),
        network_id: network.id.clone(),
        network_name: network.name.clone(),
        netns: netns.id.clone(),
        name: netns.name.clone(),
        interface: endpoint.interface.clone(),
        ipv4_address,
        ipv4_prefix,
        ipv4_gateway: endpoint.ipv4_gateway.clone(),
        ipv6_address,
        ipv6_prefix,
        ipv6_gateway: endpoint.ipv6_gateway.clone(),
        mac_address: endpoint.mac.clone(),
        aliases: endpoint.aliases.clone(),
        dns_names: if network.name_service() { netns.dns_names(endpoint) } else { Vec::new() },
        driver_options: endpoint.options.clone(),
        links: endpoint.links.clone(),
        gateway_priority: endpoint.gateway_priority,
        name_service: network.name_service(),
    }
}

impl Controller {
    pub(super) fn describe_netns(&self, found: &Described) -> pb::Netns {
        netns(&self.0.drivers, &found.0, &found.1, &self.0.host.identity.pin(&found.0.id))
    }

    pub(super) fn describe(&self, reference: &str) -> Result<pb::Network> {
        let state = self.0.state.lock();
        let found = state.network(reference)?;
        let endpoints = state.endpoints_of(&found.id).map(|(owner, it)| endpoint(owner, it, found)).collect();
        Ok(network(&self.0.drivers, found, endpoints))
    }

    pub(super) fn describe_all(&self) -> Vec<pb::Network> {
        let state = self.0.state.lock();
        let one = |found: &Network| {
            let endpoints =
                state.endpoints_of(&found.id).map(|(owner, it)| endpoint(owner, it, found)).collect();
            network(&self.0.drivers, found, endpoints)
        };
        state.list().iter().map(one).collect()
    }
}
