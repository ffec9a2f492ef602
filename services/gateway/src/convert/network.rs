//! Networks and endpoints.

use std::collections::BTreeMap;

use gantry_api::engine;
use gantry_api::network::{self, Address, NetworkSpec, Subnet};
use prost_types::Timestamp;

use super::or_null;
use crate::moment;
use crate::wire::network::{
    ConfigReference, CreateRequest, EndpointIpam, EndpointResource, EndpointSettings, Ipam, IpamConfig,
    Network,
};

/// A client's request for an endpoint.
pub fn endpoint_to_engine(settings: EndpointSettings) -> engine::EndpointSettings {
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    engine::EndpointSettings {
        has_ipam_config: settings.ipam_config.is_some(),
        ipam_ipv4_address: ipam.ipv4_address,
        ipam_ipv6_address: ipam.ipv6_address,
        link_local_ips: ipam.link_local_ips,
        links: settings.links.unwrap_or_default(),
        aliases: settings.aliases.unwrap_or_default(),
        mac_address: settings.mac_address,
        driver_opts: settings.driver_opts.unwrap_or_default().into_iter().collect(),
        gw_priority: settings.gw_priority,
        ..engine::EndpointSettings::default()
    }
}

/// All endpoints of a container, for a client.
pub fn endpoints_from_engine(
    networks: impl IntoIterator<Item = (String, engine::EndpointSettings)>,
) -> BTreeMap<String, EndpointSettings> {
    networks.into_iter().map(|(name, settings)| (name, endpoint_from_engine(settings))).collect()
}

fn endpoint_from_engine(settings: engine::EndpointSettings) -> EndpointSettings {
    EndpointSettings {
        ipam_config: settings.has_ipam_config.then_some(EndpointIpam {
            ipv4_address: settings.ipam_ipv4_address,
            ipv6_address: settings.ipam_ipv6_address,
            link_local_ips: settings.link_local_ips,
        }),
        links: or_null(settings.links),
        aliases: or_null(settings.aliases),
        mac_address: settings.mac_address,
        driver_opts: Some(settings.driver_opts.into_iter().collect::<BTreeMap<_, _>>())
            .filter(|options| !options.is_empty()),
        gw_priority: settings.gw_priority,
        network_id: settings.network_id,
        endpoint_id: settings.endpoint_id,
        gateway: settings.gateway,
        ip_address: settings.ip_address,
        ip_prefix_len: settings.ip_prefix_len,
        ipv6_gateway: settings.ipv6_gateway,
        global_ipv6_address: settings.global_ipv6_address,
        global_ipv6_prefix_len: settings.global_ipv6_prefix_len,
        dns_names: or_null(settings.dns_names),
    }
}

/// A client's request for a network, which has IPv4 and not IPv6 where the client does not say.
pub fn spec_of(request: CreateRequest) -> NetworkSpec {
    let ipam = request.ipam.unwrap_or_default();
    let subnet = |config: IpamConfig| Subnet {
        subnet: config.subnet,
        ip_range: config.ip_range,
        gateway: config.gateway,
        auxiliary: config.auxiliary_addresses.into_iter().collect(),
        chosen: false,
    };
    NetworkSpec {
        name: request.name,
        driver: request.driver,
        internal: request.internal,
        attachable: request.attachable,
        ipv4: request.enable_ipv4.unwrap_or(true),
        ipv6: request.enable_ipv6.unwrap_or(false),
        ipam: network::Ipam {
            driver: ipam.driver,
            options: ipam.options.unwrap_or_default().into_iter().collect(),
            subnets: ipam.config.unwrap_or_default().into_iter().map(subnet).collect(),
        },
        options: request.options.into_iter().collect(),
        labels: request.labels.into_iter().collect(),
    }
}

/// Whether to show the containers of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Containers {
    Shown,
    Hidden,
}

/// A network, for a client.
pub fn from_network(of: network::Network, containers: Containers) -> Network {
    let ipam = of.ipam;
    let endpoints = if containers == Containers::Shown { of.endpoints } else { Vec::new() };
    // `host` and `null` give out no addresses, and Docker shows no configuration for them.
    let config = if ipam.subnets.is_empty() && matches!(of.driver.as_str(), "host" | "null") {
        None
    } else {
        Some(ipam.subnets)
    };
    Network {
        name: of.name,
        id: of.id,
        created: moment::rfc3339_nano(Some(&Timestamp::from(of.created_at))),
        scope: of.scope,
        driver: of.driver,
        enable_ipv4: of.ipv4,
        enable_ipv6: of.ipv6,
        ipam: Ipam {
            driver: if ipam.driver.is_empty() { "default".to_owned() } else { ipam.driver },
            options: Some(ipam.options.into_iter().collect::<BTreeMap<_, _>>())
                .filter(|options| !options.is_empty()),
            config: config.map(|list| {
                list.into_iter()
                    .map(|config| IpamConfig {
                        subnet: config.subnet,
                        ip_range: config.ip_range,
                        gateway: config.gateway,
                        auxiliary_addresses: config.auxiliary.into_iter().collect(),
                    })
                    .collect()
            }),
        },
        internal: of.internal,
        attachable: of.attachable,
        ingress: false,
        config_from: ConfigReference::default(),
        config_only: false,
        containers: endpoints
            .into_iter()
            .map(|endpoint| {
                let resource = EndpointResource {
                    name: endpoint.name,
                    endpoint_id: endpoint.id,
                    mac_address: endpoint.mac,
                    ipv4_address: with_prefix(endpoint.ipv4),
                    ipv6_address: with_prefix(endpoint.ipv6),
                };
                (endpoint.netns, resource)
            })
            .collect(),
        options: of.options.into_iter().collect(),
        labels: of.labels.into_iter().collect(),
    }
}

fn with_prefix(own: Option<Address>) -> String {
    own.map(|own| format!("{}/{}", own.address, own.prefix)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> network::Network {
        let address = Address { address: [172, 18, 0, 2].into(), prefix: 16, gateway: None };
        let endpoint = network::Endpoint {
            id: "e1".into(),
            netns: "c1".into(),
            name: "db".into(),
            ipv4: Some(address),
            ..network::Endpoint::default()
        };
        let web = gantry_fakes::network(NetworkSpec { name: "web".into(), ..NetworkSpec::default() });
        network::Network { endpoints: vec![endpoint], ..web }
    }

    #[test]
    fn a_network_has_ipv4_alone_unless_its_client_says_otherwise() {
        let families = |body: &str| {
            let spec = spec_of(serde_json::from_str(body).expect("a request"));
            (spec.ipv4, spec.ipv6)
        };
        assert_eq!(families("{}"), (true, false));
        assert_eq!(families(r#"{"EnableIPv4": false, "EnableIPv6": true}"#), (false, true));
    }

    #[test]
    fn containers_are_only_shown_by_an_inspection() {
        let json = |containers| serde_json::to_value(from_network(example(), containers)).expect("json");
        assert_eq!(json(Containers::Hidden)["Containers"], serde_json::json!({}));
        assert_eq!(
            json(Containers::Shown)["Containers"],
            serde_json::json!({"c1": {"Name": "db", "EndpointID": "e1", "MacAddress": "", "IPv4Address": "172.18.0.2/16", "IPv6Address": ""}})
        );
    }
}
