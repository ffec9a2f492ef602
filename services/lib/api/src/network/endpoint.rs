//! What joins a network namespace to a network.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a network namespace wants of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointSpec {
    /// Name or id.
    pub network: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// `container:alias`, by container name or id.
    pub links: Vec<String>,
    /// A requested IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// A requested IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// A requested hardware address, as text; empty for one that goes with the address.
    pub mac: String,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The highest has the default route.
    pub gateway_priority: i32,
}

/// An address with the length of its subnet's prefix, and the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// The prefix length.
    pub prefix: u8,
    /// The gateway; none on an internal network.
    pub gateway: Option<IpAddr>,
}

/// A network namespace's interface on a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The network's id.
    pub network_id: String,
    /// The network's name.
    pub network_name: String,
    /// The network namespace's id.
    pub netns: String,
    /// The container's name.
    pub name: String,
    /// In the container.
    pub interface: String,
    /// IPv4.
    pub ipv4: Option<Address>,
    /// IPv6.
    pub ipv6: Option<Address>,
    /// The hardware address.
    pub mac: String,
    /// Further names.
    pub aliases: Vec<String>,
    /// All that the name service answers for it.
    pub dns_names: Vec<String>,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// `container:alias`.
    pub links: Vec<String>,
    /// The highest has the default route.
    pub gateway_priority: i32,
    /// The network has the name service at 127.0.0.11.
    pub name_service: bool,
}
