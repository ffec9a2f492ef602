//! A container's networks: the requests to the network service, and the events.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use gantry_api::engine::{ContainerConfig, EndpointSettings, HostConfig, PortBinding};
use gantry_api::network::{Endpoint, EndpointSpec, ExposedPort, Netns, NetnsSpec, Network, PortMapping};

use super::Container;
use super::mode::{NetworkMode, container_of};
use super::port::{HostPorts, Port};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::Networks;
use crate::record::Record;

/// The network of containers whose configuration names none.
pub(super) const DEFAULT: &str = "bridge";

/// The networks of a container, by name. A network that does not exist may be created before the start, which
/// looks it up again.
pub(super) async fn asked_for(
    networks: &Networks,
    config: &ContainerConfig,
    host: &HostConfig,
    asked: HashMap<String, EndpointSettings>,
) -> Result<BTreeMap<String, EndpointSettings>> {
    let mode = NetworkMode::of(&host.network_mode);
    if mode.is_shared() {
        if let Some((name, _)) = asked.iter().find(|(name, _)| !is_own_mode(name, &host.network_mode)) {
            return Err(Error::Invalid(format!(
                "container sharing network namespace with another container or host cannot be connected to network {name}"
            )));
        }
        if let Some(settings) = asked.get("host") {
            let host = networks.find("host").await?;
            super::endpoint::check(&host, settings).map_err(in_network("host"))?;
        }
        return Ok(match mode {
            NetworkMode::Host => BTreeMap::from([("host".to_owned(), EndpointSettings::default())]),
            _ => BTreeMap::new(),
        });
    }
    let mut all = BTreeMap::new();
    for (name, settings) in asked {
        let name = if name == "default" { DEFAULT.to_owned() } else { name };
        let Some(found) = network_so_far(networks, &name).await? else {
            super::endpoint::check_built(&settings)?;
            all.insert(name, settings);
            continue;
        };
        super::endpoint::check(&found, &settings).map_err(in_network(&found.name))?;
        all.insert(found.name, EndpointSettings { network_id: found.id, ..settings });
    }
    let main = match host.network_mode.as_str() {
        "none" => "none".to_owned(),
        name => network_so_far(networks, name).await?.map_or_else(|| name.to_owned(), |found| found.name),
    };
    if !config.mac_address.is_empty() && !all.is_empty() && !all.contains_key(&main) {
        return Err(Error::Invalid("unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks".to_owned()));
    }
    super::endpoint::one_mac(config, &main, all.entry(main.clone()).or_default())?;
    Ok(all)
}

async fn network_so_far(networks: &Networks, name: &str) -> Result<Option<Network>> {
    match networks.find(name).await.map_err(missing_network(name)) {
        Ok(found) => Ok(Some(found)),
        Err(Error::NoSuchNetwork(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends events for the networks that a container was connected to or disconnected from. `netns` is `None` on the
/// host's network.
pub(super) async fn publish(
    networks: &Networks,
    events: &Events,
    container: &Container,
    netns: Option<&Netns>,
    action: &str,
) {
    for endpoint in netns.iter().flat_map(|netns| &netns.endpoints) {
        events.publish("network", action, &endpoint.network_id, told(container.id(), endpoint));
    }
    for name in container.record().networks.keys().filter(|name| is_without_endpoints(name)) {
        match networks.find(name).await {
            Ok(found) => events.publish_network(container, &found, action),
            Err(error) => {
                tracing::debug!(container = %container.id(), network = %name, error = %gantry_rpc::chain(&error), "network event left out");
            }
        }
    }
}

impl Events {
    /// Sends an event for one network that a container was connected to or disconnected from.
    pub(super) fn publish_network(&self, container: &Container, network: &Network, action: &str) {
        let attributes = BTreeMap::from([
            ("container".to_owned(), container.id().to_owned()),
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.clone()),
        ]);
        self.publish("network", action, &network.id, attributes);
    }
}

/// Whether a network is one of those that always exist.
pub(super) fn is_predefined(name: &str) -> bool {
    name == DEFAULT || is_without_endpoints(name)
}

/// Whether the network service makes no endpoint for a network.
pub(super) fn is_without_endpoints(name: &str) -> bool {
    matches!(name, "host" | "none")
}

/// The request to the network service; `None` if the container has no network namespace of its own.
pub(crate) fn netns_spec(record: &Record) -> Result<Option<NetnsSpec>> {
    if NetworkMode::of(&record.host.network_mode).is_shared() {
        return Ok(None);
    }
    let endpoints = record
        .networks
        .iter()
        .filter(|(name, _)| name.as_str() != "none")
        .map(|(name, settings)| endpoint(name, settings, record))
        .collect::<Result<_>>()?;
    let server = |text: &String| address("name server", text);
    Ok(Some(NetnsSpec {
        id: record.id.clone(),
        name: record.name.clone(),
        hostname: record.config.hostname.clone(),
        endpoints,
        ports: ports(record)?,
        exposed: record.config.exposed_ports.iter().filter_map(|text| exposed(text)).collect(),
        dns_servers: record.host.dns.iter().map(server).collect::<Result<_>>()?,
        sysctls: gantry_spec::sysctls::of_network(&record.host.sysctls),
    }))
}

pub(super) fn endpoint(name: &str, settings: &EndpointSettings, record: &Record) -> Result<EndpointSpec> {
    let main = record.host.network_mode == name;
    let mut links = settings.links.clone();
    if main {
        links.extend(record.host.links.iter().cloned());
    }
    Ok(EndpointSpec {
        network: if settings.network_id.is_empty() { name.to_owned() } else { settings.network_id.clone() },
        aliases: settings.aliases.clone(),
        links,
        ipv4: requested("IPv4 address", &settings.ipam_ipv4_address)?,
        ipv6: requested("IPv6 address", &settings.ipam_ipv6_address)?,
        mac: settings.mac_address.clone(),
        options: settings.driver_opts.clone(),
        gateway_priority: settings.gw_priority,
    })
}

/// Parses a requested value; an empty text leaves the choice to the network service.
fn requested<T: FromStr>(what: &str, text: &str) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { address(what, text).map(Some) }
}

/// Parses an address. It may not have been checked, if the network did not exist when the container was created.
fn address<T: FromStr>(what: &str, text: &str) -> Result<T> {
    let invalid =
        || Error::Invalid(format!("failed to set up container networking: invalid {what} {text:?}"));
    text.parse().map_err(|_| invalid())
}

/// An exposed port; `None` for a text that is no port, which an image may have.
fn exposed(text: &str) -> Option<ExposedPort> {
    let port: Port = text.parse().ok()?;
    Some(ExposedPort { number: port.number, protocol: port.protocol.into() })
}

/// The ports to publish: bound ones, and with `-P` all that are exposed.
fn ports(record: &Record) -> Result<Vec<PortMapping>> {
    let mut ports = Vec::new();
    for (text, bindings) in &record.host.port_bindings {
        let port: Port = text.parse()?;
        let any = [PortBinding::default()];
        let bindings = if bindings.is_empty() { &any[..] } else { bindings };
        for binding in bindings {
            ports.push(PortMapping {
                protocol: port.protocol.into(),
                container_port: port.number,
                host: requested("host address", &binding.host_ip)?,
                range: binding.host_port.parse::<HostPorts>()?.range(),
            });
        }
    }
    if record.host.publish_all_ports {
        for text in &record.config.exposed_ports {
            let port: Port = text.parse()?;
            let bound = record
                .host
                .port_bindings
                .keys()
                .any(|known| known.parse().is_ok_and(|known: Port| known == port));
            if !bound {
                ports.push(PortMapping {
                    protocol: port.protocol.into(),
                    container_port: port.number,
                    host: None,
                    range: None,
                });
            }
        }
    }
    ports.sort_by_key(|port| (port.container_port, port.protocol.name()));
    Ok(ports)
}

/// Refuses a network that cannot be combined with those that the container is on.
pub(super) fn refuse_connection(record: &Record, network: &str) -> Result<()> {
    let invalid = |why: &str| Err(Error::Invalid(why.to_owned()));
    if NetworkMode::of(&record.host.network_mode).is_shared() {
        return invalid(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        );
    }
    if network == "host" {
        return invalid(
            "cannot connect container to host network - container must be created in host network mode",
        );
    }
    let private = |name: &str| name == "none";
    if record.networks.keys().any(|name| name != network && (private(name) || private(network))) {
        return invalid(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        );
    }
    Ok(())
}

/// Whether a network is named only because clients repeat the network mode there.
fn is_own_mode(name: &str, mode: &str) -> bool {
    name == mode || name == "default" || container_of(mode).is_some() && container_of(name).is_some()
}

pub(super) fn in_network(name: &str) -> impl Fn(Error) -> Error + '_ {
    move |error| match error {
        Error::Invalid(why) => Error::Invalid(format!("invalid config for network {name}: {why}")),
        error => error,
    }
}

/// The attributes of an event about a container's endpoint.
fn told(container: &str, endpoint: &Endpoint) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("container".to_owned(), container.to_owned()),
        ("name".to_owned(), endpoint.network_name.clone()),
        ("type".to_owned(), endpoint.driver.clone()),
    ])
}

pub(super) fn missing_network(name: &str) -> impl FnOnce(Error) -> Error + '_ {
    move |error| match error.peer_code() {
        Some(tonic::Code::NotFound) => Error::NoSuchNetwork(name.to_owned()),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record::default();
        record.host.network_mode = "bridge".to_owned();
        record.networks.insert("bridge".to_owned(), EndpointSettings::default());
        record
    }

    #[test]
    fn bound_and_exposed_ports_are_published() {
        let mut record = record();
        record.config.exposed_ports = vec!["80/tcp".to_owned(), "81/tcp".to_owned()];
        record.host.publish_all_ports = true;
        let binding = PortBinding { host_ip: String::new(), host_port: "8080".to_owned() };
        record.host.port_bindings.insert("80/tcp".to_owned(), vec![binding]);
        let ports = ports(&record).expect("valid");
        let seen: Vec<_> = ports.iter().map(|port| (port.container_port, port.range)).collect();
        assert_eq!(seen, [(80, Some((8080, 8080))), (81, None)]);
    }

    #[test]
    fn an_event_tells_the_driver_of_its_network() {
        let endpoint =
            Endpoint { network_name: "far".to_owned(), driver: "mesh".to_owned(), ..Endpoint::default() };
        let told = told("c1", &endpoint);
        assert_eq!((told["type"].as_str(), told["name"].as_str()), ("mesh", "far"));
    }

    #[test]
    fn host_and_shared_namespaces_ask_for_nothing() {
        let mut record = record();
        record.host.network_mode = "host".to_owned();
        assert_eq!(netns_spec(&record).expect("valid"), None);
        record.host.network_mode = "container:x".to_owned();
        assert_eq!(netns_spec(&record).expect("valid"), None);
        record.host.network_mode = "none".to_owned();
        record.networks = BTreeMap::from([("none".to_owned(), EndpointSettings::default())]);
        let request = netns_spec(&record).expect("valid").expect("a namespace");
        assert!(request.endpoints.is_empty());
    }
}
