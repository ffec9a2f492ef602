//! A container's ports, in the form that plugins get.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use gantry_api::network::Protocol;
use gantry_plugin::wire::network as wire;
use serde_json::{Value, json};

use crate::record::Netns;

/// The options with a container's ports, by descending number; for one number TCP comes first.
pub(super) fn options(netns: &Netns) -> BTreeMap<String, Value> {
    let exposed = netns.exposed.iter().map(|it| (it.protocol.as_str(), it.port));
    let published = netns.mappings.iter().map(|it| (it.protocol.as_str(), it.container_port));
    let all: BTreeSet<_> = exposed
        .chain(published)
        .map(|(protocol, port)| (Reverse(port), protocol != "tcp", protocol))
        .collect();
    let (mut ports, mut bindings) = (Vec::new(), Vec::new());
    for (Reverse(port), _, protocol) in all {
        let (Some(proto), Ok(number)) =
            (Protocol::parse(protocol).map(Protocol::number), u16::try_from(port))
        else {
            continue;
        };
        ports.push(wire::TransportPort { proto, port: number });
        for mapping in &netns.mappings {
            if mapping.container_port == port && mapping.protocol == protocol {
                bindings.push(wire::PortBinding {
                    proto,
                    port: number,
                    host_ip: mapping.host_ip.clone(),
                    host_port: u16::try_from(mapping.first).unwrap_or_default(),
                    host_port_end: u16::try_from(mapping.last).unwrap_or_default(),
                    ..wire::PortBinding::default()
                });
            }
        }
    }
    BTreeMap::from([
        (wire::EXPOSED_PORTS.to_owned(), json!(ports)),
        (wire::PORT_MAP.to_owned(), json!(bindings)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Exposed, Mapping};

    #[test]
    fn ports_are_told_as_dockerd_tells_them() {
        let exposed = |protocol: &str, port| Exposed { protocol: protocol.to_owned(), port };
        let mapping = |protocol: &str, container_port, host_ip: &str, (first, last)| Mapping {
            protocol: protocol.to_owned(),
            container_port,
            host_ip: host_ip.to_owned(),
            first,
            last,
        };
        let netns = Netns {
            exposed: vec![exposed("udp", 90), exposed("udp", 81)],
            mappings: vec![mapping("tcp", 81, "", (0, 0)), mapping("udp", 91, "127.0.0.1", (9001, 9002))],
            ..Netns::default()
        };
        // Recorded from dockerd 28.5.
        let expected = json!({
            "com.docker.network.endpoint.exposedports": [
                {"Proto": 17, "Port": 91}, {"Proto": 17, "Port": 90}, {"Proto": 6, "Port": 81}, {"Proto": 17, "Port": 81},
            ],
            "com.docker.network.portmap": [
                {"Proto": 17, "IP": "", "Port": 91, "HostIP": "127.0.0.1", "HostPort": 9001, "HostPortEnd": 9002},
                {"Proto": 6, "IP": "", "Port": 81, "HostIP": "", "HostPort": 0, "HostPortEnd": 0},
            ],
        });
        assert_eq!(json!(options(&netns)), expected);
        let none = json!({"com.docker.network.endpoint.exposedports": [], "com.docker.network.portmap": []});
        assert_eq!(json!(options(&Netns::default())), none);
    }
}
