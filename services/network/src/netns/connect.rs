//! A live network namespace that is put on a network, or taken off one.

use gantry_api::network::EndpointSpec;
use gantry_failpoint::failpoint;
use gantry_netlink::{Namespace, Route};

use super::{Described, forget_flows};
use crate::controller::{Controller, blocking};
use crate::error::{Error, Result};
use crate::firewall;
use crate::interface;
use crate::names::Names;
use crate::names::server::Sockets;
use crate::record::{Endpoint, Netns, Networks};

impl Controller {
    /// Puts a live netns on one more network.
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
        let added = before.endpoints.len()..;
        if let Err(error) = self.make_endpoints(&mut after.endpoints[added.clone()], &[spec], &networks).await
        {
            self.0.state.lock().put_netns(before);
            return Err(error);
        }
        self.0.state.lock().put_netns(after.clone());
        match self.update(&before, &after, &networks).await {
            Ok(()) => Ok((after, networks)),
            Err(error) => {
                let back = self.update(&after, &before, &networks).await;
                if let Err(error) = back {
                    tracing::warn!(netns = id, error = %gantry_rpc::chain(&error), "connection not wholly undone");
                }
                self.release_endpoints(&after.endpoints[added], &networks).await;
                self.0.state.lock().put_netns(before);
                Err(error)
            }
        }
    }

    /// Takes a live netns off a network.
    pub async fn disconnect_netns(&self, id: &str, network: &str) -> Result<Described> {
        let _guard = self.0.changing.lock(id.to_owned()).await;
        let (before, after, networks) = {
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
        self.update(&before, &after, &networks).await?;
        let gone = before.endpoints.iter().filter(|endpoint| !after.endpoints.contains(endpoint));
        let gone: Vec<Endpoint> = gone.cloned().collect();
        self.release_endpoints(&gone, &networks).await;
        let mut state = self.0.state.lock();
        state.put_netns(after.clone());
        let networks = state.networks_of(&after);
        Ok((after, networks))
    }

    /// Brings record, kernel and names from one description of a live netns to another. `networks` has those of both.
    async fn update(&self, before: &Netns, after: &Netns, networks: &Networks) -> Result<()> {
        let (this, old, new, on) = (self.clone(), before.clone(), after.clone(), networks.clone());
        let kernel = blocking(move || this.update_kernel(&old, &new, &on));
        let (written, done) = tokio::join!(self.0.store.put_netns(after), kernel);
        written?;
        failpoint!("network.connect.recorded");
        if let Some((namespace, sockets)) = done? {
            self.0.names.serve(&after.id, namespace, sockets)?;
        }
        if Names::wanted(after, networks) {
            self.0.names.put(after, networks);
        } else {
            self.0.names.remove(&after.id);
            self.0.names.put(after, networks);
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
        let gone = old.endpoints.iter().filter(|endpoint| !new.endpoints.contains(endpoint));
        for endpoint in gone {
            if let Some(network) = networks.get(&endpoint.network) {
                self.0.drivers.of(network)?.leave(endpoint)?;
            }
        }
        failpoint!("network.connect.left");
        match (Names::wanted(new, networks), self.0.names.serves(&new.id)) {
            (true, false) => Ok(Some((namespace.clone(), Sockets::bind(&namespace)?))),
            (false, true) => Sockets::release(&namespace).map(|()| None),
            _ => Ok(None),
        }
    }
}
