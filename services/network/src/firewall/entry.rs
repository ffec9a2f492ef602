//! The elements of the sets that the rules look up, and the elements that follow from a netns's record.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use gantry_netlink::nft::{Element, Family};
use ipnet::IpNet;

use super::rules;
use crate::driver::Drivers;
use crate::gateway::{self, gateway};
use crate::ports::Protocol;
use crate::record::{Netns, Networks, Port};

/// An element that the rules look up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A bridge of a network.
    Bridge(String),
    /// Packets may go from the bridge to itself.
    Same(String),
    /// Packets may neither enter nor leave by the bridge.
    Internal(String),
    /// A subnet of one of our networks.
    Subnet(IpNet),
    /// A subnet whose packets leave under the host's address (masquerading).
    Masquerade(IpNet),
    /// The host forwards packets of the family only for bridges.
    Closed(Family),
    /// A published port.
    Port {
        /// The host's address; unspecified for every address.
        host: IpAddr,
        /// The transport protocol's number.
        protocol: u8,
        /// The host's port.
        port: u16,
        /// The container's address and port.
        to: SocketAddr,
    },
}

impl Entry {
    /// A published port.
    pub fn port(host: IpAddr, protocol: Protocol, port: u16, to: SocketAddr) -> Self {
        Entry::Port { host, protocol: protocol.number(), port, to }
    }

    pub(super) fn is_v6(&self) -> bool {
        match self {
            Entry::Bridge(_) | Entry::Same(_) | Entry::Internal(_) => false,
            Entry::Subnet(net) | Entry::Masquerade(net) => net.addr().is_ipv6(),
            Entry::Closed(family) => *family == Family::Ip6,
            Entry::Port { host, .. } => host.is_ipv6(),
        }
    }

    /// The set of a family's table that has the element, and the element's keys; `None` for the other family.
    pub(super) fn elements(&self, family: Family) -> Option<(&'static str, Vec<Element>)> {
        let here = |address: IpAddr| address.is_ipv4() == (family == Family::Ip);
        match self {
            Entry::Bridge(name) => Some((rules::BRIDGES, vec![Element::new().interface(name)])),
            Entry::Same(name) => Some((rules::SAME, vec![Element::new().interface(name).interface(name)])),
            Entry::Internal(name) => Some((rules::INTERNAL, vec![Element::new().interface(name)])),
            Entry::Subnet(net) => here(net.addr()).then(|| (rules::SUBNETS, Element::range(*net))),
            Entry::Masquerade(net) => here(net.addr()).then(|| (rules::MASQUERADE, Element::range(*net))),
            Entry::Closed(closed) => {
                (*closed == family).then(|| (rules::CLOSED, vec![Element::new().family(family)]))
            }
            Entry::Port { host, protocol, port, to } if here(*host) => {
                let (set, key) = match host.is_unspecified() {
                    true => (rules::PORTS_ANY, Element::new()),
                    false => (rules::PORTS_AT, Element::new().address(*host)),
                };
                Some((set, vec![key.protocol(*protocol).port(*port).to(to.ip(), to.port())]))
            }
            Entry::Port { .. } => None,
        }
    }
}

/// Where a published port leads now; `None` while no endpoint can serve it.
pub fn served(drivers: &Drivers, netns: &Netns, networks: &Networks, port: &Port) -> Option<Entry> {
    let host: IpAddr = port.host_ip.parse().ok()?;
    let endpoint = gateway(netns, networks, gateway::Family::of(host))?;
    let network = networks.get(&endpoint.network)?;
    drivers.of(network).ok()?.publish(network, endpoint, port)
}

/// The elements of a netns.
pub fn netns_entries(drivers: &Drivers, netns: &Netns, networks: &Networks) -> BTreeSet<Entry> {
    netns.ports.iter().filter_map(|port| served(drivers, netns, networks, port)).collect()
}
