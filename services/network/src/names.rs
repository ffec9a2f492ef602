//! The name service: 127.0.0.11 in every netns that is on a user-defined network.
//!
//! It answers the names of the containers that share a network with the asker, and forwards the rest. A server has two
//! sockets inside its netns, on ports that the kernel chose; rules in the netns lead port 53 of 127.0.0.11 there, so
//! that a container can have a name server of its own on all its addresses.
//!
//! - [`zone`]: who is called what, on which network;
//! - [`answer`]: a query's bytes to a reply's;
//! - [`server`]: the sockets of one netns;
//! - [`upstream`]: the servers of others.

pub mod answer;
pub mod server;
pub mod upstream;
pub mod zone;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use gantry_netlink::Namespace;
use parking_lot::{Mutex, RwLock};

use crate::error::Result;
use crate::record::{Netns, Networks};
use server::{Server, Sockets};
use upstream::Upstream;
use zone::Zone;

/// The name service of all network namespaces. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    zone: RwLock<Zone>,
    servers: Mutex<HashMap<String, Server>>,
    upstream: Upstream,
}

impl Names {
    /// Learns a network namespace's names, or what has become of them.
    pub fn put(&self, netns: &Netns, networks: &Networks) {
        self.0.zone.write().put(netns, networks);
    }

    /// Whether the netns ought to have a server.
    pub fn wanted(netns: &Netns, networks: &Networks) -> bool {
        let on = |endpoint: &crate::record::Endpoint| {
            networks.get(&endpoint.network).is_some_and(|it| it.name_service())
        };
        netns.endpoints.iter().any(on)
    }

    /// Whether the netns has a server.
    pub fn serves(&self, netns: &str) -> bool {
        self.0.servers.lock().contains_key(netns)
    }

    /// Starts a network namespace's server on sockets that were bound inside it.
    pub fn serve(&self, netns: &str, namespace: Namespace, sockets: Sockets) -> Result<()> {
        let server = Server::start(self.clone(), netns.to_owned(), namespace, sockets)?;
        self.0.servers.lock().insert(netns.to_owned(), server);
        Ok(())
    }

    /// Forgets a network namespace's names and stops its server.
    pub fn remove(&self, netns: &str) {
        self.0.zone.write().remove(netns);
        let server = self.0.servers.lock().remove(netns);
        drop(server);
    }

    /// What a netns may know of a name.
    pub fn lookup(&self, asker: &str, name: &str) -> Option<zone::Addresses> {
        self.0.zone.read().lookup(asker, name)
    }

    /// What a netns may know of an address.
    pub fn reverse(&self, asker: &str, address: IpAddr) -> Option<String> {
        self.0.zone.read().reverse(asker, address)
    }

    /// Where a network namespace's other questions go.
    pub fn forwarding(&self, asker: &str) -> zone::Forwarding {
        self.0.zone.read().forwarding(asker)
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }
}
