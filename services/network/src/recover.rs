//! Start: records, kernel and rules are brought together. Traffic does not notice: what is right is not touched, and the
//! rules are replaced in one transaction.
//!
//! 1. the records are read; those of network namespaces that are gone (a reboot) are forgotten;
//! 2. the predefined networks are made, if this is the first start;
//! 3. bridges are completed, then the rules, then the network namespaces' interfaces and name servers;
//! 4. what carries our marks but has no record is removed: namespaces, veths, bridges. Unless a task uses such a namespace:
//!    then records are lost, and what runs keeps its network, with all that it may hang on.
//!
//! From then on only the rules are looked after: others remove them, too.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gantry_daemon::Context;
use gantry_netlink::{Namespace, Route};
use parking_lot::Mutex;

use crate::bridge;
use crate::controller::{Controller, Inner, blocking};
use crate::error::{Error, Result};
use crate::firewall::{self, Firewall};
use crate::forwarding::Forwarding;
use crate::identity::Identity;
use crate::interface;
use crate::links::Deleter;
use crate::names::Names;
use crate::names::server::Sockets;
use crate::netns::pool::NetnsPool;
use crate::networks::{complete, host_nets};
use crate::record::{Network, PREDEFINED, option};
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
        let identity = Identity::new(context.roots());
        let dir = context.state().join("db");
        let (deleter, work) = Deleter::new(Route::open().map_err(Error::kernel("open rtnetlink"))?);
        context.spawn("links", work);
        let (controller, servers) = blocking(move || Self::reconcile(identity, dir, deleter)).await?;
        for (netns, namespace, sockets) in servers {
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

    /// Puts the host's rules back whenever they have been removed: restarting a host's firewall often flushes all there are.
    async fn keep_rules(self) {
        let mut pause = LOOK;
        loop {
            tokio::time::sleep(pause).await;
            let this = self.clone();
            pause = match blocking(move || this.0.firewall.put_back()).await {
                Ok(false) => LOOK,
                Ok(true) => {
                    tracing::warn!(
                        table = self.0.identity.table(),
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

    fn reconcile(identity: Identity, dir: PathBuf, deleter: Deleter) -> Result<(Self, Vec<Pending>)> {
        make_directory(&identity)?;
        let store = Store::open(dir, identity.pins.clone())?;
        let mut route = Route::open().map_err(Error::kernel("open rtnetlink"))?;
        let mut state = State::default();
        read(&store, &identity, &mut state)?;
        predefine(&store, &identity, &mut state, &mut route)?;

        let forwarding = Forwarding::open(&store, identity.table(), &state.list())?;
        let mut entries = forwarding.entries();
        for network in state.list() {
            if network.is_bridge()
                && let Err(error) = bridge::ensure(&mut route, &network, &identity.mark())
            {
                // Without the default network nothing works; another one must not keep all the rest from working.
                if network.predefined {
                    return Err(error);
                }
                tracing::error!(network = network.name, error = %gantry_rpc::chain(&error), "network cannot be completed");
            }
            entries.extend(firewall::network_entries(&network));
        }
        for netns in state.all_netns() {
            entries.extend(firewall::netns_entries(netns, &state.networks_of(netns)));
        }
        let firewall = Firewall::open(identity.table(), entries)?;
        for network in state.list() {
            forwarding.allow(&network, &firewall)?;
        }
        let names = Names::default();
        let changing = gantry_disk::KeyedLocks::new();
        let (state, route, netns_pool) = (Mutex::new(state), Mutex::new(route), NetnsPool::default());
        let inner = Inner {
            state,
            store,
            route,
            firewall,
            forwarding,
            netns_pool,
            deleter,
            names,
            identity,
            changing,
        };
        let controller = Controller(std::sync::Arc::new(inner));
        let servers = controller.complete_netns();
        Ok((controller, servers))
    }

    /// Completes the network namespaces' interfaces; one that cannot be does not keep the others.
    fn complete_netns(&self) -> Vec<Pending> {
        let mut servers = Vec::new();
        for (netns, networks) in self.all_netns() {
            let complete = || {
                let failed = || Error::kernel(format!("network namespace {}", netns.id));
                let namespace = Namespace::open(&self.0.identity.pin(&netns.id)).map_err(failed())?;
                let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
                interface::ensure(&self.0.route, &namespace, &mut inside, &netns, &networks)?;
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

fn make_directory(identity: &Identity) -> Result<()> {
    let io = |source: io::Error| Error::Io { op: format!("make {}", identity.pins.display()), source };
    fs::create_dir_all(&identity.pins).map_err(io)
}

fn read(store: &Store, identity: &Identity, state: &mut State) -> Result<()> {
    let failed = || Error::disk("the network service");
    for (_, network) in store.networks.scan_all().map_err(failed())? {
        state.restore_network(network)?;
    }
    let mut batch = store.database.batch();
    for (id, netns) in store.netns.scan_all().map_err(failed())? {
        if Namespace::is_pinned(&identity.pin(&id)) {
            state.restore_netns(netns, crate::ports::hold);
        } else {
            tracing::info!(netns = id, "its network namespace is gone; forgotten");
            batch.delete(&store.netns, &id);
        }
    }
    batch.commit_blocking().map_err(failed())
}

/// Makes the three networks that are always there.
fn predefine(store: &Store, identity: &Identity, state: &mut State, route: &mut Route) -> Result<()> {
    let known: BTreeSet<String> = state.list().into_iter().map(|network| network.name).collect();
    let mut batch = store.database.batch();
    for (name, driver) in PREDEFINED.iter().filter(|(name, _)| !known.contains(*name)) {
        let mut network = Network {
            id: crate::random_id(),
            name: (*name).to_owned(),
            driver: (*driver).to_owned(),
            ipam_driver: "default".to_owned(),
            created_at: Some(crate::now()),
            enable_ipv4: true,
            predefined: true,
            ..Network::default()
        };
        if network.is_bridge() {
            network.bridge = identity.default_bridge();
            network.options = default_options(&network.bridge);
            let busy = host_nets(route)?;
            complete(&mut network, &state.nets(), &busy, identity.v6_seed())?;
        }
        batch.put(&store.networks, &network.id, &network);
        state.restore_network(network)?;
    }
    batch.commit_blocking().map_err(Error::disk("the predefined networks"))
}

/// What Docker shows of its default network.
fn default_options(bridge: &str) -> std::collections::HashMap<String, String> {
    let pairs = [
        (option::DEFAULT_BRIDGE, "true"),
        (option::ENABLE_ICC, "true"),
        (option::ENABLE_MASQUERADE, "true"),
        (option::HOST_BINDING, "0.0.0.0"),
        (option::BRIDGE_NAME, bridge),
        (option::MTU, "1500"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
