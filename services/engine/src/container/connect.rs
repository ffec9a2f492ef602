//! Connects a container to a network or disconnects it: at once if it runs, and for each later start.
//!
//! Two services know the connections of a running container: the network service has an endpoint, and the engine's
//! record has the network. A change is made in the network service first. If the two differ, a change was
//! interrupted, and the engine [settles] them. An endpoint whose network is not in the record is removed, because no
//! client was told that it exists. A network without an endpoint is removed from the record, because its
//! disconnection had begun. The engine settles them when a change fails, before the next change, and when it adopts
//! running containers.
//!
//! [settles]: Connections::settled_netns

use std::sync::Arc;

use gantry_api::engine::EndpointSettings;
use gantry_api::network::{Endpoint, Netns, Network};
use gantry_daemon::Context;
use gantry_failpoint::failpoint;

use super::Container;
use super::files::Files;
use super::mode::NetworkMode;
use super::network::{endpoint, is_predefined, is_without_endpoints, missing_network, refuse_connection};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::peers::Networks;
use crate::record::Record;
use crate::retry;

/// Connects containers to networks. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    containers: Containers,
    networks: Networks,
    events: Events,
    files: Files,
    context: Context,
}

impl Connections {
    /// Connects these containers. Work in the background ends with the service of `context`.
    pub fn new(
        containers: &Containers,
        networks: &Networks,
        events: &Events,
        files: &Files,
        context: &Context,
    ) -> Connections {
        Connections {
            containers: containers.clone(),
            networks: networks.clone(),
            events: events.clone(),
            files: files.clone(),
            context: context.clone(),
        }
    }

    /// Connects a container to a network; at once if the container runs.
    pub async fn connect(&self, name: &str, network: &str, settings: EndpointSettings) -> Result<()> {
        let container = self.containers.find(name)?;
        let _turn = container.operate().await;
        container.refuse_if_removing()?;
        let found = self.networks.find(network).await.map_err(missing_network(network))?;
        refuse_connection(&container.record(), &found.name)?;
        let settings = EndpointSettings { network_id: found.id.clone(), ..settings };
        super::endpoint::check(&found, &settings)?;
        for link in &settings.links {
            super::links::parse(link)?;
        }
        let runs = container.life().has_process();
        if runs {
            self.settle_networks(&container).await?;
        }
        let record = container.record();
        if record.networks.contains_key(&found.name) {
            if runs {
                return Err(Error::Forbidden(format!(
                    "endpoint with name {} already exists in network {}",
                    record.name, found.name
                )));
            }
            // The settings of the first request are kept.
            return Ok(());
        }
        let mut changed = Record::clone(&record);
        changed.networks.insert(found.name.clone(), settings.clone());
        if runs && !is_without_endpoints(&found.name) {
            self.or_settle(&container, self.put_on(&container, &found, &settings, changed)).await?;
        } else {
            self.containers.write(&container, changed).await?;
        }
        failpoint!("engine.connect.recorded", infallible);
        // A container that does not run is connected when it starts.
        if runs {
            self.events.publish_network(&container, &found, "connect");
        }
        Ok(())
    }

    async fn put_on(
        &self,
        container: &Container,
        network: &Network,
        settings: &EndpointSettings,
        changed: Record,
    ) -> Result<()> {
        let record = container.record();
        let wanted = endpoint(&network.name, settings, &record)?;
        let netns = self.networks.connect(container.id(), wanted).await?;
        failpoint!("engine.connect.connected");
        self.take_netns(container, &record, netns).await?;
        self.containers.write(container, changed).await
    }

    /// Disconnects a container from a network; at once if the container runs.
    pub async fn disconnect(&self, name: &str, network: &str, force: bool) -> Result<()> {
        let found = self.networks.find(network).await.map_err(missing_network(network))?;
        let container = match self.containers.find(name) {
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
        if runs {
            self.settle_networks(&container).await?;
        }
        let record = container.record();
        let mut changed = Record::clone(&record);
        // If the record no longer has the network, an earlier attempt got this far and is finished here.
        if changed.networks.remove(&found.name).is_some() {
            if runs && !is_without_endpoints(&found.name) {
                self.or_settle(&container, self.take_off(&container, &found, changed)).await?;
            } else {
                self.containers.write(&container, changed).await?;
            }
        }
        failpoint!("engine.disconnect.recorded", infallible);
        if runs {
            self.events.publish_network(&container, &found, "disconnect");
        }
        Ok(())
    }

    async fn take_off(&self, container: &Container, network: &Network, changed: Record) -> Result<()> {
        let netns = self.networks.disconnect(container.id(), &network.id).await?;
        failpoint!("engine.disconnect.disconnected");
        self.take_netns(container, &container.record(), netns).await?;
        self.containers.write(container, changed).await
    }

    /// Takes in a running container's present networks and updates its files.
    async fn take_netns(&self, container: &Container, record: &Record, netns: Netns) -> Result<()> {
        let before = container.life().netns().cloned();
        self.files.refresh(record, before.as_deref(), &netns).await?;
        Ok(container.change(|life| life.reconnect(netns))?)
    }

    /// Makes a change. If that fails, settles the container's networks as soon as the network service answers.
    async fn or_settle(
        &self,
        container: &Arc<Container>,
        change: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let changed = change.await;
        if changed.is_err() {
            self.settle_later(container);
        }
        changed
    }

    fn settle_later(&self, container: &Arc<Container>) {
        let (connections, container) = (self.clone(), Arc::clone(container));
        let run = container.life().run();
        self.context.spawn("settle a container's networks", async move {
            loop {
                let turn = container.operate().await;
                if !container.life().is_in(run) {
                    return;
                }
                match connections.settle_networks(&container).await {
                    Ok(()) => return,
                    Err(error) if error.is_passing() => {}
                    Err(error) => {
                        tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&error), "the container's networks are not settled");
                        return;
                    }
                }
                drop(turn);
                tokio::time::sleep(retry::PAUSE).await;
            }
        });
    }

    /// Settles the networks of a running container. The caller must hold its operation lock.
    async fn settle_networks(&self, container: &Arc<Container>) -> Result<()> {
        let Some(netns) = self.settled_netns(container).await? else { return Ok(()) };
        let known = container.life().netns().is_some_and(|known| **known == netns);
        if known { Ok(()) } else { self.take_netns(container, &container.record(), netns).await }
    }

    /// Settles the container's networks with its record and returns its network namespace; `None` if it has none of
    /// its own. The caller must hold its operation lock.
    pub(crate) async fn settled_netns(&self, container: &Container) -> Result<Option<Netns>> {
        let record = container.record();
        let found = self.networks.netns(container.id()).await?;
        let Some(netns) = found.filter(|_| !NetworkMode::of(&record.host.network_mode).is_shared()) else {
            return Ok(None);
        };
        let (kept, undone): (Vec<_>, Vec<_>) =
            netns.endpoints.iter().cloned().partition(|endpoint| is_recorded(&record, endpoint));
        let mut settled = netns.clone();
        if !undone.is_empty() {
            // Files are updated first: once the endpoints are gone, their addresses are not known any more.
            let without = Netns { endpoints: kept, ..netns.clone() };
            self.files.refresh(&record, Some(&netns), &without).await?;
            for endpoint in undone {
                tracing::info!(container = %record.id, network = %endpoint.network_name, "undoing a connection that was cut short");
                settled = self.networks.disconnect(&record.id, &endpoint.network_id).await?;
            }
            self.files.refresh(&record, Some(&without), &settled).await?;
        }
        let mut changed = Record::clone(&record);
        changed.networks.retain(|name, settings| {
            let is_on = |endpoint: &Endpoint| is_of(endpoint, name, settings);
            is_without_endpoints(name) || settled.endpoints.iter().any(is_on)
        });
        if changed.networks.len() < record.networks.len() {
            tracing::info!(container = %record.id, "finishing a disconnection that was cut short");
            let gone = record.networks.keys().filter(|name| !changed.networks.contains_key(*name));
            let mut before = settled.clone();
            before.endpoints.extend(gone.map(|name| former(name)));
            self.files.settle(&record, &before, &settled).await?;
            self.containers.write(container, changed).await?;
        }
        Ok(Some(settled))
    }
}

/// What is known of an endpoint that is gone; its addresses are not.
fn former(network: &str) -> Endpoint {
    let name_service = !is_predefined(network);
    Endpoint { network_name: network.to_owned(), name_service, ..Endpoint::default() }
}

fn is_recorded(record: &Record, endpoint: &Endpoint) -> bool {
    record.networks.iter().any(|(name, settings)| is_of(endpoint, name, settings))
}

/// Whether an endpoint is the one that an entry of a record asks for. If the network did not exist when the container
/// was created, the entry may name it by the beginning of its id.
fn is_of(endpoint: &Endpoint, name: &str, settings: &EndpointSettings) -> bool {
    let by_id = match settings.network_id.as_str() {
        "" => endpoint.network_id.starts_with(name),
        id => endpoint.network_id == id,
    };
    by_id || endpoint.network_name == name
}

#[cfg(test)]
mod tests {
    use gantry_api::network::{Attach as _, Manage as _, NetworkSpec};

    use super::*;
    use crate::stage::Stage;

    fn connections(stage: &Stage) -> Connections {
        let files = Files::new(&stage.containers, &stage.peers.networks, &stage.paths());
        let networks = &stage.peers.networks;
        Connections::new(&stage.containers, networks, &stage.events, &files, &stage.context())
    }

    #[tokio::test]
    async fn a_container_at_rest_is_connected_in_its_record_alone() {
        let stage = Stage::new();
        let spec = NetworkSpec { name: "other".to_owned(), ipv4: true, ..NetworkSpec::default() };
        let id = stage.network.create(spec).await.expect("made").id;
        let container = stage.made("web").await;
        let connections = connections(&stage);
        let connect = async |network| connections.connect("web", network, EndpointSettings::default()).await;
        let missing = connect("none such").await.expect_err("no network").to_string();
        assert_eq!(missing, "network none such not found");
        connect("other").await.expect("connected");
        connect("other").await.expect("what was asked for first stays");
        let (record, _) = stage.written(&container).await;
        assert_eq!(record.networks["other"].network_id, id);
        assert!(
            stage.network.all_netns().await.expect("listed").is_empty(),
            "it is connected when it starts"
        );
        connections.disconnect("web", "other", false).await.expect("disconnected");
        assert!(stage.written(&container).await.0.networks.is_empty());
        let again = connections.disconnect("web", "other", false).await.expect_err("it is on it no more");
        assert!(again.to_string().ends_with("is not connected to the network other"), "{again}");
        assert!(stage.told().is_empty(), "nobody is told of what does not happen yet");
    }
}
