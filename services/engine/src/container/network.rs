//! A container's networks: what it asks of the network service, and connecting it while it runs.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use gantry_api::engine::{ContainerConfig, EndpointSettings, HostConfig, PortBinding};
use gantry_api::network::{EndpointSpec, Netns, NetnsSpec, Network, PortMapping};
use gantry_failpoint::failpoint;
use gantry_spec::Namespace;

use super::Container;
use super::mode::{NetworkMode, container_of};
use super::port::{HostPorts, Port};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::Record;

/// The network that containers are on unless they say otherwise.
pub(super) const DEFAULT: &str = "bridge";

impl Engine {
    /// The networks that a container is to be on, by their names. One that is not there may be made before the start, which
    /// asks for it again.
    pub(crate) async fn networks(
        &self,
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
                let host = self.peers.network("host").await?;
                super::endpoint::check(&host, settings).map_err(in_network("host"))?;
            }
            return Ok(match mode {
                NetworkMode::Host => BTreeMap::from([("host".to_owned(), EndpointSettings::default())]),
                _ => BTreeMap::new(),
            });
        }
        let mut networks = BTreeMap::new();
        for (name, settings) in asked {
            let name = if name == "default" { DEFAULT.to_owned() } else { name };
            let Some(found) = self.network_so_far(&name).await? else {
                super::endpoint::check_built(&settings)?;
                networks.insert(name, settings);
                continue;
            };
            super::endpoint::check(&found, &settings).map_err(in_network(&found.name))?;
            networks.insert(found.name, EndpointSettings { network_id: found.id, ..settings });
        }
        let main = match host.network_mode.as_str() {
            "none" => "none".to_owned(),
            name => self.network_so_far(name).await?.map_or_else(|| name.to_owned(), |found| found.name),
        };
        if !config.mac_address.is_empty() && !networks.is_empty() && !networks.contains_key(&main) {
            return Err(Error::Invalid("unable to migrate container-wide MAC address to a specific network: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks".to_owned()));
        }
        super::endpoint::one_mac(config, &main, networks.entry(main.clone()).or_default())?;
        Ok(networks)
    }

    async fn network_so_far(&self, name: &str) -> Result<Option<Network>> {
        match self.peers.network(name).await.map_err(missing_network(name)) {
            Ok(found) => Ok(Some(found)),
            Err(Error::NoSuchNetwork(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds a network to a container; at once when it runs.
    pub async fn connect(&self, name: &str, network: &str, settings: EndpointSettings) -> Result<()> {
        let container = self.index.find(name)?;
        let _turn = container.operate().await;
        container.refuse_if_removing()?;
        let record = container.record();
        let found = self.peers.network(network).await.map_err(missing_network(network))?;
        refuse_connection(&record, &found.name)?;
        let settings = EndpointSettings { network_id: found.id.clone(), ..settings };
        super::endpoint::check(&found, &settings)?;
        for link in &settings.links {
            super::links::parse(link)?;
        }
        if record.networks.contains_key(&found.name) {
            if container.life().has_process() {
                return Err(Error::Forbidden(format!(
                    "endpoint with name {} already exists in network {}",
                    record.name, found.name
                )));
            }
            // What was asked for first stays.
            return Ok(());
        }
        let mut changed = Record::clone(&record);
        changed.networks.insert(found.name.clone(), settings.clone());
        if container.life().has_process() && !is_without_endpoints(&found.name) {
            let wanted = endpoint(&found.name, &settings, &record)?;
            let netns = self.peers.connect(container.id(), wanted).await?;
            failpoint!("engine.connect.connected");
            let before = container.life().netns().cloned();
            self.refresh_files(&record, before.as_deref(), &netns).await?;
            container.change(|life| life.reconnect(netns))?;
        }
        self.write_record(&container, changed).await?;
        failpoint!("engine.connect.recorded", infallible);
        // A container at rest is connected when it starts.
        if container.life().has_process() {
            self.publish_network(&container, &found, "connect");
        }
        Ok(())
    }

    /// Takes a network from a container; at once when it runs.
    pub async fn disconnect(&self, name: &str, network: &str, force: bool) -> Result<()> {
        let found = self.peers.network(network).await.map_err(missing_network(network))?;
        let container = match self.index.find(name) {
            Ok(container) => container,
            Err(Error::NoSuchContainer(name)) if force => return Err(Error::NoSuchEndpoint(name)),
            Err(error) => return Err(error),
        };
        let _turn = container.operate().await;
        let record = container.record();
        if record.host.network_mode == "host" && found.name == "host" {
            return Err(Error::Invalid(
                "cannot disconnect container from host network - container was created in host network mode"
                    .to_owned(),
            ));
        }
        let runs = container.life().has_process();
        if !record.networks.contains_key(&found.name) {
            let the = if runs { "" } else { "the " };
            return Err(Error::Refused(format!(
                "container {} is not connected to {the}network {}",
                container.id(),
                found.name
            )));
        }
        let mut changed = Record::clone(&record);
        changed.networks.remove(&found.name);
        if runs && !is_without_endpoints(&found.name) {
            let netns = self.peers.disconnect(container.id(), &found.id).await?;
            failpoint!("engine.disconnect.disconnected");
            let before = container.life().netns().cloned();
            self.refresh_files(&record, before.as_deref(), &netns).await?;
            container.change(|life| life.reconnect(netns))?;
        }
        self.write_record(&container, changed).await?;
        failpoint!("engine.disconnect.recorded", infallible);
        if runs {
            self.publish_network(&container, &found, "disconnect");
        }
        Ok(())
    }

    fn publish_network(&self, container: &Container, network: &Network, action: &str) {
        let attributes = BTreeMap::from([
            ("container".to_owned(), container.id().to_owned()),
            ("name".to_owned(), network.name.clone()),
            ("type".to_owned(), network.driver.clone()),
        ]);
        self.events.publish("network", action, &network.id, attributes);
    }

    /// Network events of a container that got or lost its networks; `netns` is `None` on the host's network.
    pub(crate) async fn publish_networks(&self, container: &Container, netns: Option<&Netns>, action: &str) {
        for endpoint in netns.iter().flat_map(|netns| &netns.endpoints) {
            let attributes = BTreeMap::from([
                ("container".to_owned(), container.id().to_owned()),
                ("name".to_owned(), endpoint.network_name.clone()),
                // No other driver makes endpoints.
                ("type".to_owned(), DEFAULT.to_owned()),
            ]);
            self.events.publish("network", action, &endpoint.network_id, attributes);
        }
        for name in container.record().networks.keys().filter(|name| is_without_endpoints(name)) {
            match self.peers.network(name).await {
                Ok(found) => self.publish_network(container, &found, action),
                Err(error) => {
                    tracing::debug!(container = %container.id(), network = %name, error = %gantry_rpc::chain(&error), "network event left out");
                }
            }
        }
    }

    /// The network namespace of a container that is about to start, unless it joins another's.
    pub(crate) fn netns_of(&self, record: &Record) -> Namespace {
        match NetworkMode::of(&record.host.network_mode) {
            NetworkMode::Host => Namespace::Host,
            _ => Namespace::Path(self.peers.netns_path(&record.id)),
        }
    }
}

/// Whether a network is one of those that are always there.
pub(super) fn is_predefined(name: &str) -> bool {
    name == DEFAULT || is_without_endpoints(name)
}

/// Whether being on a network needs nothing of the network service.
fn is_without_endpoints(name: &str) -> bool {
    matches!(name, "host" | "none")
}

/// What is asked of the network service; `None` when the container has no namespace of its own.
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
        dns_servers: record.host.dns.iter().map(server).collect::<Result<_>>()?,
        sysctls: gantry_spec::sysctls::of_network(&record.host.sysctls),
    }))
}

fn endpoint(name: &str, settings: &EndpointSettings, record: &Record) -> Result<EndpointSpec> {
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

/// What is not there may be left to the network service.
fn requested<T: FromStr>(what: &str, text: &str) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { address(what, text).map(Some) }
}

/// Where the network was not there at the creation, nobody has looked at the address.
fn address<T: FromStr>(what: &str, text: &str) -> Result<T> {
    let invalid =
        || Error::Invalid(format!("failed to set up container networking: invalid {what} {text:?}"));
    text.parse().map_err(|_| invalid())
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

/// Refuses networks that do not go together with those that a container is on.
fn refuse_connection(record: &Record, network: &str) -> Result<()> {
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

/// Whether a network is named only because clients name the mode there too.
fn is_own_mode(name: &str, mode: &str) -> bool {
    name == mode || name == "default" || container_of(mode).is_some() && container_of(name).is_some()
}

pub(super) fn in_network(name: &str) -> impl Fn(Error) -> Error + '_ {
    move |error| match error {
        Error::Invalid(why) => Error::Invalid(format!("invalid config for network {name}: {why}")),
        error => error,
    }
}

fn missing_network(name: &str) -> impl FnOnce(Error) -> Error + '_ {
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
