//! Networks and their parameters.

use std::collections::HashMap;
use std::time::SystemTime;

use super::Endpoint;

/// A network to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// Its driver; empty: the default one.
    pub driver: String,
    /// It has no way out of the host.
    pub internal: bool,
    /// Docker's API has the field; it changes nothing here.
    pub attachable: bool,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Its subnets.
    pub ipam: Ipam,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The user's labels.
    pub labels: HashMap<String, String>,
}

/// How a network's addresses are allocated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ipam {
    /// The IPAM driver; empty: the default one.
    pub driver: String,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The subnets; the driver chooses those that are missing.
    pub subnets: Vec<Subnet>,
}

/// A subnet as the client wrote it. The service validates it, with Docker's error messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subnet {
    /// The subnet in CIDR notation.
    pub subnet: String,
    /// The part of the subnet that addresses are allocated from; empty: the whole subnet.
    pub ip_range: String,
    /// The gateway; empty when the client names none.
    pub gateway: String,
    /// Addresses that are not allocated, by a name.
    pub auxiliary: HashMap<String, String>,
    /// The service chose the subnet: clients may request no address of it.
    pub chosen: bool,
}

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `bridge`, `host`, `null`, or the name of a plugin.
    pub driver: String,
    /// `local`, `global`.
    pub scope: String,
    /// It has no way out of the host.
    pub internal: bool,
    /// Docker's API has the field; it changes nothing here.
    pub attachable: bool,
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Its subnets.
    pub ipam: Ipam,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The user's labels.
    pub labels: HashMap<String, String>,
    /// When it was created.
    pub created_at: SystemTime,
    /// The endpoints of network namespaces on it.
    pub endpoints: Vec<Endpoint>,
    /// The name of the bridge on the host; empty when there is none.
    pub bridge: String,
}
