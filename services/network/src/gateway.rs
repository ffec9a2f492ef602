//! The endpoint with the default route of a netns, and the routes that follow. They depend on the records alone:
//! start, connect, disconnect and recovery all compute them here.

use std::net::IpAddr;

use gantry_netlink::route::RouteEntry;
use ipnet::IpNet;

use crate::record::{Endpoint, Netns, Networks, StaticRoute};

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

/// The endpoint with the default route: of those on networks that are not internal, the one with the highest
/// priority; among equals, the one whose network's name comes first.
pub fn gateway<'a>(netns: &'a Netns, networks: &Networks, family: Family) -> Option<&'a Endpoint> {
    let candidates = netns.endpoints.iter().filter_map(|endpoint| {
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

/// The routes of a netns, each with the name of its interface: the default routes, and those of the endpoints'
/// records.
pub fn routes(netns: &Netns, networks: &Networks) -> Vec<(String, RouteEntry)> {
    let one = |family| {
        let endpoint = gateway(netns, networks, family)?;
        let (text, everything) = match family {
            Family::V4 => (&endpoint.ipv4_gateway, "0.0.0.0/0"),
            Family::V6 => (&endpoint.ipv6_gateway, "::/0"),
        };
        let destination: IpNet = everything.parse().expect("a constant");
        let gateway: IpAddr = text.parse().ok()?;
        Some((endpoint.interface.clone(), RouteEntry { destination, gateway: Some(gateway), link: None }))
    };
    let brought = netns.endpoints.iter().flat_map(|endpoint| {
        let entry = |route: &StaticRoute| {
            let destination: IpNet = route.destination.parse().ok()?;
            let gateway = route.next_hop.parse().ok();
            Some((endpoint.interface.clone(), RouteEntry { destination, gateway, link: None }))
        };
        endpoint.routes.iter().filter_map(entry)
    });
    [one(Family::V4), one(Family::V6)].into_iter().flatten().chain(brought).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::driver::plain::Plain;
    use crate::driver::{Driver, Drivers};
    use crate::firewall::{Entry, netns_entries};
    use crate::ports::Protocol;
    use crate::record::{Network, Port};

    fn world() -> (Netns, Networks) {
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
        let netns = Netns {
            endpoints: vec![endpoint("b", 0), endpoint("a", 1), endpoint("0", 2)],
            ports: vec![port.clone(), Port { host_ip: "::".into(), ..port }],
            ..Netns::default()
        };
        (netns, networks.into_iter().map(|network| (network.id.clone(), network)).collect())
    }

    #[test]
    fn the_first_name_is_the_way_out_unless_priority_says_otherwise() {
        let (mut netns, networks) = world();
        assert_eq!(gateway(&netns, &networks, Family::V4).unwrap().network, "a");
        netns.endpoints[0].gateway_priority = 1;
        assert_eq!(gateway(&netns, &networks, Family::V4).unwrap().network, "b");
        assert_eq!(routes(&netns, &networks)[0].0, "eth0");
        netns.endpoints.drain(..2);
        assert!(gateway(&netns, &networks, Family::V4).is_none());
    }

    #[test]
    fn routes_that_endpoints_bring_come_after_the_default_ones() {
        let (mut netns, networks) = world();
        let route = |destination: &str, next_hop: &str| StaticRoute {
            destination: destination.to_owned(),
            next_hop: next_hop.to_owned(),
        };
        netns.endpoints[0].routes = vec![route("10.9.0.0/16", "10.0.0.9"), route("10.8.0.0/16", "")];
        let entry = |destination: &str, gateway: Option<&str>| RouteEntry {
            destination: destination.parse().unwrap(),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            link: None,
        };
        let expected = [
            ("eth1".to_owned(), entry("0.0.0.0/0", Some("10.0.1.1"))),
            ("eth0".to_owned(), entry("10.9.0.0/16", Some("10.0.0.9"))),
            ("eth0".to_owned(), entry("10.8.0.0/16", None)),
        ];
        assert_eq!(routes(&netns, &networks), expected);
    }

    #[test]
    fn ports_lead_to_the_way_out_of_their_family() {
        let (netns, networks) = world();
        let to = "10.0.1.2:80".parse().unwrap();
        let expected = Entry::port("0.0.0.0".parse().unwrap(), Protocol::Tcp, 8080, to);
        let drivers = Drivers::new([Arc::new(Plain) as Arc<dyn Driver>], Default::default());
        assert_eq!(netns_entries(&drivers, &netns, &networks), BTreeSet::from([expected]));
    }
}
