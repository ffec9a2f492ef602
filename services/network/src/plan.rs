//! What follows from the records, without the kernel: which endpoint is the way out, which routes a sandbox has, and
//! which facts the host's rules need. Start, connect, disconnect and recovery all take it from here.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use gantry_netlink::route::RouteEntry;
use ipnet::IpNet;

use crate::firewall::Entry;
use crate::ports::Protocol;
use crate::record::{Endpoint, Network, Networks, Port, Sandbox};

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// The endpoint by which a sandbox reaches the world, and is reached: the one with the highest priority, of these the
/// one whose network's name comes first; never one on an internal network.
pub fn gateway<'a>(sandbox: &'a Sandbox, networks: &Networks, family: Family) -> Option<&'a Endpoint> {
    let candidates = sandbox.endpoints.iter().filter_map(|endpoint| {
        let network = networks.get(&endpoint.network)?;
        let address = match family {
            Family::V4 => endpoint.ipv4().filter(|_| !endpoint.ipv4_gateway.is_empty()),
            Family::V6 => endpoint.ipv6().filter(|_| !endpoint.ipv6_gateway.is_empty()),
        };
        (!network.internal && address.is_some()).then_some((endpoint, network))
    });
    let best = candidates.min_by(|(a, on_a), (b, on_b)| {
        b.gateway_priority.cmp(&a.gateway_priority).then_with(|| on_a.name.cmp(&on_b.name))
    });
    best.map(|(endpoint, _)| endpoint)
}

/// The default routes of a sandbox, each with the name of its interface.
pub fn routes(sandbox: &Sandbox, networks: &Networks) -> Vec<(String, RouteEntry)> {
    let one = |family| {
        let endpoint = gateway(sandbox, networks, family)?;
        let (text, everything) = match family {
            Family::V4 => (&endpoint.ipv4_gateway, "0.0.0.0/0"),
            Family::V6 => (&endpoint.ipv6_gateway, "::/0"),
        };
        let destination: IpNet = everything.parse().expect("a constant");
        let gateway: IpAddr = text.parse().ok()?;
        Some((endpoint.interface.clone(), RouteEntry { destination, gateway: Some(gateway), link: None }))
    };
    [one(Family::V4), one(Family::V6)].into_iter().flatten().collect()
}

/// Where a published port leads at the moment: nowhere while no endpoint can serve it.
pub fn served(sandbox: &Sandbox, networks: &Networks, port: &Port) -> Option<Entry> {
    let host: IpAddr = port.host_ip.parse().ok()?;
    let protocol = Protocol::parse(&port.protocol).ok()?;
    let family = Family::of(host);
    let endpoint = gateway(sandbox, networks, family)?;
    let net = match family {
        Family::V4 => endpoint.ipv4(),
        Family::V6 => endpoint.ipv6(),
    }?;
    let to = SocketAddr::new(net.addr(), u16::try_from(port.container_port).ok()?);
    Some(Entry::port(host, protocol, u16::try_from(port.host_port).ok()?, to))
}

/// What the host's rules must know of a sandbox.
pub fn sandbox_entries(sandbox: &Sandbox, networks: &Networks) -> BTreeSet<Entry> {
    sandbox.ports.iter().filter_map(|port| served(sandbox, networks, port)).collect()
}

/// What the host's rules must know of a network.
pub fn network_entries(network: &Network) -> BTreeSet<Entry> {
    let mut entries = BTreeSet::new();
    if network.bridge.is_empty() {
        return entries;
    }
    entries.insert(Entry::Bridge(network.bridge.clone()));
    if network.icc() {
        entries.insert(Entry::Same(network.bridge.clone()));
    }
    if network.internal {
        entries.insert(Entry::Internal(network.bridge.clone()));
    }
    for net in network.nets() {
        entries.insert(Entry::Subnet(net.trunc()));
        if network.masquerade() {
            entries.insert(Entry::Masquerade(net.trunc()));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> (Sandbox, Networks) {
        let network =
            |id: &str, internal| Network { id: id.into(), name: id.into(), internal, ..Network::default() };
        let endpoint = |network: &str, last: u8| Endpoint {
            network: network.into(),
            ipv4: format!("10.0.{last}.2/24"),
            ipv4_gateway: format!("10.0.{last}.1"),
            interface: format!("eth{last}"),
            ..Endpoint::default()
        };
        let networks = [network("b", false), network("a", false), network("0", true)];
        let port =
            Port { protocol: "tcp".into(), container_port: 80, host_ip: "0.0.0.0".into(), host_port: 8080 };
        let sandbox = Sandbox {
            endpoints: vec![endpoint("b", 0), endpoint("a", 1), endpoint("0", 2)],
            ports: vec![port.clone(), Port { host_ip: "::".into(), ..port }],
            ..Sandbox::default()
        };
        (sandbox, networks.into_iter().map(|network| (network.id.clone(), network)).collect())
    }

    #[test]
    fn the_first_name_is_the_way_out_unless_priority_says_otherwise() {
        let (mut sandbox, networks) = world();
        assert_eq!(gateway(&sandbox, &networks, Family::V4).unwrap().network, "a");
        sandbox.endpoints[0].gateway_priority = 1;
        assert_eq!(gateway(&sandbox, &networks, Family::V4).unwrap().network, "b");
        assert_eq!(routes(&sandbox, &networks)[0].0, "eth0");
        sandbox.endpoints.drain(..2);
        assert!(gateway(&sandbox, &networks, Family::V4).is_none());
    }

    #[test]
    fn ports_lead_to_the_way_out_of_their_family() {
        let (sandbox, networks) = world();
        let to = "10.0.1.2:80".parse().unwrap();
        let expected = Entry::port("0.0.0.0".parse().unwrap(), Protocol::Tcp, 8080, to);
        assert_eq!(sandbox_entries(&sandbox, &networks), BTreeSet::from([expected]));
    }
}
