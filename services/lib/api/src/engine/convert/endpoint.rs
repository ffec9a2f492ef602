//! Endpoints.

use gantry_proto::gantry::engine::v1 as pb;

use crate::engine::EndpointSettings;

impl From<EndpointSettings> for pb::EndpointSettings {
    fn from(settings: EndpointSettings) -> Self {
        pb::EndpointSettings {
            ipam_ipv4_address: settings.ipam_ipv4_address,
            ipam_ipv6_address: settings.ipam_ipv6_address,
            link_local_ips: settings.link_local_ips,
            has_ipam_config: settings.has_ipam_config,
            links: settings.links,
            aliases: settings.aliases,
            mac_address: settings.mac_address,
            driver_opts: settings.driver_opts,
            gw_priority: settings.gw_priority,
            network_id: settings.network_id,
            endpoint_id: settings.endpoint_id,
            gateway: settings.gateway,
            ip_address: settings.ip_address,
            ip_prefix_len: settings.ip_prefix_len,
            ipv6_gateway: settings.ipv6_gateway,
            global_ipv6_address: settings.global_ipv6_address,
            global_ipv6_prefix_len: settings.global_ipv6_prefix_len,
            dns_names: settings.dns_names,
        }
    }
}

impl From<pb::EndpointSettings> for EndpointSettings {
    fn from(settings: pb::EndpointSettings) -> Self {
        EndpointSettings {
            ipam_ipv4_address: settings.ipam_ipv4_address,
            ipam_ipv6_address: settings.ipam_ipv6_address,
            link_local_ips: settings.link_local_ips,
            has_ipam_config: settings.has_ipam_config,
            links: settings.links,
            aliases: settings.aliases,
            mac_address: settings.mac_address,
            driver_opts: settings.driver_opts,
            gw_priority: settings.gw_priority,
            network_id: settings.network_id,
            endpoint_id: settings.endpoint_id,
            gateway: settings.gateway,
            ip_address: settings.ip_address,
            ip_prefix_len: settings.ip_prefix_len,
            ipv6_gateway: settings.ipv6_gateway,
            global_ipv6_address: settings.global_ipv6_address,
            global_ipv6_prefix_len: settings.global_ipv6_prefix_len,
            dns_names: settings.dns_names,
        }
    }
}
