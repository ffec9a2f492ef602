//! The start of the service: it brings records, kernel and rules in line. Traffic is not interrupted, because correct
//! objects are not touched and the rules are replaced in one transaction.
//!
//! 1. Reads the records, and deletes those of network namespaces that no longer exist (after a reboot).
//! 2. Requests the recorded subnets and addresses again. At the first start, creates the predefined networks.
//! 3. Replaces the rules; then the drivers complete the networks; then come interfaces and name servers.
//! 4. Tells plugins what they are still to be told ([`crate::owed`]), in the background.
//! 5. Removes objects with the service's marks that have no record: namespaces, veths, bridges. If a task uses such a
//!    namespace, records are lost: then the namespace is kept with everything that it may use.
//!
//! After the start the service only watches the rules, because other programs may remove them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_daemon::Context;
use gantry_netlink::{Namespace, Route};
use gantry_plugin::Plugins;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::app;
use crate::controller::{Controller, Inner, blocking};
use crate::dns::Resolver;
use crate::dns::server::Sockets;
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::firewall::{self, Firewall};
use crate::forwarding::Forwarding;
use crate::host::Host;
use crate::identity::Identity;
use crate::interface;
use crate::ipam::{self, Ipam, Ipams, Purpose};
use crate::links::Deleter;
use crate::netns::pool::NetnsPool;
use crate::networks::host_nets;
use crate::owed;
use crate::record::{Endpoint, Netns, Network, Owed, PREDEFINED};
use crate::state::State;
use crate::store::Store;

/// Time between checks of the host's rules.
const LOOK: Duration = Duration::from_secs(2);
/// Time until the next attempt after a failure.
const LATER: Duration = Duration::from_secs(60);

/// A name server to start: the network namespace's id, the namespace, the sockets bound in it.
type Pending = (String, Namespace, Sockets);

impl Controller {
    /// Opens the records and reconciles them with the kernel. Netlink sockets belong to the network namespace that
    /// the calling process is in.
    pub async fn open(context: &Context) -> Result<Self> {
        let settings: app::Settings = context.config().map_err(|error| Error::Invalid(error.to_string()))?;
        let (identity, dir) = (Identity::new(context.roots()), context.state().join("db"));
        let (deleter, work) = Deleter::new(Route::open().map_err(Error::kernel("open rtnetlink"))?);
        context.spawn("links", work);
        let (store, host, records) = blocking(move || open(identity, dir, deleter)).await?;
        let (owing, queue) = owed::queue();
        let owed = records.owed.clone();
        let controller =
            Self::reconcile(store, host, records, &Plugins::new(settings.plugins), owing).await?;
        let this = controller.clone();
        for (netns, namespace, sockets) in blocking(move || Ok(this.complete_netns())).await? {
            controller.0.dns.serve(&netns, namespace, sockets)?;
        }
        let this = controller.clone();
        blocking(move || {
            this.give_back_owed(&owed);
            for stray in this.check(true)? {
                tracing::info!(
                    kind = stray.kind,
                    name = stray.name,
                    detail = stray.detail,
                    "stray found at start"
                );
            }
            this.0.netns_pool.refill();
            Ok(())
        })
        .await?;
        context.spawn("rules", controller.clone().keep_rules());
        let inner = &controller.0;
        let teller = owed::Teller {
            drivers: inner.drivers.clone(),
            store: inner.store.clone(),
            pause: owed::LATER,
            patience: owed::UNINSTALLED,
        };
        context.spawn("owed", teller.run(queue));
        context.spawn("ways out", controller.clone().mend_ways_out());
        Ok(controller)
    }

    async fn reconcile(
        store: Store,
        host: Arc<Host>,
        Records { networks, netns, owed }: Records,
        plugins: &Plugins,
        owing: mpsc::Sender<Owed>,
    ) -> Result<Self> {
        let (drivers, ipams) = (app::drivers(&host, plugins), app::ipams(&host, plugins));
        let mut state = State::default();
        let mut forgetful = Forgetful { ipams: &ipams, known: BTreeMap::new() };
        for mut network in networks {
            if drivers.of(&network)?.capabilities().addresses
                && forgetful.get(&network.ipam_driver).await.is_some()
            {
                request_subnets(&ipams, &mut network).await?;
            }
            state.restore_network(network);
        }
        predefine(&store, &host, &drivers, &ipams, &mut state).await?;
        for netns in netns {
            request_addresses(&mut forgetful, &state, &netns).await?;
            state.restore_netns(netns, crate::ports::hold);
        }
        let networks = state.list();
        let (inner_host, known, all) = (host.clone(), drivers.clone(), networks.clone());
        let state =
            blocking(move || restore_rules(&inner_host, &known, &all, &state).map(|()| state)).await?;
        for network in networks {
            let Err(error) = drivers.of(&network)?.restore(&network).await else { continue };
            // Without the default network nothing works, so its failure ends the start. The failure of another
            // network does not.
            if network.predefined {
                return Err(error);
            }
            tracing::error!(network = network.name, error = %gantry_rpc::chain(&error), "network cannot be completed");
        }
        let (state, netns_pool, dns) = (Mutex::new(state), NetnsPool::default(), Resolver::default());
        let changing = gantry_disk::KeyedLocks::new();
        for one in owed {
            // If the queue is full, the next start tells the plugin.
            let _ = owing.try_send(one);
        }
        let inner = Inner { state, store, host, drivers, ipams, netns_pool, dns, owing, changing };
        Ok(Controller(Arc::new(inner)))
    }

    /// Restores the host's rules whenever they have been removed: a restart of the host's firewall often removes all
    /// rules.
    async fn keep_rules(self) {
        let mut pause = LOOK;
        loop {
            tokio::time::sleep(pause).await;
            let this = self.clone();
            pause = match blocking(move || this.0.host.firewall.put_back()).await {
                Ok(false) => LOOK,
                Ok(true) => {
                    tracing::warn!(
                        table = self.0.host.identity.table(),
                        "somebody had removed the host's rules; they are back"
                    );
                    LOOK
                }
                Err(Error::ShuttingDown) => return,
                Err(error) => {
                    tracing::warn!(error = %gantry_rpc::chain(&error), "the host's rules cannot be looked after");
                    LATER
                }
            };
        }
    }

    /// Moves links of plugins out of namespaces that may be deleted.
    fn give_back_owed(&self, owed: &[Owed]) {
        for one in owed {
            let (Some(network), Some(endpoint)) = (&one.network, &one.endpoint) else { continue };
            // Ids of namespaces and names of interfaces are used again: the interface may be a later endpoint's.
            let reused = self.0.state.lock().netns(&one.netns).is_some_and(|netns| {
                netns.endpoints.iter().any(|later| later.interface == endpoint.interface)
            });
            if reused {
                continue;
            }
            let pin = self.0.host.identity.pin(&one.netns);
            let given = self.0.drivers.of(network).and_then(|driver| driver.give_back(endpoint, &pin));
            if let Err(error) = given {
                tracing::warn!(endpoint = endpoint.id, error = %gantry_rpc::chain(&error), "its link stays where it is");
            }
        }
    }

    /// Completes the interfaces of all network namespaces. A failure of one does not affect the others.
    fn complete_netns(&self) -> Vec<Pending> {
        let mut servers = Vec::new();
        for (netns, networks) in self.list_netns() {
            let complete = || {
                let failed = || Error::kernel(format!("network namespace {}", netns.id));
                let namespace = Namespace::open(&self.0.host.identity.pin(&netns.id)).map_err(failed())?;
                let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
                interface::ensure(&self.0.drivers, &namespace, &mut inside, &netns, &networks)?;
                self.0.dns.put(&netns, &networks);
                if Resolver::wanted(&netns, &networks) {
                    let sockets = Sockets::bind(&namespace)?;
                    return Ok(Some((netns.id.clone(), namespace, sockets)));
                }
                Ok::<_, Error>(None)
            };
            match complete() {
                Ok(server) => servers.extend(server),
                Err(error) => {
                    tracing::error!(netns = netns.id, error = %gantry_rpc::chain(&error), "network namespace cannot be completed");
                }
            }
        }
        servers
    }
}

/// The records.
struct Records {
    networks: Vec<Network>,
    netns: Vec<Netns>,
    /// What plugins have to be told of objects without records.
    owed: Vec<Owed>,
}

fn open(identity: Identity, dir: PathBuf, deleter: Deleter) -> Result<(Store, Arc<Host>, Records)> {
    let io = |source| Error::Io { op: format!("make {}", identity.pins.display()), source };
    fs::create_dir_all(&identity.pins).map_err(io)?;
    let store = Store::open(dir, identity.pins.clone())?;
    let records = read(&store, &identity)?;
    let route = Mutex::new(Route::open().map_err(Error::kernel("open rtnetlink"))?);
    let firewall = Firewall::open(identity.table())?;
    let forwarding = Forwarding::open(&store, identity.table())?;
    Ok((store, Arc::new(Host { route, firewall, forwarding, identity, deleter }), records))
}

fn read(store: &Store, identity: &Identity) -> Result<Records> {
    let failed = || Error::disk("the network service");
    let networks = store.networks.scan_all().map_err(failed())?.into_iter().map(|(_, network)| network);
    let networks: Vec<Network> = networks.collect();
    let (mut netns, mut forgotten) = (Vec::new(), Vec::new());
    let mut batch = store.database.batch();
    for (id, one) in store.netns.scan_all().map_err(failed())? {
        if Namespace::is_pinned(&identity.pin(&id)) {
            netns.push(one);
        } else {
            tracing::info!(netns = id, "its network namespace is gone; forgotten");
            batch.delete(&store.netns, &id);
            forgotten.extend(owed_of(&one, &networks));
        }
    }
    store.owe_with(&mut batch, &forgotten);
    let mut owed = forgotten;
    for (id, one) in store.owed.scan_all().map_err(failed())? {
        if owed.iter().any(|forgotten| forgotten.id() == id) {
            continue;
        }
        let exists = match &one.endpoint {
            Some(endpoint) => netns.iter().any(|netns| netns.endpoints.iter().any(|it| it.id == endpoint.id)),
            None => networks.iter().any(|network| network.id == id),
        };
        match exists {
            true => _ = batch.delete(&store.owed, &id),
            false => owed.push(one),
        }
    }
    batch.commit_blocking().map_err(failed())?;
    Ok(Records { networks, netns, owed })
}

/// What plugins have to be told of a network namespace that no longer exists. Only endpoints of plugins have an
/// entry.
fn owed_of(netns: &Netns, networks: &[Network]) -> Vec<Owed> {
    let one = |endpoint: &Endpoint| {
        let network = networks.iter().find(|network| network.id == endpoint.network)?;
        (!endpoint.source.is_empty()).then(|| Owed::endpoint(network, endpoint, &netns.id))
    };
    netns.endpoints.iter().filter_map(one).collect()
}

/// Creates the three networks that always exist.
async fn predefine(
    store: &Store,
    host: &Arc<Host>,
    drivers: &Drivers,
    ipams: &Ipams,
    state: &mut State,
) -> Result<()> {
    let known: BTreeSet<String> = state.list().into_iter().map(|network| network.name).collect();
    for (name, driver) in PREDEFINED.iter().filter(|(name, _)| !known.contains(*name)) {
        let mut network = Network {
            id: crate::random_id(),
            name: (*name).to_owned(),
            driver: (*driver).to_owned(),
            ipam_driver: ipam::DEFAULT.to_owned(),
            created_at: Some(crate::now()),
            enable_ipv4: true,
            predefined: true,
            ..Network::default()
        };
        let driver = drivers.of(&network)?;
        driver.prepare(&mut network).await?;
        if driver.capabilities().addresses {
            let host = host.clone();
            let busy = blocking(move || host_nets(&mut host.route.lock())).await?;
            ipam::request_pools(ipams, &mut network, &busy).await?;
        }
        store.put_network(&network).await?;
        state.restore_network(network);
    }
    Ok(())
}

/// The IPAM drivers that must be asked again after a start. Each is contacted once: a plugin that hangs costs one
/// timeout per start, however many networks and endpoints use it.
struct Forgetful<'a> {
    ipams: &'a Ipams,
    known: BTreeMap<String, Option<Arc<dyn Ipam>>>,
}

impl Forgetful<'_> {
    async fn get(&mut self, name: &str) -> Option<Arc<dyn Ipam>> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let found = self.ipams.forgetful(name).await;
        self.known.insert(name.to_owned(), found.clone());
        found
    }
}

/// Requests the recorded subnets of a network again. If a plugin refuses, this network and all others still start
/// with the record unchanged.
async fn request_subnets(ipams: &Ipams, network: &mut Network) -> Result<()> {
    let mut requested = network.clone();
    match ipam::request_pools(ipams, &mut requested, &[]).await {
        Ok(()) => *network = requested,
        Err(Error::Plugin(why) | Error::PluginSilent(why)) => {
            tracing::error!(network = network.name, why, "its subnets could not be requested again");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Requests the recorded addresses of a network namespace again.
async fn request_addresses(forgetful: &mut Forgetful<'_>, state: &State, netns: &Netns) -> Result<()> {
    let networks = state.networks_of(netns);
    for endpoint in &netns.endpoints {
        let Some(network) = networks.get(&endpoint.network) else { continue };
        let Some(ipam) = forgetful.get(&network.ipam_driver).await else { continue };
        for net in endpoint.nets() {
            let Some(subnet) = network.subnet_of(net.addr()) else { continue };
            let purpose = Purpose::Endpoint { mac: &endpoint.mac };
            match ipam.request_address(&subnet.pool, Some(net.addr()), purpose).await {
                Ok(_) => {}
                Err(Error::Plugin(why) | Error::PluginSilent(why)) => {
                    tracing::error!(netns = netns.id, %net, why, "its address could not be requested again");
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Replaces the host's rules by those that follow from the records.
fn restore_rules(host: &Host, drivers: &Drivers, networks: &[Network], state: &State) -> Result<()> {
    let (mut entries, mut forwards) = (BTreeSet::new(), BTreeSet::new());
    for network in networks {
        let driver = drivers.of(network)?;
        entries.extend(driver.rules(network));
        forwards.extend(driver.forwards(network));
    }
    for netns in state.all_netns() {
        entries.extend(firewall::netns_entries(drivers, netns, &state.networks_of(netns)));
    }
    host.forwarding.keep(&forwards)?;
    entries.extend(host.forwarding.entries());
    host.firewall.restore(entries)
}

#[cfg(test)]
mod tests {
    use gantry_plugin::{Folders, interface, wire::Nothing, wire::ipam as wire};
    use gantry_plugin_sdk::testing::Served;
    use gantry_plugin_sdk::{Error as Refusal, Server};

    use super::*;
    use crate::record::Subnet;

    /// An IPAM plugin that keeps nothing and refuses everything.
    fn unwilling() -> Server {
        Server::new()
            .implements(interface::IPAM)
            .method("IpamDriver.GetCapabilities", |_: Nothing| async {
                Ok(wire::Capabilities { requires_mac_address: false, requires_request_replay: true })
            })
            .method("IpamDriver.GetDefaultAddressSpaces", |_: Nothing| async {
                Ok(wire::AddressSpaces::default())
            })
            .method("IpamDriver.RequestPool", |_: wire::PoolRequest| async {
                Err::<wire::GivenPool, _>(Refusal::new("not now"))
            })
            .method("IpamDriver.RequestAddress", |_: wire::AddressRequest| async {
                Err::<wire::GivenAddress, _>(Refusal::new("not now"))
            })
    }

    #[tokio::test]
    async fn a_plugin_that_refuses_what_it_gave_does_not_end_the_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let _served = Served::start(unwilling(), folder.path(), "pools").await;
        let plugins = Plugins::new(Folders { sockets: folder.path().to_owned(), specs: Vec::new() });
        let ipams = Ipams::new([], plugins);
        let mut forgetful = Forgetful { ipams: &ipams, known: BTreeMap::new() };
        assert!(forgetful.get("pools").await.is_some(), "it is to be asked again");
        let subnet = Subnet { subnet: "10.77.0.0/16".into(), pool: "p".into(), ..Subnet::default() };
        let mut network = Network {
            id: "n".into(),
            enable_ipv4: true,
            ipam_driver: "pools".into(),
            subnets: vec![subnet],
            ..Network::default()
        };
        let before = network.clone();
        request_subnets(&ipams, &mut network).await.expect("goes on");
        assert_eq!(network, before, "what is on record is not lost");
        let endpoint = Endpoint { network: "n".into(), ipv4: "10.77.0.7/16".into(), ..Endpoint::default() };
        let netns = Netns { id: "c".into(), endpoints: vec![endpoint], ..Netns::default() };
        let mut state = State::default();
        state.restore_network(network);
        request_addresses(&mut forgetful, &state, &netns).await.expect("goes on");
    }

    #[test]
    fn what_is_on_record_is_not_owed_and_a_namespace_that_has_gone_owes_its_links() {
        let root = tempfile::tempdir().expect("a folder");
        let roots = gantry_daemon::Roots { state: root.path().join("state"), run: root.path().join("run") };
        let identity = Identity::new(&roots);
        let store = Store::open(root.path().join("db"), identity.pins.clone()).expect("opened");
        let network = |id: &str| Network { id: id.into(), name: id.into(), ..Network::default() };
        let endpoint = |id: &str, source: &str| Endpoint {
            id: id.into(),
            network: "n".into(),
            source: source.into(),
            ..Endpoint::default()
        };
        let (made, begun) = (network("n"), network("begun"));
        let mut batch = store.database.batch();
        batch.put(&store.networks, &made.id, &made);
        let endpoints = vec![endpoint("plugin", "c0"), endpoint("bridge", "")];
        let netns = Netns { id: "c".into(), endpoints, ..Netns::default() };
        batch.put(&store.netns, &netns.id, &netns);
        let joining = Owed::endpoint(&made, &endpoint("joining", ""), "d");
        store.owe_with(&mut batch, &[Owed::network(&made), Owed::network(&begun), joining]);
        batch.commit_blocking().expect("noted");
        let ids = |owed: &[Owed]| {
            let mut ids: Vec<String> = owed.iter().map(|one| one.id().to_owned()).collect();
            ids.sort_unstable();
            ids
        };
        let expected = ["begun", "joining", "plugin"];
        let records = read(&store, &identity).expect("read");
        assert_eq!((records.networks, records.netns), (vec![made], vec![]));
        assert_eq!(ids(&records.owed), expected);
        // The next start finds the same, because no plugin has been told.
        assert_eq!(ids(&read(&store, &identity).expect("read").owed), expected);
    }
}
