//! The ports of a container that runs, in a list and in its inspection.

use std::collections::BTreeSet;

use gantry_api::engine;

use crate::wire::container::Port;
use crate::wire::host_config::{PortBinding, PortMap};

/// Published ports, then those that are only exposed.
pub fn listed(
    status: engine::Status,
    published: Vec<engine::PublishedPort>,
    exposed: &[String],
) -> Vec<Port> {
    if !matches!(status, engine::Status::Running | engine::Status::Paused) {
        return Vec::new();
    }
    let mut ports: BTreeSet<Port> = published
        .into_iter()
        .map(|port| Port {
            ip: port.host_ip,
            private_port: port.container_port,
            public_port: port.host_port,
            protocol: port.protocol,
        })
        .collect();
    for exposed in exposed {
        let (number, protocol) = exposed.split_once('/').unwrap_or((exposed, "tcp"));
        let Ok(number) = number.parse() else { continue };
        if !ports.iter().any(|port| port.private_port == number && port.protocol == protocol) {
            ports.insert(Port {
                ip: String::new(),
                private_port: number,
                public_port: 0,
                protocol: protocol.to_owned(),
            });
        }
    }
    ports.into_iter().collect()
}

/// Ports count only on networks from which the container can be reached by them: not on internal ones.
pub fn has_way_out(settings: &engine::EndpointSettings) -> bool {
    !settings.gateway.is_empty() || !settings.ipv6_gateway.is_empty()
}

/// The ports of an inspection: those that are exposed, with where each is published.
pub fn shown(of: &engine::Container, status: engine::Status) -> PortMap {
    let mut map = PortMap::new();
    if !matches!(status, engine::Status::Running | engine::Status::Paused | engine::Status::Restarting) {
        return map;
    }
    if !of.networks.values().any(has_way_out) {
        return map;
    }
    for exposed in &of.config.exposed_ports {
        map.insert(exposed.clone(), None);
    }
    for port in &of.ports {
        let binding = PortBinding { host_ip: port.host_ip.clone(), host_port: port.host_port.to_string() };
        map.entry(format!("{}/{}", port.container_port, port.protocol))
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    map
}
