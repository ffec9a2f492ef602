//! NetworkNamespaces: attached, detached, connected, disconnected.
//!
//! Whoever changes a netns holds its keyed lock for the whole change. A change that fails is undone by the code that
//! detaches: there is one way out.

pub mod pool;

use std::collections::{BTreeSet, HashMap};

use gantry_netlink::{Conntrack, Namespace, Route, or_missing};

use crate::controller::{Controller, blocking};
use crate::error::{Error, Result};
use crate::firewall;
use crate::interface;
use crate::names::Names;
use crate::names::server::Sockets;
use crate::ports;
use crate::record::{Netns, Networks};
use crate::state::{EndpointSpec, PortMapping};

/// A netns to be made.
#[derive(Clone, Debug, Default)]
pub struct NetnsSpec {
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// The container's host name.
    pub hostname: String,
    /// The networks to be on.
    pub endpoints: Vec<EndpointSpec>,
    /// The ports to publish.
    pub ports: Vec<PortMapping>,
    /// Where the name service forwards to; empty for the host's servers.
    pub dns_servers: Vec<String>,
    /// Settings of the namespace.
    pub sysctls: HashMap<String, String>,
}

/// What a netns is, with the networks that it is on.
pub type Described = (Netns, Networks);

impl Controller {
    /// Makes a netns, or answers with the one that is there.
    pub async fn attach(&self, spec: NetnsSpec) -> Result<Described> {
        let _guard = self.0.changing.lock(spec.id.clone()).await;
        let known = self.0.state.lock().netns(&spec.id).cloned();
        if let Some(known) = known {
            if Namespace::is_pinned(&self.0.identity.pin(&known.id)) {
                return self.same(known, &spec);
            }
            tracing::warn!(netns = known.id, "its network namespace has vanished; making it anew");
            self.tear_down_netns(&known).await;
        }
        let (netns, networks) = self.reserve_netns(&spec)?;
        let (this, record, on) = (self.clone(), netns.clone(), networks.clone());
        let kernel = blocking(move || this.set_up_netns(&record, &on));
        let (written, done) = tokio::join!(self.0.store.put_netns(&netns), kernel);
        let served = written.and(done).and_then(|(namespace, sockets)| {
            self.0.names.put(&netns, &networks);
            sockets.map_or(Ok(()), |sockets| self.0.names.serve(&netns.id, namespace, sockets))
        });
        if let Err(error) = served {
            self.tear_down_netns(&netns).await;
            return Err(error);
        }
        let pool = self.0.netns_pool.clone();
        tokio::task::spawn_blocking(move || pool.refill());
        Ok((netns, networks))
    }

    /// Answers a repeated request, if it asks for what there is.
    fn same(&self, known: Netns, spec: &NetnsSpec) -> Result<Described> {
        let state = self.0.state.lock();
        let mut wanted = BTreeSet::new();
        for endpoint in &spec.endpoints {
            wanted.insert(state.network(&endpoint.network)?.id.clone());
        }
        let has: BTreeSet<String> = known.endpoints.iter().map(|endpoint| endpoint.network.clone()).collect();
        if wanted != has {
            return Err(Error::NetnsDiffers(known.id));
        }
        let networks = state.networks_of(&known);
        Ok((known, networks))
    }

    fn reserve_netns(&self, spec: &NetnsSpec) -> Result<Described> {
        let mut netns = Netns {
            id: spec.id.clone(),
            name: spec.name.clone(),
            hostname: spec.hostname.clone(),
            dns_servers: spec.dns_servers.clone(),
            sysctls: spec.sysctls.clone(),
            ..Netns::default()
        };
        let prefix = self.0.identity.veth_prefix();
        let mut state = self.0.state.lock();
        let mut reserve = || {
            for endpoint in &spec.endpoints {
                state.add_endpoint(&mut netns, endpoint, &prefix)?;
            }
            state.take_ports(&mut netns, &spec.ports, ports::hold)
        };
        if let Err(error) = reserve() {
            for endpoint in &netns.endpoints {
                state.release_endpoint(endpoint);
            }
            return Err(error);
        }
        state.put_netns(netns.clone());
        let networks = state.networks_of(&netns);
        Ok((netns, networks))
    }

    /// Makes all of a netns in the kernel. Blocks.
    fn set_up_netns(&self, netns: &Netns, networks: &Networks) -> Result<(Namespace, Option<Sockets>)> {
        let mut prepared = self.0.netns_pool.take()?;
        let pin = self.0.identity.pin(&netns.id);
        let namespace =
            prepared.namespace.pin(&pin).map_err(Error::kernel(format!("network namespace {}", netns.id)))?;
        interface::ensure(&self.0.route, &namespace, &mut prepared.route, netns, networks)?;
        let sockets = match Names::wanted(netns, networks) {
            true => Some(Sockets::bind(&namespace)?),
            false => None,
        };
        self.0.firewall.change(&BTreeSet::new(), &firewall::netns_entries(netns, networks))?;
        forget_flows(netns);
        Ok((namespace, sockets))
    }

    /// Frees all that a netns has. One that is not there is no error.
    pub async fn detach(&self, id: &str) -> Result<()> {
        let _guard = self.0.changing.lock(id.to_owned()).await;
        let known = self.0.state.lock().netns(id).cloned();
        if let Some(netns) = known {
            self.tear_down_netns(&netns).await;
        }
        Ok(())
    }

    /// Undoes all of a netns. What fails is logged and left to recovery; the rest goes on, so that addresses and ports
    /// are always free again afterwards.
    async fn tear_down_netns(&self, netns: &Netns) {
        let complain = |error: Error| {
            tracing::warn!(netns = netns.id, error = %gantry_rpc::chain(&error), "network namespace not wholly detached");
        };
        self.0.names.remove(&netns.id);
        let networks = self.0.state.lock().networks_of(netns);
        let (this, record) = (self.clone(), netns.clone());
        let kernel = blocking(move || {
            let closed =
                this.0.firewall.change(&firewall::netns_entries(&record, &networks), &BTreeSet::new());
            let pin = this.0.identity.pin(&record.id);
            let unpinned =
                Namespace::unpin(&pin).map_err(Error::kernel(format!("network namespace {}", record.id)));
            forget_flows(&record);
            closed.and(unpinned)
        });
        let (written, freed) = tokio::join!(self.0.store.delete_netns(&netns.id), kernel);
        let _ = written.map_err(complain);
        let _ = freed.map_err(complain);
        self.0.deleter.delete(netns.endpoints.iter().map(|endpoint| endpoint.veth.clone()).collect());
        self.0.state.lock().forget_netns(netns);
    }

    /// Puts a live netns on one more network.
    pub async fn connect(&self, id: &str, spec: EndpointSpec) -> Result<Described> {
        let _guard = self.0.changing.lock(id.to_owned()).await;
        let (before, after, networks) = {
            let mut state = self.0.state.lock();
            let before = state.netns(id).cloned().ok_or_else(|| Error::NetnsNotFound(id.to_owned()))?;
            let mut after = before.clone();
            state.add_endpoint(&mut after, &spec, &self.0.identity.veth_prefix())?;
            state.put_netns(after.clone());
            let networks = state.networks_of(&after);
            (before, after, networks)
        };
        match self.update(&before, &after, &networks).await {
            Ok(()) => Ok((after, networks)),
            Err(error) => {
                let back = self.update(&after, &before, &networks).await;
                if let Err(error) = back {
                    tracing::warn!(netns = id, error = %gantry_rpc::chain(&error), "connection not wholly undone");
                }
                let mut state = self.0.state.lock();
                for endpoint in after.endpoints.iter().skip(before.endpoints.len()) {
                    state.release_endpoint(endpoint);
                }
                state.put_netns(before);
                Err(error)
            }
        }
    }

    /// Takes a live netns off a network.
    pub async fn disconnect(&self, id: &str, network: &str) -> Result<Described> {
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
        let mut state = self.0.state.lock();
        for endpoint in before.endpoints.iter().filter(|endpoint| !after.endpoints.contains(endpoint)) {
            state.release_endpoint(endpoint);
        }
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
        let namespace = Namespace::open(&self.0.identity.pin(&new.id)).map_err(failed())?;
        let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
        interface::ensure(&self.0.route, &namespace, &mut inside, new, networks)?;
        interface::reroute(&mut inside, new, networks)?;
        self.0
            .firewall
            .change(&firewall::netns_entries(old, networks), &firewall::netns_entries(new, networks))?;
        forget_flows(new);
        let gone = old.endpoints.iter().filter(|endpoint| !new.endpoints.contains(endpoint));
        let gone: Vec<&str> = gone.map(|endpoint| endpoint.veth.as_str()).collect();
        if !gone.is_empty() {
            // A socket of its own: the kernel takes its time, and others need not wait for ours.
            let mut route = Route::open().map_err(failed())?;
            or_missing(route.delete_links(gone)).map_err(failed())?;
        }
        match (Names::wanted(new, networks), self.0.names.serves(&new.id)) {
            (true, false) => Ok(Some((namespace.clone(), Sockets::bind(&namespace)?))),
            (false, true) => Sockets::release(&namespace).map(|()| None),
            _ => Ok(None),
        }
    }

    /// The container has another name.
    pub async fn rename(&self, id: &str, name: String) -> Result<Described> {
        let _guard = self.0.changing.lock(id.to_owned()).await;
        let (after, networks) = {
            let state = self.0.state.lock();
            let mut after = state.netns(id).cloned().ok_or_else(|| Error::NetnsNotFound(id.to_owned()))?;
            after.name = name;
            let networks = state.networks_of(&after);
            (after, networks)
        };
        self.0.store.put_netns(&after).await?;
        self.0.state.lock().put_netns(after.clone());
        self.0.names.put(&after, &networks);
        Ok((after, networks))
    }

    /// A netns.
    pub fn netns(&self, id: &str) -> Result<Described> {
        let state = self.0.state.lock();
        let netns = state.netns(id).cloned().ok_or_else(|| Error::NetnsNotFound(id.to_owned()))?;
        let networks = state.networks_of(&netns);
        Ok((netns, networks))
    }

    /// All network namespaces.
    pub fn all_netns(&self) -> Vec<Described> {
        let state = self.0.state.lock();
        state.all_netns().map(|netns| (netns.clone(), state.networks_of(netns))).collect()
    }
}

/// Makes the kernel forget where UDP packets to a network namespace's published ports went before. No netns waits for its
/// failure: a kernel without the interface only keeps the old flows until they time out.
fn forget_flows(netns: &Netns) {
    let udp = netns.ports.iter().filter(|port| port.protocol == "udp");
    let numbers: Vec<u16> = udp.filter_map(|port| u16::try_from(port.host_port).ok()).collect();
    if numbers.is_empty() {
        return;
    }
    if let Err(error) = Conntrack::open().and_then(|mut tracker| tracker.forget(17, &numbers)) {
        tracing::debug!(netns = netns.id, error = %gantry_rpc::chain(&error), "old UDP flows stay");
    }
}
