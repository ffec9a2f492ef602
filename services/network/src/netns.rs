//! Network namespaces: attached and detached; connected and disconnected while they live ([`connect`]).
//!
//! Whoever changes a netns holds its keyed lock for the whole change. A change that fails is undone by the code that
//! detaches: there is one way out.

mod connect;
mod endpoints;
pub mod pool;

use std::collections::BTreeSet;

use gantry_api::network::NetnsSpec;
use gantry_failpoint::failpoint;
use gantry_netlink::{Conntrack, Namespace};

use crate::controller::{Controller, blocking};
use crate::error::{Error, Result};
use crate::firewall;
use crate::interface;
use crate::names::Names;
use crate::names::server::Sockets;
use crate::ports;
use crate::record::{Netns, Networks};

/// What a netns is, with the networks that it is on.
pub type Described = (Netns, Networks);

impl Controller {
    /// Makes a netns, or answers with the one that is there.
    pub async fn attach_netns(&self, spec: NetnsSpec) -> Result<Described> {
        check(&spec)?;
        let _guard = self.0.changing.lock(spec.id.clone()).await;
        let known = self.0.state.lock().netns(&spec.id).cloned();
        if let Some(known) = known {
            if Namespace::is_pinned(&self.0.host.identity.pin(&known.id)) {
                return self.same(known, &spec);
            }
            tracing::warn!(netns = known.id, "its network namespace has vanished; making it anew");
            self.tear_down_netns(&known).await;
        }
        let (netns, networks) = self.reserve_netns(&spec).await?;
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
        failpoint!("network.attach.recorded", infallible);
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

    async fn reserve_netns(&self, spec: &NetnsSpec) -> Result<Described> {
        let mut netns = Netns {
            id: spec.id.clone(),
            name: spec.name.clone(),
            hostname: spec.hostname.clone(),
            dns_servers: spec.dns_servers.iter().map(ToString::to_string).collect(),
            sysctls: spec.sysctls.clone(),
            ..Netns::default()
        };
        let networks = {
            let prefix = self.0.host.identity.veth_prefix();
            let mut state = self.0.state.lock();
            for endpoint in &spec.endpoints {
                state.add_endpoint(&mut netns, endpoint, &self.0.drivers, &prefix)?;
            }
            // Before it has addresses, so that none of its networks goes meanwhile.
            state.put_netns(netns.clone());
            state.networks_of(&netns)
        };
        if let Err(error) = self.make_endpoints(&mut netns.endpoints, &spec.endpoints, &networks).await {
            self.0.state.lock().forget_netns(&netns);
            return Err(error);
        }
        let taken = {
            let mut state = self.0.state.lock();
            let taken = state.take_ports(&mut netns, &spec.ports, &self.0.drivers, ports::hold);
            taken.map(|()| state.put_netns(netns.clone()))
        };
        if let Err(error) = taken {
            self.release_endpoints(&netns.endpoints, &networks).await;
            self.0.state.lock().forget_netns(&netns);
            return Err(error);
        }
        Ok((netns, networks))
    }

    /// Makes all of a netns in the kernel. Blocks.
    fn set_up_netns(&self, netns: &Netns, networks: &Networks) -> Result<(Namespace, Option<Sockets>)> {
        let mut prepared = self.0.netns_pool.take()?;
        let pin = self.0.host.identity.pin(&netns.id);
        let namespace =
            prepared.namespace.pin(&pin).map_err(Error::kernel(format!("network namespace {}", netns.id)))?;
        failpoint!("network.attach.pinned");
        interface::ensure(&self.0.drivers, &namespace, &mut prepared.route, netns, networks)?;
        failpoint!("network.attach.joined");
        let sockets = match Names::wanted(netns, networks) {
            true => Some(Sockets::bind(&namespace)?),
            false => None,
        };
        self.0
            .host
            .firewall
            .change(&BTreeSet::new(), &firewall::netns_entries(&self.0.drivers, netns, networks))?;
        failpoint!("network.attach.opened");
        forget_flows(netns);
        Ok((namespace, sockets))
    }

    /// Frees all that a netns has. One that is not there is no error.
    pub async fn detach_netns(&self, id: &str) -> Result<()> {
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
        let (this, record, on) = (self.clone(), netns.clone(), networks.clone());
        let kernel = blocking(move || {
            let entries = firewall::netns_entries(&this.0.drivers, &record, &on);
            let closed = this.0.host.firewall.change(&entries, &BTreeSet::new());
            failpoint!("network.detach.closed", infallible);
            let pin = this.0.host.identity.pin(&record.id);
            let unpinned =
                Namespace::unpin(&pin).map_err(Error::kernel(format!("network namespace {}", record.id)));
            failpoint!("network.detach.unpinned", infallible);
            forget_flows(&record);
            closed.and(unpinned)
        });
        let (written, freed) = tokio::join!(self.0.store.delete_netns(&netns.id), kernel);
        let _ = written.map_err(complain);
        let _ = freed.map_err(complain);
        failpoint!("network.detach.recorded", infallible);
        for endpoint in &netns.endpoints {
            if let Some(driver) = networks.get(&endpoint.network).and_then(|it| self.0.drivers.of(it).ok()) {
                driver.left(endpoint);
            }
        }
        self.release_endpoints(&netns.endpoints, &networks).await;
        self.0.state.lock().forget_netns(netns);
    }

    /// The container has another name.
    pub async fn rename_netns(&self, id: &str, name: String) -> Result<Described> {
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
    pub fn find_netns(&self, id: &str) -> Result<Described> {
        let state = self.0.state.lock();
        let netns = state.netns(id).cloned().ok_or_else(|| Error::NetnsNotFound(id.to_owned()))?;
        let networks = state.networks_of(&netns);
        Ok((netns, networks))
    }

    /// All network namespaces.
    pub fn list_netns(&self) -> Vec<Described> {
        let state = self.0.state.lock();
        state.all_netns().map(|netns| (netns.clone(), state.networks_of(netns))).collect()
    }
}

/// Refuses what must not become a path.
fn check(spec: &NetnsSpec) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if spec.id.is_empty() || spec.id.starts_with('.') || !spec.id.chars().all(plain) {
        return Err(Error::Invalid(format!("invalid id of a network namespace {:?}", spec.id)));
    }
    match spec.sysctls.keys().find(|name| !name.starts_with("net.") && !name.starts_with("net/")) {
        Some(name) => Err(Error::Invalid(format!("sysctl {name:?} is not one of the network's"))),
        None => Ok(()),
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
