//! Who has which network, address and port: the truth in memory, which every decision is taken on.
//!
//! Nothing here waits or touches the disk; the caller holds the lock for microseconds, reserves, and then does the slow
//! work without it. What is not stored on its own (which addresses and ports are taken) is rebuilt from the records.

mod networks;
mod plug;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use gantry_netlink::Mac;

use crate::error::Result;
use crate::ipam::Pool;
use crate::ports::{Held, Ports, Protocol, Wanted};
use crate::record::{Network, Port, Sandbox};

/// What a sandbox wants of a network.
#[derive(Clone, Debug, Default)]
pub struct EndpointWish {
    /// Name or id.
    pub network: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// `container:alias`.
    pub links: Vec<String>,
    /// A requested IPv4 address.
    pub ipv4: Option<IpAddr>,
    /// A requested IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// A requested hardware address.
    pub mac: Option<Mac>,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The highest has the default route.
    pub gateway_priority: i32,
}

/// A port that a sandbox wants published.
#[derive(Clone, Copy, Debug)]
pub struct PortWish {
    /// The container's port.
    pub container_port: u16,
    /// The host's address; none for all.
    pub host: Option<IpAddr>,
    /// Protocol and acceptable ports.
    pub wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Creating,
    Ready,
    Removing,
}

#[derive(Debug)]
struct Entry {
    record: Network,
    pools: Vec<Pool>,
    phase: Phase,
}

/// The records, and what follows from them.
#[derive(Debug, Default)]
pub struct Book {
    networks: BTreeMap<String, Entry>,
    sandboxes: BTreeMap<String, Sandbox>,
    ports: Ports,
}

impl Book {
    /// A sandbox.
    pub fn sandbox(&self, id: &str) -> Option<&Sandbox> {
        self.sandboxes.get(id)
    }

    /// All sandboxes, by id.
    pub fn sandboxes(&self) -> impl Iterator<Item = &Sandbox> {
        self.sandboxes.values()
    }

    /// Stores a sandbox, whose addresses and ports are taken already.
    pub fn put_sandbox(&mut self, sandbox: Sandbox) {
        self.sandboxes.insert(sandbox.id.clone(), sandbox);
    }

    /// Notes a sandbox that a record says is there, and takes its addresses and ports.
    ///
    /// A port that somebody else bound while the service was away stays published: its container was there first.
    pub fn restore_sandbox(&mut self, sandbox: Sandbox, hold: impl Fn(Protocol, SocketAddr) -> Result<Held>) {
        for endpoint in &sandbox.endpoints {
            if let Some(entry) = self.networks.get_mut(&endpoint.network) {
                for net in endpoint.nets() {
                    if let Some(pool) = entry.pools.iter_mut().find(|pool| pool.contains(net.addr())) {
                        pool.take(net.addr());
                    }
                }
            }
        }
        for port in &sandbox.ports {
            if let Some((protocol, number, host)) = key(port) {
                let socket = hold(protocol, SocketAddr::new(host, number)).unwrap_or_else(|error| {
                    tracing::warn!(sandbox = sandbox.id, %error, "a published port is somebody else's as well");
                    None
                });
                self.ports.restore(protocol, number, host, socket);
            }
        }
        self.put_sandbox(sandbox);
    }

    /// Forgets a sandbox and gives back what it had.
    pub fn forget_sandbox(&mut self, sandbox: &Sandbox) {
        for endpoint in &sandbox.endpoints {
            self.unplug(endpoint);
        }
        self.give_ports(&sandbox.ports);
        self.sandboxes.remove(&sandbox.id);
    }

    /// The interfaces and namespaces that ought to exist, for comparing with what does.
    pub fn veths(&self) -> BTreeSet<String> {
        self.sandboxes
            .values()
            .flat_map(|sandbox| &sandbox.endpoints)
            .map(|endpoint| endpoint.veth.clone())
            .collect()
    }
}

fn key(port: &Port) -> Option<(Protocol, u16, IpAddr)> {
    let protocol = Protocol::parse(&port.protocol).ok()?;
    Some((protocol, u16::try_from(port.host_port).ok()?, port.host_ip.parse().ok()?))
}

#[cfg(test)]
mod tests;
