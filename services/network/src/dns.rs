//! The DNS server of containers: 127.0.0.11 in every netns that is on a user-defined network.
//!
//! It answers the names of the containers that share a network with the asking netns, and forwards other queries. A
//! server has two sockets in its netns, on ports that the kernel chose. Rules in the netns lead port 53 of 127.0.0.11
//! to them, so that a container can run a name server of its own on all its addresses.
//!
//! - [`zone`]: the names of each network;
//! - [`answer`]: from a query's bytes to a reply's;
//! - [`server`]: the sockets of one netns;
//! - [`upstream`]: the servers that queries are forwarded to.

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

/// The DNS servers of all network namespaces. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Resolver(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    zone: RwLock<Zone>,
    servers: Mutex<HashMap<String, Server>>,
    upstream: Upstream,
}

impl Resolver {
    /// Adds or replaces the names of a netns.
    pub fn put(&self, netns: &Netns, networks: &Networks) {
        self.0.zone.write().put(netns, networks);
    }

    /// Whether the netns needs a server.
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

    /// Starts the server of a netns on sockets that were bound in it.
    pub fn serve(&self, netns: &str, namespace: Namespace, sockets: Sockets) -> Result<()> {
        let server = Server::start(self.clone(), netns.to_owned(), namespace, sockets)?;
        self.0.servers.lock().insert(netns.to_owned(), server);
        Ok(())
    }

    /// Removes the names of a netns and stops its server.
    pub fn remove(&self, netns: &str) {
        self.0.zone.write().remove(netns);
        let server = self.0.servers.lock().remove(netns);
        drop(server);
    }

    /// The addresses of a name, as far as the asking netns may know them.
    pub fn lookup(&self, asker: &str, name: &str) -> Option<zone::Addresses> {
        self.0.zone.read().lookup(asker, name)
    }

    /// The name of an address, as far as the asking netns may know it.
    pub fn reverse(&self, asker: &str, address: IpAddr) -> Option<String> {
        self.0.zone.read().reverse(asker, address)
    }

    /// Where the other queries of a netns go.
    pub fn forwarding(&self, asker: &str) -> zone::Forwarding {
        self.0.zone.read().forwarding(asker)
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.0.upstream
    }
}
