//! The allocations of networks, addresses and ports in memory. Every decision is made here.
//!
//! No method waits or touches the disk: the caller holds the lock for microseconds, reserves, and then does the slow
//! work without the lock. What has no record of its own (the taken ports) is rebuilt from the records.

mod endpoint;
mod networks;
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::error::Result;
use crate::ports::{Held, Ports, Protocol};
use crate::record::{Netns, Network, Port};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Creating,
    Ready,
    Removing,
}

#[derive(Debug)]
struct Entry {
    record: Network,
    phase: Phase,
}

/// The records, and what follows from them.
#[derive(Debug, Default)]
pub struct State {
    networks: BTreeMap<String, Entry>,
    netns: BTreeMap<String, Netns>,
    ports: Ports,
}

impl State {
    /// A netns.
    pub fn netns(&self, id: &str) -> Option<&Netns> {
        self.netns.get(id)
    }

    /// All network namespaces, by id.
    pub fn all_netns(&self) -> impl Iterator<Item = &Netns> {
        self.netns.values()
    }

    /// Stores a netns whose addresses and ports are allocated.
    pub fn put_netns(&mut self, netns: Netns) {
        self.netns.insert(netns.id.clone(), netns);
    }

    /// Adds a netns from its record, and takes its ports. The caller requests its addresses again.
    ///
    /// A port that another program has bound while the service was not running stays published: the container had it
    /// first.
    pub fn restore_netns(&mut self, netns: Netns, hold: impl Fn(Protocol, SocketAddr) -> Result<Held>) {
        for port in &netns.ports {
            if let Some((protocol, number, host)) = key(port) {
                let socket = hold(protocol, SocketAddr::new(host, number)).unwrap_or_else(|error| {
                    tracing::warn!(netns = netns.id, %error, "a published port is somebody else's as well");
                    None
                });
                self.ports.restore(protocol, number, host, socket);
            }
        }
        self.put_netns(netns);
    }

    /// Removes a netns and releases its ports. The caller has released its addresses.
    pub fn forget_netns(&mut self, netns: &Netns) {
        self.give_ports(&netns.ports);
        self.netns.remove(&netns.id);
    }

    /// The interfaces that should exist, to compare with the kernel's.
    pub fn veths(&self) -> BTreeSet<String> {
        self.netns.values().flat_map(|netns| &netns.endpoints).map(|endpoint| endpoint.veth.clone()).collect()
    }
}

fn key(port: &Port) -> Option<(Protocol, u16, IpAddr)> {
    let protocol = Protocol::parse(&port.protocol)?;
    Some((protocol, u16::try_from(port.host_port).ok()?, port.host_ip.parse().ok()?))
}

#[cfg(test)]
mod tests;
