//! A container's endpoint on a network: as it was asked for, and as it is.

use std::collections::HashMap;

/// A container's endpoint on a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Requested.
    pub ipam_ipv4_address: String,
    /// Requested.
    pub ipam_ipv6_address: String,
    /// Requested.
    pub link_local_ips: Vec<String>,
    /// Addresses were spoken of.
    pub has_ipam_config: bool,
    /// `container:alias`
    pub links: Vec<String>,
    /// Further names.
    pub aliases: Vec<String>,
    /// Requested, or given.
    pub mac_address: String,
    /// The network driver's.
    pub driver_opts: HashMap<String, String>,
    /// The highest has the default route.
    pub gw_priority: i32,
    /// As given by the network service; empty while not running, as are those below.
    pub network_id: String,
    /// Its own.
    pub endpoint_id: String,
    /// Of IPv4.
    pub gateway: String,
    /// IPv4.
    pub ip_address: String,
    /// IPv4.
    pub ip_prefix_len: u32,
    /// Of IPv6.
    pub ipv6_gateway: String,
    /// IPv6.
    pub global_ipv6_address: String,
    /// IPv6.
    pub global_ipv6_prefix_len: u32,
    /// What the name service answers for it.
    pub dns_names: Vec<String>,
}
