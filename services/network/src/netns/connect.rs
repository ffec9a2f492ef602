//! Connects an existing network namespace to a network, or disconnects it.

use gantry_api::network::EndpointSpec;
use gantry_failpoint::failpoint;
use gantry_netlink::{Namespace, Route};

use super::{Described, forget_flows};
use crate::controller::{Controller, blocking};
use crate::dns::Resolver;
use crate::dns::server::Sockets;
use crate::error::{Error, Result};
use crate::firewall;
use crate::interface;
use crate::ports;
use crate::record::{Endpoint, Netns, Networks};

impl Controller {
    /// Connects a network namespace to one more network.
    pub async fn connect_netns(&self, id: &str, spec: EndpointSpec) -> Result<Described> {
        let _guard = self.0.changing.lock(id.to_owned()).await;
        let (before, mut after, networks) = {
            let mut state = self.0.state.lock();
            let before = state.netns(id).cloned().ok_or_else(|| Error::NetnsNotFound(id.to_owned()))?;
            let mut after = before.clone();
            state.add_endpoint(&mut after, &spec, &self.0.drivers, &self.0.host.identity.veth_prefix())?;
            state.put_netns(after.clone());
            let networks = state.networks_of(&after);
            (before, after, networks)
        };
        let added = before.endpoints.len();
        self.look_at_endpoints(&before, &networks).await;
        if let Err(error) = self.make_endpoints(&mut after, added, &[spec], &networks).await {
            self.0.state.lock().put_netns(before);
            return Err(error);
        }
        let taken = {
            let mut state = self.0.state.lock();
            let taken = state.retake_ports(&before, &mut after, &self.0.drivers, ports::hold);
            state.put_netns(after.clone());
            taken
        };
        failpoint!("network.connect.made", infallible);
        let mut described = (after.clone(), networks.clone());
        let connected = match taken {
            Ok(()) => match self.update(&before, &after, &networks).await {
                Ok(()) => self.move_way_out(&mut described).await,
                failed => failed,
            },
            failed => failed,
        };
        match connected {
            Ok(()) => {
                self.settle(&self.owed_of_endpoints(&after.endpoints[added..], &networks, id)).await;
                self.look_at_endpoints(&described.0, &networks).await;
                self.0.state.lock().give_ports_but(&before, &after);
                Ok(described)
            }
            Err(error) => {
                let back = self.update(&after, &before, &networks).await;
                if let Err(error) = back {
                    tracing::warn!(netns = id, error = %gantry_rpc::chain(&error), "connection not wholly undone");
                }
                self.release_endpoints(id, &after.endpoints[added..], &networks).await;
                let mut state = self.0.state.lock();
                state.give_ports_but(&after, &before);
                state.put_netns(before);
                Err(error)
            }
        }
    }

    /// Disconnects a network namespace from a network.
    pub async fn disconnect_netns(&self, id: &str, network: &str) -> Result<Described> {
        let _guard = self.0.changing.lock(id.to_owned()).await;
        let (before, mut after, networks) = {
            let state = self.0.state.lock();
            let network = state.network(network)?;
            let before = state.netns(id).cloned().ok_or_else(|| Error::NetnsNotFound(id.to_owned()))?;
            let mut after = before.clone();
            after.endpoints.retain(|endpoint| endpoint.network != network.id);
            if after.endpoints.len() == before.endpoints.len() {
                return Err(Error::NotConnected { container: before.name, network: network.name.clone() });
            }
            let networks = state.networks_of(&before);
            (before, after, networks)
        };
        // Another program may have taken the ports that the host would have to publish again: the disconnection is
        // carried out all the same.
        let taken = self.0.state.lock().retake_ports(&before, &mut after, &self.0.drivers, ports::hold);
        if let Err(error) = taken {
            tracing::warn!(netns = id, error = %gantry_rpc::chain(&error), "its ports are not published any more");
        }
        if let Err(error) = self.update(&before, &after, &networks).await {
            self.0.state.lock().give_ports_but(&after, &before);
            return Err(error);
        }
        let mut described = (after, networks);
        if let Err(error) = self.move_way_out(&mut described).await {
            tracing::warn!(netns = id, error = %gantry_rpc::chain(&error), "nothing leads to its ports any more");
        }
        let (after, networks) = described;
        self.look_at_endpoints(&after, &networks).await;
        self.release_endpoints(id, &gone(&before, &after), &networks).await;
        let mut state = self.0.state.lock();
        state.give_ports_but(&before, &after);
        state.put_netns(after.clone());
        let networks = state.networks_of(&after);
        Ok((after, networks))
    }

    /// Changes record, kernel and name service from one description of a network namespace to another. `networks`
    /// contains the networks of both.
    async fn update(&self, before: &Netns, after: &Netns, networks: &Networks) -> Result<()> {
        let leaving = gone(before, after);
        let owed = self.owed_of_endpoints(&leaving, networks, &after.id);
        if !owed.is_empty() {
            self.0.store.put_netns(after, &owed).await?;
            self.part_endpoints(&leaving, networks).await;
        }
        let written =
            async { if owed.is_empty() { self.0.store.put_netns(after, &[]).await } else { Ok(()) } };
        let (this, old, new, on) = (self.clone(), before.clone(), after.clone(), networks.clone());
        let kernel = blocking(move || this.update_kernel(&old, &new, &on));
        let (written, done) = tokio::join!(written, kernel);
        written?;
        failpoint!("network.connect.recorded");
        if let Some((namespace, sockets)) = done? {
            self.0.dns.serve(&after.id, namespace, sockets)?;
        }
        if Resolver::wanted(after, networks) {
            self.0.dns.put(after, networks);
        } else {
            self.0.dns.remove(&after.id);
            self.0.dns.put(after, networks);
        }
        Ok(())
    }

    fn update_kernel(
        &self,
        old: &Netns,
        new: &Netns,
        networks: &Networks,
    ) -> Result<Option<(Namespace, Sockets)>> {
        let failed = || Error::kernel(format!("network namespace {}", new.id));
        let namespace = Namespace::open(&self.0.host.identity.pin(&new.id)).map_err(failed())?;
        let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
        interface::ensure(&self.0.drivers, &namespace, &mut inside, new, networks)?;
        failpoint!("network.connect.joined");
        interface::reroute(&mut inside, new, networks)?;
        self.0.host.firewall.change(
            &firewall::netns_entries(&self.0.drivers, old, networks),
            &firewall::netns_entries(&self.0.drivers, new, networks),
        )?;
        forget_flows(new);
        for endpoint in gone(old, new) {
            if let Some(network) = networks.get(&endpoint.network) {
                self.0.drivers.of(network)?.leave(&endpoint, &namespace)?;
            }
        }
        failpoint!("network.connect.left");
        match (Resolver::wanted(new, networks), self.0.dns.serves(&new.id)) {
            (true, false) => Ok(Some((namespace.clone(), Sockets::bind(&namespace)?))),
            (false, true) => Sockets::release(&namespace).map(|()| None),
            _ => Ok(None),
        }
    }
}

/// The endpoints of `before` that `after` does not have.
fn gone(before: &Netns, after: &Netns) -> Vec<Endpoint> {
    let stays = |endpoint: &&Endpoint| after.endpoints.iter().any(|other| other.id == endpoint.id);
    before.endpoints.iter().filter(|endpoint| !stays(endpoint)).cloned().collect()
}
