//! Conversions of endpoints.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::EndpointSettings;

alike!(
    EndpointSettings,
    pb::EndpointSettings {
        ipam_ipv4_address,
        ipam_ipv6_address,
        link_local_ips,
        has_ipam_config,
        links,
        aliases,
        mac_address,
        driver_opts,
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
