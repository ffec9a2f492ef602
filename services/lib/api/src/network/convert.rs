//! Conversion between the wire and the types of this module.

use std::net::IpAddr;

use gantry_proto::gantry::network::v1 as pb;

use super::{
    Address, Endpoint, EndpointSpec, ExposedPort, Ipam, Netns, NetnsSpec, Network, NetworkSpec, PortMapping,
    Protocol, PublishedPort, Subnet,
};
use crate::wire::{self, Invalid};

pub(super) fn network_spec(spec: NetworkSpec) -> pb::CreateRequest {
    pb::CreateRequest {
        name: spec.name,
        driver: spec.driver,
        internal: spec.internal,
        attachable: spec.attachable,
        enable_ipv4: Some(spec.ipv4),
        enable_ipv6: Some(spec.ipv6),
        ipam: Some(ipam(spec.ipam)),
        options: spec.options,
        labels: spec.labels,
    }
}

pub(super) fn parse_network_spec(request: pb::CreateRequest) -> NetworkSpec {
    NetworkSpec {
        name: request.name,
        driver: request.driver,
        internal: request.internal,
        attachable: request.attachable,
        ipv4: request.enable_ipv4.unwrap_or(true),
        ipv6: request.enable_ipv6.unwrap_or(false),
        ipam: parse_ipam(request.ipam.unwrap_or_default()),
        options: request.options,
        labels: request.labels,
    }
}

fn ipam(ipam: Ipam) -> pb::Ipam {
    let config = |subnet: Subnet| pb::IpamConfig {
        subnet: subnet.subnet,
        ip_range: subnet.ip_range,
        gateway: subnet.gateway,
        auxiliary_addresses: subnet.auxiliary,
        chosen: subnet.chosen,
    };
    let config = ipam.subnets.into_iter().map(config).collect();
    pb::Ipam { driver: ipam.driver, options: ipam.options, config }
}

fn parse_ipam(ipam: pb::Ipam) -> Ipam {
    let subnet = |config: pb::IpamConfig| Subnet {
        subnet: config.subnet,
        ip_range: config.ip_range,
        gateway: config.gateway,
        auxiliary: config.auxiliary_addresses,
        chosen: config.chosen,
    };
    let subnets = ipam.config.into_iter().map(subnet).collect();
    Ipam { driver: ipam.driver, options: ipam.options, subnets }
}

pub(super) fn network(network: Network) -> pb::Network {
    pb::Network {
        id: network.id,
        name: network.name,
        driver: network.driver,
        scope: network.scope,
        internal: network.internal,
        attachable: network.attachable,
        enable_ipv4: network.ipv4,
        enable_ipv6: network.ipv6,
        ipam: Some(ipam(network.ipam)),
        options: network.options,
        labels: network.labels,
        created_at: Some(network.created_at.into()),
        endpoints: network.endpoints.into_iter().map(endpoint).collect(),
        bridge: network.bridge,
    }
}

pub(super) fn parse_network(network: pb::Network) -> Result<Network, Invalid> {
    Ok(Network {
        id: network.id,
        name: network.name,
        driver: network.driver,
        scope: network.scope,
        internal: network.internal,
        attachable: network.attachable,
        ipv4: network.enable_ipv4,
        ipv6: network.enable_ipv6,
        ipam: parse_ipam(network.ipam.unwrap_or_default()),
        options: network.options,
        labels: network.labels,
        created_at: wire::moment(network.created_at.as_ref()),
        endpoints: network.endpoints.into_iter().map(parse_endpoint).collect::<Result<_, _>>()?,
        bridge: network.bridge,
    })
}

pub(super) fn netns_spec(spec: NetnsSpec) -> pb::AttachRequest {
    pb::AttachRequest {
        netns: spec.id,
        name: spec.name,
        hostname: spec.hostname,
        endpoints: spec.endpoints.into_iter().map(endpoint_spec).collect(),
        ports: spec.ports.into_iter().map(port_mapping).collect(),
        exposed_ports: spec.exposed.into_iter().map(exposed_port).collect(),
        dns_servers: spec.dns_servers.iter().map(IpAddr::to_string).collect(),
        sysctls: spec.sysctls,
    }
}

pub(super) fn parse_netns_spec(request: pb::AttachRequest) -> Result<NetnsSpec, Invalid> {
    let server = |text: String| address("name server", &text);
    Ok(NetnsSpec {
        id: request.netns,
        name: request.name,
        hostname: request.hostname,
        endpoints: request.endpoints.into_iter().map(parse_endpoint_spec).collect::<Result<_, _>>()?,
        ports: request.ports.iter().map(parse_port_mapping).collect::<Result<_, _>>()?,
        exposed: request.exposed_ports.iter().map(parse_exposed_port).collect::<Result<_, _>>()?,
        dns_servers: request.dns_servers.into_iter().map(server).collect::<Result<_, _>>()?,
        sysctls: request.sysctls,
    })
}

pub(super) fn endpoint_spec(spec: EndpointSpec) -> pb::EndpointSpec {
    pb::EndpointSpec {
        network: spec.network,
        aliases: spec.aliases,
        links: spec.links,
        ipv4_address: spec.ipv4.map(|address| address.to_string()).unwrap_or_default(),
        ipv6_address: spec.ipv6.map(|address| address.to_string()).unwrap_or_default(),
        mac_address: spec.mac,
        driver_options: spec.options,
        gateway_priority: spec.gateway_priority,
    }
}

pub(super) fn parse_endpoint_spec(spec: pb::EndpointSpec) -> Result<EndpointSpec, Invalid> {
    Ok(EndpointSpec {
        network: spec.network,
        aliases: spec.aliases,
        links: spec.links,
        ipv4: optional("IPv4 address", &spec.ipv4_address)?,
        ipv6: optional("IPv6 address", &spec.ipv6_address)?,
        mac: spec.mac_address,
        options: spec.driver_options,
        gateway_priority: spec.gateway_priority,
    })
}

fn port_mapping(mapping: PortMapping) -> pb::PortMapping {
    let (first, last) = mapping.range.unwrap_or((0, 0));
    pb::PortMapping {
        protocol: mapping.protocol.name().to_owned(),
        container_port: u32::from(mapping.container_port),
        host_ip: mapping.host.map(|host| host.to_string()).unwrap_or_default(),
        host_port_first: u32::from(first),
        host_port_last: u32::from(last),
    }
}

fn parse_port_mapping(mapping: &pb::PortMapping) -> Result<PortMapping, Invalid> {
    let (first, last) = (number(mapping.host_port_first)?, number(mapping.host_port_last)?);
    let range = match (first, last) {
        (0, 0) => None,
        (first, 0) => Some((first, first)),
        (first, last) if first > 0 && first <= last => Some((first, last)),
        _ => return Err(invalid("range of host ports", format!("{first}-{last}"))),
    };
    let container_port = number(mapping.container_port)?;
    if container_port == 0 {
        return Err(invalid("container port", "0".to_owned()));
    }
    let host = optional("host address", &mapping.host_ip)?;
    Ok(PortMapping { protocol: protocol(&mapping.protocol)?, container_port, host, range })
}

fn exposed_port(port: ExposedPort) -> pb::ExposedPort {
    pb::ExposedPort { protocol: port.protocol.name().to_owned(), port: u32::from(port.number) }
}

fn parse_exposed_port(port: &pb::ExposedPort) -> Result<ExposedPort, Invalid> {
    match number(port.port)? {
        0 => Err(invalid("container port", "0".to_owned())),
        number => Ok(ExposedPort { number, protocol: protocol(&port.protocol)? }),
    }
}

pub(super) fn netns(netns: Netns) -> pb::Netns {
    pb::Netns {
        id: netns.id,
        name: netns.name,
        netns_path: netns.path.to_string_lossy().into_owned(),
        endpoints: netns.endpoints.into_iter().map(endpoint).collect(),
        ports: netns.ports.into_iter().map(published).collect(),
        hostname: netns.hostname,
    }
}

pub(super) fn parse_netns(netns: pb::Netns) -> Result<Netns, Invalid> {
    Ok(Netns {
        id: netns.id,
        name: netns.name,
        hostname: netns.hostname,
        path: netns.netns_path.into(),
        endpoints: netns.endpoints.into_iter().map(parse_endpoint).collect::<Result<_, _>>()?,
        ports: netns.ports.iter().map(parse_published).collect::<Result<_, _>>()?,
    })
}

fn published(port: PublishedPort) -> pb::PublishedPort {
    pb::PublishedPort {
        protocol: port.protocol.name().to_owned(),
        container_port: u32::from(port.container_port),
        host_ip: port.host.to_string(),
        host_port: u32::from(port.host_port),
    }
}

fn parse_published(port: &pb::PublishedPort) -> Result<PublishedPort, Invalid> {
    Ok(PublishedPort {
        protocol: protocol(&port.protocol)?,
        container_port: number(port.container_port)?,
        host: address("host address", &port.host_ip)?,
        host_port: number(port.host_port)?,
    })
}

fn endpoint(endpoint: Endpoint) -> pb::Endpoint {
    let parts = |address: Option<Address>| match address {
        Some(it) => {
            let gateway = it.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
            (it.address.to_string(), u32::from(it.prefix), gateway)
        }
        None => Default::default(),
    };
    let (ipv4_address, ipv4_prefix, ipv4_gateway) = parts(endpoint.ipv4);
    let (ipv6_address, ipv6_prefix, ipv6_gateway) = parts(endpoint.ipv6);
    pb::Endpoint {
        id: endpoint.id,
        network_id: endpoint.network_id,
        network_name: endpoint.network_name,
        netns: endpoint.netns,
        name: endpoint.name,
        interface: endpoint.interface,
        ipv4_address,
        ipv4_prefix,
        ipv4_gateway,
        ipv6_address,
        ipv6_prefix,
        ipv6_gateway,
        mac_address: endpoint.mac,
        aliases: endpoint.aliases,
        dns_names: endpoint.dns_names,
        driver_options: endpoint.options,
        links: endpoint.links,
        gateway_priority: endpoint.gateway_priority,
        name_service: endpoint.name_service,
        driver: endpoint.driver,
    }
}

fn parse_endpoint(endpoint: pb::Endpoint) -> Result<Endpoint, Invalid> {
    let whole = |text: &str, prefix: u32, gateway: &str| {
        let Some(address) = optional("address", text)? else { return Ok(None) };
        let prefix = u8::try_from(prefix).map_err(|_| invalid("prefix length", prefix.to_string()))?;
        Ok::<_, Invalid>(Some(Address { address, prefix, gateway: optional("gateway", gateway)? }))
    };
    Ok(Endpoint {
        ipv4: whole(&endpoint.ipv4_address, endpoint.ipv4_prefix, &endpoint.ipv4_gateway)?,
        ipv6: whole(&endpoint.ipv6_address, endpoint.ipv6_prefix, &endpoint.ipv6_gateway)?,
        id: endpoint.id,
        network_id: endpoint.network_id,
        network_name: endpoint.network_name,
        netns: endpoint.netns,
        name: endpoint.name,
        interface: endpoint.interface,
        mac: endpoint.mac_address,
        aliases: endpoint.aliases,
        dns_names: endpoint.dns_names,
        options: endpoint.driver_options,
        links: endpoint.links,
        gateway_priority: endpoint.gateway_priority,
        name_service: endpoint.name_service,
        driver: endpoint.driver,
    })
}

fn invalid(what: &'static str, value: String) -> Invalid {
    Invalid::Text { what, value }
}

fn address<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, Invalid> {
    text.parse().map_err(|_| invalid(what, text.to_owned()))
}

fn optional<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<Option<T>, Invalid> {
    if text.is_empty() { Ok(None) } else { address(what, text).map(Some) }
}

fn number(value: u32) -> Result<u16, Invalid> {
    u16::try_from(value).map_err(|_| invalid("port", value.to_string()))
}

fn protocol(name: &str) -> Result<Protocol, Invalid> {
    Protocol::parse(name).ok_or_else(|| invalid("protocol", format!("{name}, want tcp, udp or sctp")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_cannot_be_do_not_parse() {
        let mapping = |first, last, container_port, host: &str| {
            parse_port_mapping(&pb::PortMapping {
                container_port,
                host_ip: host.to_owned(),
                host_port_first: first,
                host_port_last: last,
                ..Default::default()
            })
        };
        assert_eq!(mapping(0, 0, 80, "").unwrap().range, None);
        assert_eq!(mapping(8080, 0, 80, "::1").unwrap().range, Some((8080, 8080)));
        for (first, last, container, host) in
            [(9, 8, 80, ""), (0, 9, 80, ""), (70_000, 70_000, 80, ""), (0, 0, 0, ""), (0, 0, 80, "x")]
        {
            assert!(mapping(first, last, container, host).is_err());
        }
        assert!(protocol("icmp").is_err());
    }

    #[test]
    fn requested_addresses_are_of_their_family() {
        let spec = |v4: &str, v6: &str| {
            parse_endpoint_spec(pb::EndpointSpec {
                ipv4_address: v4.to_owned(),
                ipv6_address: v6.to_owned(),
                ..Default::default()
            })
        };
        assert!(spec("10.0.0.1", "fd00::1").is_ok());
        assert!(spec("fd00::1", "").is_err() && spec("", "10.0.0.1").is_err());
    }
}
