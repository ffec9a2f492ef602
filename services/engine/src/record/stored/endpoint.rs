//! The stored form of endpoint settings.

use std::collections::BTreeMap;

use gantry_api::{alike, engine as domain};

/// See [`domain::EndpointSettings`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct EndpointSettings {
    #[prost(string, tag = "1")]
    ipam_ipv4_address: String,
    #[prost(string, tag = "2")]
    ipam_ipv6_address: String,
    #[prost(string, repeated, tag = "3")]
    link_local_ips: Vec<String>,
    #[prost(bool, tag = "4")]
    has_ipam_config: bool,
    #[prost(string, repeated, tag = "5")]
    links: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    aliases: Vec<String>,
    #[prost(string, tag = "7")]
    mac_address: String,
    #[prost(btree_map = "string, string", tag = "8")]
    driver_opts: BTreeMap<String, String>,
    #[prost(int32, tag = "9")]
    gw_priority: i32,
    #[prost(string, tag = "10")]
    network_id: String,
    #[prost(string, tag = "11")]
    endpoint_id: String,
    #[prost(string, tag = "12")]
    gateway: String,
    #[prost(string, tag = "13")]
    ip_address: String,
    #[prost(uint32, tag = "14")]
    ip_prefix_len: u32,
    #[prost(string, tag = "15")]
    ipv6_gateway: String,
    #[prost(string, tag = "16")]
    global_ipv6_address: String,
    #[prost(uint32, tag = "17")]
    global_ipv6_prefix_len: u32,
    #[prost(string, repeated, tag = "18")]
    dns_names: Vec<String>,
}

alike!(
    domain::EndpointSettings,
    EndpointSettings {
        ipam_ipv4_address,
        ipam_ipv6_address,
        link_local_ips,
        has_ipam_config,
        links,
        aliases,
        mac_address,
        driver_opts: collected,
        gw_priority,
        network_id,
        endpoint_id,
        gateway,
        ip_address,
        ip_prefix_len,
        ipv6_gateway,
        global_ipv6_address,
        global_ipv6_prefix_len,
        dns_names,
    }
);
