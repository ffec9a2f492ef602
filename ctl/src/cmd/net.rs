//! `gantry net`.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use gantry_api::engine::EndpointSettings;
use gantry_api::engine::containers::{Connect as _, Force};
use gantry_api::network::{Address, Inspect as _, Ipam, Manage as _, Network, NetworkSpec, Subnet};
use gantry_docker::network::{LIST_FILTERS, is_predefined, matches, unknown_type};
use gantry_docker::{Filters, event, moment};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::cli::command::{Listed, NetConnect, NetCreate};
use crate::cmd::{Outcome, Session, inspect as show, said};
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
    let spec = NetworkSpec {
        ipam: ipam(&arguments)?,
        driver: arguments.driver,
        internal: arguments.internal,
        attachable: arguments.attachable,
        ipv4: true,
        ipv6: arguments.ipv6,
        options: pairs(&arguments.options, "opt")?,
        labels: options::label_map(&arguments.labels)?,
        name: arguments.name,
    };
    let created = session.networks().create(spec).await.map_err(said)?;
    session.tell(event::network("create", &created)).await;
    output::line(created.id)
}

/// The requested subnets, each with its options.
fn ipam(arguments: &NetCreate) -> Result<Ipam> {
    let inner = arguments.gateway.iter().chain(&arguments.ip_range).chain(&arguments.aux_address);
    if arguments.subnet.is_empty() {
        if let Some(inner) = inner.clone().next() {
            bail!("{inner}: no --subnet has it");
        }
        if arguments.ipam_driver.is_none() && arguments.ipam_opt.is_empty() {
            return Ok(Ipam::default());
        }
    }
    let mut subnets = Vec::new();
    for text in &arguments.subnet {
        let subnet: ipnet::IpNet = text.parse().with_context(|| format!("--subnet {text}"))?;
        subnets.push((subnet, Subnet { subnet: text.clone(), ..Subnet::default() }));
    }
    let mut place = |option: &str, text: &str, address: &str, set: &dyn Fn(&mut Subnet) -> bool| {
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
            config.auxiliary.insert(name.clone(), address.clone()).is_none()
        })?;
    }
    Ok(Ipam {
        driver: arguments.ipam_driver.clone().unwrap_or_else(|| "default".to_owned()),
        options: pairs::<HashMap<_, _>>(&arguments.ipam_opt, "ipam-opt")?,
        subnets: subnets.into_iter().map(|(_, config)| config).collect(),
    })
}

/// All networks.
pub async fn all(session: &Session) -> Result<Vec<Network>> {
    Ok(session.networks().networks().await.map_err(said)?)
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
            network.ipv6.to_string(),
            moment::rfc3339(Some(&network.created_at.into())),
            output::pairs(&network.labels),
        ],
        whole: as_json(network),
    };
    printer.print(&networks.iter().map(row).collect::<Vec<_>>())
}

async fn get(session: &Session, network: &str) -> Result<Network, Status> {
    session.networks().network(network).await.map_err(said)
}

/// Removes a network that was found.
pub async fn remove_one(session: &Session, found: &Network) -> Result<(), Status> {
    if is_predefined(&found.name) {
        return Err(Status::permission_denied(format!(
            "{} is a pre-defined network and cannot be removed",
            found.name
        )));
    }
    session.networks().remove(&found.id).await.map_err(said)?;
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
            // Report it, but as success.
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
    let (client, network) = (session.containers(), &arguments.network);
    Ok(client.connect_container(&arguments.container, network, settings).await.map_err(said)?)
}

pub async fn disconnect(session: &Session, network: String, container: String, force: bool) -> Result<()> {
    let force = if force { Force::Yes } else { Force::No };
    Ok(session.containers().disconnect_container(&container, &network, force).await.map_err(said)?)
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
    network.ipam.subnets.iter().map(|subnet| subnet.subnet.clone()).collect()
}

/// Without the prefix; empty for none.
fn address(own: Option<Address>) -> String {
    own.map(|own| own.address.to_string()).unwrap_or_default()
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
        "ipv6": network.ipv6,
        "subnets": subnets(network),
        "gateways": network.ipam.subnets.iter().map(|subnet| &subnet.gateway).collect::<Vec<_>>(),
        "created_at": output::time(Some(&network.created_at.into())),
        "labels": network.labels,
        "options": network.options,
        "endpoints": network.endpoints.iter().map(|endpoint| json!({
            "container": endpoint.netns,
            "name": endpoint.name,
            "ipv4_address": address(endpoint.ipv4),
            "ipv6_address": address(endpoint.ipv6),
            "mac_address": endpoint.mac,
        })).collect::<Vec<_>>(),
    })
}
