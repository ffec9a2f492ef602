//! Network namespaces, asked for and made.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::{Endpoint, EndpointSpec, PortMapping, PublishedPort};

/// A network namespace to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetnsSpec {
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// The container's host name.
    pub hostname: String,
    /// The networks to be on; none for a namespace with only `lo`.
    pub endpoints: Vec<EndpointSpec>,
    /// The ports to publish.
    pub ports: Vec<PortMapping>,
    /// Where the name service forwards to; empty for the host's servers.
    pub dns_servers: Vec<IpAddr>,
    /// Settings of the namespace: `net.*` keys.
    pub sysctls: HashMap<String, String>,
}

/// A network namespace with its endpoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Netns {
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// The container's host name.
    pub hostname: String,
    /// Where it is pinned.
    pub path: PathBuf,
    /// Its interfaces, in the order in which they were asked for.
    pub endpoints: Vec<Endpoint>,
    /// The ports that lead to it at the moment.
    pub ports: Vec<PublishedPort>,
}
