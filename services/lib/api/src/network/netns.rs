//! Network namespaces.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::{Endpoint, EndpointSpec, ExposedPort, PortMapping, PublishedPort};

/// A network namespace to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetnsSpec {
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// The container's host name.
    pub hostname: String,
    /// The endpoints; without any, the namespace has only `lo`.
    pub endpoints: Vec<EndpointSpec>,
    /// The ports to publish.
    pub ports: Vec<PortMapping>,
    /// The ports that the container exposes, published or not.
    pub exposed: Vec<ExposedPort>,
    /// The servers that the name service forwards queries to; empty: the host's servers.
    pub dns_servers: Vec<IpAddr>,
    /// The sysctls of the namespace: `net.*` keys.
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
    /// The path that it is pinned to.
    pub path: PathBuf,
    /// Its endpoints, in the order of the request.
    pub endpoints: Vec<Endpoint>,
    /// The ports that lead to it now.
    pub ports: Vec<PublishedPort>,
}
