//! `gantry net`.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use gantry_docker::network::{LIST_FILTERS, is_predefined, matches, unknown_type};
use gantry_docker::{Filters, event, moment};
use gantry_proto::gantry::engine::v1::{ConnectRequest, DisconnectRequest, EndpointSettings};
use gantry_proto::gantry::network::v1::{
    CreateRequest, GetRequest, Ipam, IpamConfig, ListRequest, Network, RemoveRequest,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::cli::command::{Listed, NetConnect, NetCreate};
use crate::cmd::{Outcome, Session, inspect as show};
use crate::options;
use crate::options::value::{pair, pairs};
use crate::output::listing::{self, Field, Listing, Row};
use crate::output::{self, Format};

const FIELDS: &[Field] = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Subnets", "SUBNETS"),
    ("Containers", "CONTAINERS"),
    ("Scope", "SCOPE"),
    ("Internal", "INTERNAL"),
    ("IPv6", "IPV6"),
    ("CreatedAt", "CREATED AT"),
    ("Labels", "LABELS"),
];

pub async fn create(session: &Session, arguments: NetCreate) -> Result<()> {
    if is_predefined(&arguments.name) {
        bail!("the network {} is always there", arguments.name);
    }
    if arguments.name.trim().is_empty() {
        bail!("a network needs a name");
    }
    let request = CreateRequest {
        ipam: ipam(&arguments)?,
        driver: arguments.driver,
        internal: arguments.internal,
        attachable: arguments.attachable,
        enable_ipv4: None,
        enable_ipv6: arguments.ipv6.then_some(true),
        options: pairs(&arguments.options, "opt")?,
        labels: options::label_map(&arguments.labels)?,
        name: arguments.name,
    };
    let created = session.peers.networks().create(request).await?.into_inner();
    session.tell(event::network("create", &created)).await;
    output::line(created.id)
}

/// The subnets that are asked for, each with what is in it.
fn ipam(arguments: &NetCreate) -> Result<Option<Ipam>> {
    let inner = arguments.gateway.iter().chain(&arguments.ip_range).chain(&arguments.aux_address);
    if arguments.subnet.is_empty() {
        if let Some(inner) = inner.clone().next() {
            bail!("{inner}: no --subnet has it");
        }
        if arguments.ipam_driver.is_none() && arguments.ipam_opt.is_empty() {
            return Ok(None);
        }
    }
    let mut subnets = Vec::new();
    for text in &arguments.subnet {
        let subnet: ipnet::IpNet = text.parse().with_context(|| format!("--subnet {text}"))?;
        subnets.push((subnet, IpamConfig { subnet: text.clone(), ..IpamConfig::default() }));
    }
    let mut place = |option: &str, text: &str, address: &str, set: &dyn Fn(&mut IpamConfig) -> bool| {
        let bare = address.split('/').next().unwrap_or_default();
        let bare: std::net::IpAddr = bare.parse().with_context(|| format!("--{option} {text}"))?;
        let (_, config) = subnets
            .iter_mut()
            .find(|(subnet, _)| subnet.contains(&bare))
            .with_context(|| format!("--{option} {text}: no --subnet has it"))?;
        if !set(config) {
            bail!("--{option} {text}: the subnet has one already");
        }
        Ok(())
    };
    let once = |field: &mut String, text: &str| {
        let free = field.is_empty();
        text.clone_into(field);
        free
    };
    for text in &arguments.gateway {
        place("gateway", text, text, &|config| once(&mut config.gateway, text))?;
    }
    for text in &arguments.ip_range {
        place("ip-range", text, text, &|config| once(&mut config.ip_range, text))?;
    }
    for text in &arguments.aux_address {
        let (name, address) = pair(text, "aux-address")?;
        place("aux-address", text, &address, &|config| {
            config.auxiliary_addresses.insert(name.clone(), address.clone()).is_none()
        })?;
    }
    Ok(Some(Ipam {
        driver: arguments.ipam_driver.clone().unwrap_or_else(|| "default".to_owned()),
        options: pairs::<HashMap<_, _>>(&arguments.ipam_opt, "ipam-opt")?,
        config: subnets.into_iter().map(|(_, config)| config).collect(),
    }))
}

/// All of them.
pub async fn all(session: &Session) -> Result<Vec<Network>> {
    Ok(session.peers.networks().list(ListRequest {}).await?.into_inner().networks)
}

pub async fn list(session: &Session, listed: &Listed) -> Result<()> {
    let listing = Listing { fields: FIELDS, columns: vec!["ID", "Name", "Driver", "Subnets", "Containers"] };
    let printer = listing.printer(session.format, listed.format.as_deref())?;
    let filters = Filters::pairs(&listed.filters, &LIST_FILTERS)?;
    let dangling = filters.flag("dangling")?;
    if let Some(kind) = unknown_type(&filters) {
        bail!("invalid filter 'type={kind}': custom or builtin is expected");
    }
    let mut networks = all(session).await?;
    networks.retain(|network| matches(network, &filters, dangling));
    networks.sort_by(|one, other| one.name.cmp(&other.name));
    let id = |network: &Network| {
        if listed.no_trunc { network.id.clone() } else { output::short(&network.id).to_owned() }
    };
    if listed.quiet && session.format == Format::Table {
        return listing::names(networks.iter().map(id).collect::<Vec<_>>().iter().map(String::as_str));
    }
    let row = |network: &Network| Row {
        cells: vec![
            id(network),
            network.name.clone(),
            network.driver.clone(),
            subnets(network).join(", "),
            network.endpoints.len().to_string(),
            network.scope.clone(),
            network.internal.to_string(),
            network.enable_ipv6.to_string(),
            moment::rfc3339(network.created_at.as_ref()),
            output::pairs(&network.labels),
        ],
        whole: as_json(network),
    };
    printer.print(&networks.iter().map(row).collect::<Vec<_>>())
}

async fn get(session: &Session, network: &str) -> Result<Network, Status> {
    let request = GetRequest { network: network.to_owned() };
    session.peers.networks().get(request).await.map(tonic::Response::into_inner)
}

/// Removes a network that was found.
pub async fn remove_one(session: &Session, found: &Network) -> Result<(), Status> {
    if is_predefined(&found.name) {
        return Err(Status::permission_denied(format!(
            "{} is a pre-defined network and cannot be removed",
            found.name
        )));
    }
    session.peers.networks().remove(RemoveRequest { network: found.id.clone() }).await?;
    session.tell(event::network("destroy", found)).await;
    Ok(())
}

pub async fn remove(session: &Session, names: &[String], force: bool) -> Result<u8> {
    let mut outcome = Outcome::default();
    for name in names {
        let removed = match get(session, name).await {
            Ok(found) => remove_one(session, &found).await,
            Err(status) => Err(status),
        };
        match removed {
            // It is said, but it is what was wanted.
            Err(status) if force && status.code() == Code::NotFound => output::note(status.message()),
            result => outcome.report(name, result)?,
        }
    }
    Ok(outcome.code())
}

pub async fn connect(session: &Session, arguments: NetConnect) -> Result<()> {
    let has_ipam_config = arguments.ip.is_some() || arguments.ip6.is_some();
    let settings = EndpointSettings {
        has_ipam_config,
        ipam_ipv4_address: arguments.ip.unwrap_or_default(),
        ipam_ipv6_address: arguments.ip6.unwrap_or_default(),
        links: arguments.links,
        aliases: arguments.aliases,
        driver_opts: pairs(&arguments.driver_opts, "driver-opt")?,
        gw_priority: arguments.gw_priority.unwrap_or_default(),
        ..EndpointSettings::default()
    };
    let request = ConnectRequest {
        container: arguments.container,
        network: arguments.network,
        settings: Some(settings),
    };
    session.peers.containers().connect(request).await?;
    Ok(())
}

pub async fn disconnect(session: &Session, network: String, container: String, force: bool) -> Result<()> {
    session.peers.containers().disconnect(DisconnectRequest { container, network, force }).await?;
    Ok(())
}

pub async fn inspect(session: &Session, names: &[String]) -> Result<u8> {
    let mut outcome = Outcome::default();
    for name in names {
        if let Some(network) = outcome.succeeded(get(session, name).await) {
            show::print(session, &as_json(&network))?;
        }
    }
    Ok(outcome.code())
}

fn subnets(network: &Network) -> Vec<String> {
    let configs = network.ipam.iter().flat_map(|ipam| &ipam.config);
    configs.map(|config| config.subnet.clone()).collect()
}

/// A network as JSON.
pub fn as_json(network: &Network) -> Value {
    json!({
        "kind": "network",
        "id": network.id,
        "name": network.name,
        "driver": network.driver,
        "bridge": network.bridge,
        "internal": network.internal,
        "attachable": network.attachable,
        "ipv6": network.enable_ipv6,
        "subnets": subnets(network),
        "gateways": network.ipam.iter().flat_map(|ipam| &ipam.config).map(|config| &config.gateway).collect::<Vec<_>>(),
        "created_at": output::time(network.created_at.as_ref()),
        "labels": network.labels,
        "options": network.options,
        "endpoints": network.endpoints.iter().map(|endpoint| json!({
            "container": endpoint.netns,
            "name": endpoint.name,
            "ipv4_address": endpoint.ipv4_address,
            "ipv6_address": endpoint.ipv6_address,
            "mac_address": endpoint.mac_address,
        })).collect::<Vec<_>>(),
    })
}
