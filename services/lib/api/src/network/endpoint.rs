//! Endpoints, which connect a network namespace to a network.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An endpoint to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointSpec {
    /// The network's name or id.
    pub network: String,
    /// Further names that the name service answers to.
    pub aliases: Vec<String>,
    /// `container:alias`, where the container is named by its name or id.
    pub links: Vec<String>,
    /// The requested IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// The requested IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// The requested hardware address; empty: the service derives one from the address.
    pub mac: String,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The endpoint with the highest priority has the default route.
    pub gateway_priority: i32,
}

/// An address with its prefix length and gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// The prefix length.
    pub prefix: u8,
    /// The gateway; `None` on an internal network.
    pub gateway: Option<IpAddr>,
}

/// An interface of a network namespace on a network.
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
    /// The name of the interface in the namespace.
    pub interface: String,
    /// IPv4.
    pub ipv4: Option<Address>,
    /// IPv6.
    pub ipv6: Option<Address>,
    /// The hardware address.
    pub mac: String,
    /// Further names that the name service answers to.
    pub aliases: Vec<String>,
    /// Every name that the name service answers to.
    pub dns_names: Vec<String>,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// `container:alias`.
    pub links: Vec<String>,
    /// The endpoint with the highest priority has the default route.
    pub gateway_priority: i32,
    /// The name service answers on this network, at 127.0.0.11.
    pub name_service: bool,
    /// The network's driver.
    pub driver: String,
}
