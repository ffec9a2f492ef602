//! Sandboxes: attached, detached, connected, disconnected.
//!
//! Whoever changes a sandbox holds its keyed lock for the whole change. A change that fails is undone by the code that
//! detaches: there is one way out.

use std::collections::{BTreeSet, HashMap};

use gantry_netlink::{Conntrack, Namespace, Route, or_missing};

use crate::book::{EndpointWish, PortWish};
use crate::error::{Error, Result};
use crate::names::Names;
use crate::names::server::Sockets;
use crate::plan;
use crate::plug;
use crate::ports;
use crate::record::{Networks, Sandbox};
use crate::switchboard::{Switchboard, blocking};

/// A sandbox to be made.
#[derive(Clone, Debug, Default)]
pub struct SandboxWish {
    /// The container's id.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// The container's host name.
    pub hostname: String,
    /// The networks to be on.
    pub endpoints: Vec<EndpointWish>,
    /// The ports to publish.
    pub ports: Vec<PortWish>,
    /// Where the name service forwards to; empty for the host's servers.
    pub dns_servers: Vec<String>,
    /// Settings of the namespace.
    pub sysctls: HashMap<String, String>,
}

/// What a sandbox is, with the networks that it is on.
pub type Described = (Sandbox, Networks);

impl Switchboard {
    /// Makes a sandbox, or answers with the one that is there.
    pub async fn attach(&self, wish: SandboxWish) -> Result<Described> {
        let _guard = self.0.sandboxes.lock(wish.id.clone()).await;
        let known = self.0.book.lock().sandbox(&wish.id).cloned();
        if let Some(known) = known {
            if Namespace::is_pinned(&self.0.identity.pin(&known.id)) {
                return self.same(known, &wish);
            }
            tracing::warn!(sandbox = known.id, "its network namespace has vanished; making it anew");
            self.dismantle(&known).await;
        }
        let (sandbox, networks) = self.reserve_sandbox(&wish)?;
        let (this, record, on) = (self.clone(), sandbox.clone(), networks.clone());
        let kernel = blocking(move || this.wire(&record, &on));
        let (written, wired) = tokio::join!(self.0.store.put_sandbox(&sandbox), kernel);
        let served = written.and(wired).and_then(|(namespace, sockets)| {
            self.0.names.put(&sandbox, &networks);
            sockets.map_or(Ok(()), |sockets| self.0.names.serve(&sandbox.id, namespace, sockets))
        });
        if let Err(error) = served {
            self.dismantle(&sandbox).await;
            return Err(error);
        }
        let warm = self.0.warm.clone();
        tokio::task::spawn_blocking(move || warm.refill());
        Ok((sandbox, networks))
    }

    /// Answers a repeated request, if it asks for what there is.
    fn same(&self, known: Sandbox, wish: &SandboxWish) -> Result<Described> {
        let book = self.0.book.lock();
        let mut wanted = BTreeSet::new();
        for endpoint in &wish.endpoints {
            wanted.insert(book.network(&endpoint.network)?.id.clone());
        }
        let has: BTreeSet<String> = known.endpoints.iter().map(|endpoint| endpoint.network.clone()).collect();
        if wanted != has {
            return Err(Error::SandboxDiffers(known.id));
        }
        let networks = book.networks_of(&known);
        Ok((known, networks))
    }

    fn reserve_sandbox(&self, wish: &SandboxWish) -> Result<Described> {
        let mut sandbox = Sandbox {
            id: wish.id.clone(),
            name: wish.name.clone(),
            hostname: wish.hostname.clone(),
            dns_servers: wish.dns_servers.clone(),
            sysctls: wish.sysctls.clone(),
            ..Sandbox::default()
        };
        let prefix = self.0.identity.veth_prefix();
        let mut book = self.0.book.lock();
        let mut reserve = || {
            for endpoint in &wish.endpoints {
                book.plug(&mut sandbox, endpoint, &prefix)?;
            }
            book.take_ports(&mut sandbox, &wish.ports, ports::hold)
        };
        if let Err(error) = reserve() {
            for endpoint in &sandbox.endpoints {
                book.unplug(endpoint);
            }
            return Err(error);
        }
        book.put_sandbox(sandbox.clone());
        let networks = book.networks_of(&sandbox);
        Ok((sandbox, networks))
    }

    /// Makes all of a sandbox in the kernel. Blocks.
    fn wire(&self, sandbox: &Sandbox, networks: &Networks) -> Result<(Namespace, Option<Sockets>)> {
        let mut space = self.0.warm.take()?;
        let pin = self.0.identity.pin(&sandbox.id);
        let namespace =
            space.namespace.pin(&pin).map_err(Error::kernel(format!("sandbox {}", sandbox.id)))?;
        plug::ensure(&self.0.route, &namespace, &mut space.route, sandbox, networks)?;
        let sockets = match Names::wanted(sandbox, networks) {
            true => Some(Sockets::bind(&namespace)?),
            false => None,
        };
        self.0.firewall.change(&BTreeSet::new(), &plan::sandbox_entries(sandbox, networks))?;
        forget_flows(sandbox);
        Ok((namespace, sockets))
    }

    /// Frees all that a sandbox has. One that is not there is no error.
    pub async fn detach(&self, id: &str) -> Result<()> {
        let _guard = self.0.sandboxes.lock(id.to_owned()).await;
        let known = self.0.book.lock().sandbox(id).cloned();
        if let Some(sandbox) = known {
            self.dismantle(&sandbox).await;
        }
        Ok(())
    }

    /// Undoes all of a sandbox. What fails is logged and left to recovery; the rest goes on, so that addresses and ports
    /// are always free again afterwards.
    async fn dismantle(&self, sandbox: &Sandbox) {
        let complain = |error: Error| {
            tracing::warn!(sandbox = sandbox.id, error = %gantry_rpc::chain(&error), "sandbox not wholly detached");
        };
        self.0.names.remove(&sandbox.id);
        let networks = self.0.book.lock().networks_of(sandbox);
        let (this, record) = (self.clone(), sandbox.clone());
        let kernel = blocking(move || {
            let closed = this.0.firewall.change(&plan::sandbox_entries(&record, &networks), &BTreeSet::new());
            let pin = this.0.identity.pin(&record.id);
            let unpinned = Namespace::unpin(&pin).map_err(Error::kernel(format!("sandbox {}", record.id)));
            forget_flows(&record);
            closed.and(unpinned)
        });
        let (written, freed) = tokio::join!(self.0.store.delete_sandbox(&sandbox.id), kernel);
        let _ = written.map_err(complain);
        let _ = freed.map_err(complain);
        self.0.reaper.delete(sandbox.endpoints.iter().map(|endpoint| endpoint.veth.clone()).collect());
        self.0.book.lock().forget_sandbox(sandbox);
    }

    /// Puts a live sandbox on one more network.
    pub async fn connect(&self, id: &str, wish: EndpointWish) -> Result<Described> {
        let _guard = self.0.sandboxes.lock(id.to_owned()).await;
        let (before, after, networks) = {
            let mut book = self.0.book.lock();
            let before = book.sandbox(id).cloned().ok_or_else(|| Error::SandboxNotFound(id.to_owned()))?;
            let mut after = before.clone();
            book.plug(&mut after, &wish, &self.0.identity.veth_prefix())?;
            book.put_sandbox(after.clone());
            let networks = book.networks_of(&after);
            (before, after, networks)
        };
        match self.rewire(&before, &after, &networks).await {
            Ok(()) => Ok((after, networks)),
            Err(error) => {
                let back = self.rewire(&after, &before, &networks).await;
                if let Err(error) = back {
                    tracing::warn!(sandbox = id, error = %gantry_rpc::chain(&error), "connection not wholly undone");
                }
                let mut book = self.0.book.lock();
                for endpoint in after.endpoints.iter().skip(before.endpoints.len()) {
                    book.unplug(endpoint);
                }
                book.put_sandbox(before);
                Err(error)
            }
        }
    }

    /// Takes a live sandbox off a network.
    pub async fn disconnect(&self, id: &str, network: &str) -> Result<Described> {
        let _guard = self.0.sandboxes.lock(id.to_owned()).await;
        let (before, after, networks) = {
            let book = self.0.book.lock();
            let network = book.network(network)?;
            let before = book.sandbox(id).cloned().ok_or_else(|| Error::SandboxNotFound(id.to_owned()))?;
            let mut after = before.clone();
            after.endpoints.retain(|endpoint| endpoint.network != network.id);
            if after.endpoints.len() == before.endpoints.len() {
                return Err(Error::NotConnected { sandbox: before.name, network: network.name.clone() });
            }
            let networks = book.networks_of(&before);
            (before, after, networks)
        };
        self.rewire(&before, &after, &networks).await?;
        let mut book = self.0.book.lock();
        for endpoint in before.endpoints.iter().filter(|endpoint| !after.endpoints.contains(endpoint)) {
            book.unplug(endpoint);
        }
        book.put_sandbox(after.clone());
        let networks = book.networks_of(&after);
        Ok((after, networks))
    }

    /// Brings record, kernel and names from one description of a live sandbox to another. `networks` has those of both.
    async fn rewire(&self, before: &Sandbox, after: &Sandbox, networks: &Networks) -> Result<()> {
        let (this, old, new, on) = (self.clone(), before.clone(), after.clone(), networks.clone());
        let kernel = blocking(move || this.rewire_kernel(&old, &new, &on));
        let (written, wired) = tokio::join!(self.0.store.put_sandbox(after), kernel);
        written?;
        if let Some((namespace, sockets)) = wired? {
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

    fn rewire_kernel(
        &self,
        old: &Sandbox,
        new: &Sandbox,
        networks: &Networks,
    ) -> Result<Option<(Namespace, Sockets)>> {
        let failed = || Error::kernel(format!("sandbox {}", new.id));
        let namespace = Namespace::open(&self.0.identity.pin(&new.id)).map_err(failed())?;
        let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
        plug::ensure(&self.0.route, &namespace, &mut inside, new, networks)?;
        plug::reroute(&mut inside, new, networks)?;
        self.0
            .firewall
            .change(&plan::sandbox_entries(old, networks), &plan::sandbox_entries(new, networks))?;
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
        let _guard = self.0.sandboxes.lock(id.to_owned()).await;
        let (after, networks) = {
            let book = self.0.book.lock();
            let mut after = book.sandbox(id).cloned().ok_or_else(|| Error::SandboxNotFound(id.to_owned()))?;
            after.name = name;
            let networks = book.networks_of(&after);
            (after, networks)
        };
        self.0.store.put_sandbox(&after).await?;
        self.0.book.lock().put_sandbox(after.clone());
        self.0.names.put(&after, &networks);
        Ok((after, networks))
    }

    /// A sandbox.
    pub fn sandbox(&self, id: &str) -> Result<Described> {
        let book = self.0.book.lock();
        let sandbox = book.sandbox(id).cloned().ok_or_else(|| Error::SandboxNotFound(id.to_owned()))?;
        let networks = book.networks_of(&sandbox);
        Ok((sandbox, networks))
    }

    /// All sandboxes.
    pub fn sandboxes(&self) -> Vec<Described> {
        let book = self.0.book.lock();
        book.sandboxes().map(|sandbox| (sandbox.clone(), book.networks_of(sandbox))).collect()
    }
}

/// Makes the kernel forget where UDP packets to a sandbox's published ports went before. No sandbox waits for its
/// failure: a kernel without the interface only keeps the old flows until they time out.
fn forget_flows(sandbox: &Sandbox) {
    let udp = sandbox.ports.iter().filter(|port| port.protocol == "udp");
    let numbers: Vec<u16> = udp.filter_map(|port| u16::try_from(port.host_port).ok()).collect();
    if numbers.is_empty() {
        return;
    }
    if let Err(error) = Conntrack::open().and_then(|mut tracker| tracker.forget(17, &numbers)) {
        tracing::debug!(sandbox = sandbox.id, error = %gantry_rpc::chain(&error), "old UDP flows stay");
    }
}
