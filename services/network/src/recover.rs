//! Start: records, kernel and rules are brought together. Traffic does not notice: what is right is not touched, and the
//! rules are replaced in one transaction.
//!
//! 1. the records are read; those of network namespaces that are gone (a reboot) are forgotten;
//! 2. subnets and addresses on record are requested again; the predefined networks are made, if this is the first start;
//! 3. the rules are replaced, then networks are completed by their drivers, then interfaces and name servers;
//! 4. what carries our marks but has no record is removed: namespaces, veths, bridges. Unless a task uses such a namespace:
//!    then records are lost, and what runs keeps its network, with all that it may hang on.
//!
//! From then on only the rules are looked after: others remove them, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_daemon::Context;
use gantry_netlink::{Namespace, Route};
use gantry_plugin::Plugins;
use parking_lot::Mutex;

use crate::app;
use crate::controller::{Controller, Inner, blocking};
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::firewall::{self, Firewall};
use crate::forwarding::Forwarding;
use crate::host::Host;
use crate::identity::Identity;
use crate::interface;
use crate::ipam::{self, Ipams, Purpose};
use crate::links::Deleter;
use crate::names::Names;
use crate::names::server::Sockets;
use crate::netns::pool::NetnsPool;
use crate::networks::host_nets;
use crate::record::{Netns, Network, PREDEFINED};
use crate::state::State;
use crate::store::Store;

/// How often the host's rules are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// How long after it could not be done.
const LATER: Duration = Duration::from_secs(60);

/// A name server to start: the netns, its namespace, the sockets bound in it.
type Pending = (String, Namespace, Sockets);

impl Controller {
    /// Opens the records and reconciles them with the kernel. Its sockets belong to the network namespace of the calling
    /// process from here on.
    pub async fn open(context: &Context) -> Result<Self> {
        let settings: app::Settings = context.config().map_err(|error| Error::Invalid(error.to_string()))?;
        let (identity, dir) = (Identity::new(context.roots()), context.state().join("db"));
        let (deleter, work) = Deleter::new(Route::open().map_err(Error::kernel("open rtnetlink"))?);
        context.spawn("links", work);
        let (store, host, records) = blocking(move || open(identity, dir, deleter)).await?;
        let controller = Self::reconcile(store, host, records, &Plugins::new(settings.plugins)).await?;
        let this = controller.clone();
        for (netns, namespace, sockets) in blocking(move || Ok(this.complete_netns())).await? {
            controller.0.names.serve(&netns, namespace, sockets)?;
        }
        let this = controller.clone();
        blocking(move || {
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
        Ok(controller)
    }

    async fn reconcile(
        store: Store,
        host: Arc<Host>,
        (networks, netns): Records,
        plugins: &Plugins,
    ) -> Result<Self> {
        let (drivers, ipams) = (app::drivers(&host, plugins), app::ipams(&host, plugins));
        let mut state = State::default();
        for mut network in networks {
            if drivers.of(&network)?.capabilities().addresses
                && ipams.forgetful(&network.ipam_driver).await.is_some()
            {
                ipam::request_pools(&ipams, &mut network, &[]).await?;
            }
            state.restore_network(network);
        }
        predefine(&store, &host, &drivers, &ipams, &mut state).await?;
        for netns in netns {
            request_addresses(&ipams, &state, &netns).await?;
            state.restore_netns(netns, crate::ports::hold);
        }
        let networks = state.list();
        let (inner_host, known, all) = (host.clone(), drivers.clone(), networks.clone());
        let state =
            blocking(move || restore_rules(&inner_host, &known, &all, &state).map(|()| state)).await?;
        for network in networks {
            let Err(error) = drivers.of(&network)?.create(&network).await else { continue };
            // Without the default network nothing works; another one must not keep all the rest from working.
            if network.predefined {
                return Err(error);
            }
            tracing::error!(network = network.name, error = %gantry_rpc::chain(&error), "network cannot be completed");
        }
        let (state, netns_pool, names) = (Mutex::new(state), NetnsPool::default(), Names::default());
        let changing = gantry_disk::KeyedLocks::new();
        let inner = Inner { state, store, host, drivers, ipams, netns_pool, names, changing };
        Ok(Controller(Arc::new(inner)))
    }

    /// Puts the host's rules back whenever they have been removed: restarting a host's firewall often flushes all there are.
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

    /// Completes the network namespaces' interfaces; one that cannot be does not keep the others.
    fn complete_netns(&self) -> Vec<Pending> {
        let mut servers = Vec::new();
        for (netns, networks) in self.list_netns() {
            let complete = || {
                let failed = || Error::kernel(format!("network namespace {}", netns.id));
                let namespace = Namespace::open(&self.0.host.identity.pin(&netns.id)).map_err(failed())?;
                let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
                interface::ensure(&self.0.drivers, &namespace, &mut inside, &netns, &networks)?;
                self.0.names.put(&netns, &networks);
                if Names::wanted(&netns, &networks) {
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

/// Networks and network namespaces on record.
type Records = (Vec<Network>, Vec<Netns>);

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
    let mut netns = Vec::new();
    let mut batch = store.database.batch();
    for (id, one) in store.netns.scan_all().map_err(failed())? {
        if Namespace::is_pinned(&identity.pin(&id)) {
            netns.push(one);
        } else {
            tracing::info!(netns = id, "its network namespace is gone; forgotten");
            batch.delete(&store.netns, &id);
        }
    }
    batch.commit_blocking().map_err(failed())?;
    Ok((networks.collect(), netns))
}

/// Makes the three networks that are always there.
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

/// Takes the addresses that a netns has on record.
async fn request_addresses(ipams: &Ipams, state: &State, netns: &Netns) -> Result<()> {
    let networks = state.networks_of(netns);
    for endpoint in &netns.endpoints {
        let Some(network) = networks.get(&endpoint.network) else { continue };
        let Some(ipam) = ipams.forgetful(&network.ipam_driver).await else { continue };
        for net in endpoint.nets() {
            if let Some(subnet) = network.subnet_of(net.addr()) {
                let purpose = Purpose::Endpoint { mac: &endpoint.mac };
                ipam.request_address(&subnet.pool, Some(net.addr()), purpose).await?;
            }
        }
    }
    Ok(())
}

/// Replaces the host's rules by what follows from the records.
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
