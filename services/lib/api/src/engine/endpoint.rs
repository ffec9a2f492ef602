//! A container's endpoint on a network: as requested, and as it is.

use std::collections::HashMap;

/// A container's endpoint on a network: as requested, and while the container runs, as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Requested IPv4 address; empty for any.
    pub ipam_ipv4_address: String,
    /// Requested IPv6 address; empty for any.
    pub ipam_ipv6_address: String,
    /// The engine refuses link-local addresses with UNIMPLEMENTED.
    pub link_local_ips: Vec<String>,
    /// The request contained an IPAM configuration, which may be empty. Inspect shows it then.
    pub has_ipam_config: bool,
    /// Links to other containers on this network: `container:alias`.
    pub links: Vec<String>,
    /// Further names of the container on this network.
    pub aliases: Vec<String>,
    /// Requested hardware address; while the container runs, the actual one.
    pub mac_address: String,
    /// Options for the network's driver.
    pub driver_opts: HashMap<String, String>,
    /// The endpoint with the highest priority has the default route.
    pub gw_priority: i32,
    /// The network's id; while the container does not run, that of its last run.
    pub network_id: String,
    /// The endpoint's id. This field and those down to global_ipv6_prefix_len are set while the container runs.
    pub endpoint_id: String,
    /// IPv4 gateway.
    pub gateway: String,
    /// IPv4 address.
    pub ip_address: String,
    /// Prefix length of the IPv4 address.
    pub ip_prefix_len: u32,
    /// IPv6 gateway.
    pub ipv6_gateway: String,
    /// IPv6 address.
    pub global_ipv6_address: String,
    /// Prefix length of the IPv6 address.
    pub global_ipv6_prefix_len: u32,
    /// Names that the network's name service resolves to this endpoint while the container runs.
    pub dns_names: Vec<String>,
}
