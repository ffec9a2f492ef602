//! `gantry net`.

use anyhow::Result;
use gantry_proto::gantry::network::v1::{ListRequest, Network};
use serde_json::json;

use crate::cmd::Session;
use crate::output::{self, Format};

pub async fn list(session: &Session) -> Result<()> {
    let networks = session.peers.networks().list(ListRequest {}).await?.into_inner().networks;
    if session.format == Format::Json {
        return output::json(&networks.iter().map(as_json).collect::<Vec<_>>());
    }
    let rows: Vec<_> = networks
        .iter()
        .map(|network| {
            [
                output::short(&network.id).to_owned(),
                network.name.clone(),
                network.driver.clone(),
                subnets(network).join(", "),
                network.endpoints.len().to_string(),
            ]
        })
        .collect();
    output::table(["NETWORK", "NAME", "DRIVER", "SUBNETS", "ENDPOINTS"], &rows)
}

fn subnets(network: &Network) -> Vec<String> {
    let configs = network.ipam.iter().flat_map(|ipam| &ipam.config);
    configs.map(|config| config.subnet.clone()).collect()
}

/// A network as JSON.
pub fn as_json(network: &Network) -> serde_json::Value {
    json!({
        "id": network.id,
        "name": network.name,
        "driver": network.driver,
        "bridge": network.bridge,
        "internal": network.internal,
        "subnets": subnets(network),
        "labels": network.labels,
        "options": network.options,
        "endpoints": network.endpoints.iter().map(|endpoint| json!({
            "container": endpoint.sandbox,
            "name": endpoint.name,
            "ipv4_address": endpoint.ipv4_address,
            "ipv6_address": endpoint.ipv6_address,
            "mac_address": endpoint.mac_address,
        })).collect::<Vec<_>>(),
    })
}
