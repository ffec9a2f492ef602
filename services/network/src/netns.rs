//! Network namespaces: created with their endpoints and deleted; connected and disconnected while they exist
//! ([`connect`]).
//!
//! A change of a network namespace holds its keyed lock from beginning to end. A change that fails is undone by the
//! code that deletes, so that there is only one such code.

mod connect;
mod endpoints;
pub mod pool;
mod way_out;

use std::collections::BTreeSet;

use gantry_api::network::NetnsSpec;
use gantry_failpoint::failpoint;
use gantry_netlink::{Conntrack, Namespace};
use gantry_rpc::carry;

use crate::controller::{Controller, blocking};
use crate::dns::Resolver;
use crate::dns::server::Sockets;
use crate::error::{Error, Result};
use crate::firewall;
use crate::interface;
use crate::ports;
use crate::record::{Exposed, Mapping, Netns, Networks};

pub(crate) use way_out::elsewhere;

/// A network namespace with the networks that it is on.
pub type Described = (Netns, Networks);

impl Controller {
    /// Creates a network namespace, or returns the existing one.
    pub async fn attach_netns(&self, spec: NetnsSpec) -> Result<Described> {
        check(&spec)?;
        let _guard = self.0.changing.lock(spec.id.clone()).await;
        let known = self.0.state.lock().netns(&spec.id).cloned();
        if let Some(known) = known {
            if Namespace::is_pinned(&self.0.host.identity.pin(&known.id)) {
                let mut same = self.same(known, &spec)?;
                // A service that was killed may not have told a plugin yet.
                self.move_way_out(&mut same).await?;
                return Ok(same);
            }
            tracing::warn!(netns = known.id, "its network namespace has vanished; making it anew");
            self.tear_down_netns(&known).await;
        }
        let mut described = self.reserve_netns(&spec).await?;
        let (netns, networks) = described.clone();
        let (this, record, on) = (self.clone(), netns.clone(), networks.clone());
        let kernel = blocking(move || this.set_up_netns(&record, &on));
        let (written, done) = tokio::join!(self.0.store.put_netns(&netns, &[]), kernel);
        let served = written.and(done).and_then(|(namespace, sockets)| {
            self.0.dns.put(&netns, &networks);
            sockets.map_or(Ok(()), |sockets| self.0.dns.serve(&netns.id, namespace, sockets))
        });
        let open = match served {
            Ok(()) => self.move_way_out(&mut described).await,
            failed => failed,
        };
        if let Err(error) = open {
            self.tear_down_netns(&netns).await;
            return Err(error);
        }
        failpoint!("network.attach.recorded", infallible);
        self.settle(&self.owed_of_endpoints(&netns.endpoints, &networks, &netns.id)).await;
        self.look_at_endpoints(&described.0, &networks).await;
        let pool = self.0.netns_pool.clone();
        carry::start(carry::blocking(move || pool.refill()));
        Ok(described)
    }

    /// Returns the existing network namespace if the request asks for the same.
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
            mappings: spec.ports.iter().map(Mapping::from).collect(),
            exposed: spec.exposed.iter().map(Exposed::from).collect(),
            ..Netns::default()
        };
        let networks = {
            let prefix = self.0.host.identity.veth_prefix();
            let mut state = self.0.state.lock();
            for endpoint in &spec.endpoints {
                state.add_endpoint(&mut netns, endpoint, &self.0.drivers, &prefix)?;
            }
            // Stored before it gets addresses, so that none of its networks is removed meanwhile.
            state.put_netns(netns.clone());
            state.networks_of(&netns)
        };
        if let Err(error) = self.make_endpoints(&mut netns, 0, &spec.endpoints, &networks).await {
            self.0.state.lock().forget_netns(&netns);
            return Err(error);
        }
        failpoint!("network.attach.made", infallible);
        let taken = {
            let mut state = self.0.state.lock();
            let taken = state.take_ports(&mut netns, &self.0.drivers, ports::hold);
            taken.map(|()| state.put_netns(netns.clone()))
        };
        if let Err(error) = taken {
            self.unmake_endpoints(&netns.id, &netns.endpoints, &networks).await;
            self.0.state.lock().forget_netns(&netns);
            return Err(error);
        }
        Ok((netns, networks))
    }

    /// Makes everything of a network namespace in the kernel. Blocks.
    fn set_up_netns(&self, netns: &Netns, networks: &Networks) -> Result<(Namespace, Option<Sockets>)> {
        let mut prepared = self.0.netns_pool.take()?;
        let pin = self.0.host.identity.pin(&netns.id);
        let namespace =
            prepared.namespace.pin(&pin).map_err(Error::kernel(format!("network namespace {}", netns.id)))?;
        failpoint!("network.attach.pinned");
        interface::ensure(&self.0.drivers, &namespace, &mut prepared.route, netns, networks)?;
        failpoint!("network.attach.joined");
        let sockets = match Resolver::wanted(netns, networks) {
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

    /// Deletes a network namespace and frees what it has. Succeeds if there is none.
    pub async fn detach_netns(&self, id: &str) -> Result<()> {
        let _guard = self.0.changing.lock(id.to_owned()).await;
        let known = self.0.state.lock().netns(id).cloned();
        if let Some(netns) = known {
            self.tear_down_netns(&netns).await;
        }
        Ok(())
    }

    /// Undoes everything of a network namespace. A step that fails is logged and left to recovery, and the other
    /// steps are carried out, so that addresses and ports are always free afterwards.
    async fn tear_down_netns(&self, netns: &Netns) {
        let complain = |error: Error| {
            tracing::warn!(netns = netns.id, error = %gantry_rpc::chain(&error), "network namespace not wholly detached");
        };
        self.0.dns.remove(&netns.id);
        let networks = self.0.state.lock().networks_of(netns);
        let owed = self.owed_of_endpoints(&netns.endpoints, &networks, &netns.id);
        if !owed.is_empty() {
            let _ = self.0.store.delete_netns(&netns.id, &owed).await.map_err(complain);
            self.part_endpoints(&netns.endpoints, &networks).await;
        }
        failpoint!("network.detach.told", infallible);
        let written =
            async { if owed.is_empty() { self.0.store.delete_netns(&netns.id, &[]).await } else { Ok(()) } };
        let (this, record, on) = (self.clone(), netns.clone(), networks.clone());
        let kernel = blocking(move || {
            let given_back = this.give_back(&record, &on);
            let entries = firewall::netns_entries(&this.0.drivers, &record, &on);
            let closed = this.0.host.firewall.change(&entries, &BTreeSet::new());
            failpoint!("network.detach.closed", infallible);
            let pin = this.0.host.identity.pin(&record.id);
            let unpinned =
                Namespace::unpin(&pin).map_err(Error::kernel(format!("network namespace {}", record.id)));
            failpoint!("network.detach.unpinned", infallible);
            forget_flows(&record);
            given_back.and(closed).and(unpinned)
        });
        let (written, freed) = tokio::join!(written, kernel);
        let _ = written.map_err(complain);
        let _ = freed.map_err(complain);
        failpoint!("network.detach.recorded", infallible);
        for endpoint in &netns.endpoints {
            if let Some(driver) = networks.get(&endpoint.network).and_then(|it| self.0.drivers.of(it).ok()) {
                driver.left(endpoint);
            }
        }
        self.release_endpoints(&netns.id, &netns.endpoints, &networks).await;
        self.0.state.lock().forget_netns(netns);
    }

    /// Moves interfaces that outlive the network namespace out of it. Continues after errors. Blocks.
    fn give_back(&self, netns: &Netns, networks: &Networks) -> Result<()> {
        let pin = self.0.host.identity.pin(&netns.id);
        let mut result = Ok(());
        for endpoint in &netns.endpoints {
            if let Some(driver) = networks.get(&endpoint.network).and_then(|it| self.0.drivers.of(it).ok()) {
                result = result.and(driver.give_back(endpoint, &pin));
            }
        }
        result
    }

    /// Changes the name of a network namespace's container.
    pub async fn rename_netns(&self, id: &str, name: String) -> Result<Described> {
        let _guard = self.0.changing.lock(id.to_owned()).await;
        let (after, networks) = {
            let state = self.0.state.lock();
            let mut after = state.netns(id).cloned().ok_or_else(|| Error::NetnsNotFound(id.to_owned()))?;
            after.name = name;
            let networks = state.networks_of(&after);
            (after, networks)
        };
        self.0.store.put_netns(&after, &[]).await?;
        self.0.state.lock().put_netns(after.clone());
        self.0.dns.put(&after, &networks);
        Ok((after, networks))
    }

    /// Returns a network namespace.
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

/// Refuses ids that must not become a part of a path.
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

/// Deletes the kernel's conntrack entries of UDP packets to a network namespace's published ports. A failure is only
/// logged: without the netlink interface the kernel keeps the old flows until they time out.
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
