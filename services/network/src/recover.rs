//! Start: records, kernel and rules are brought together. Traffic does not notice: what is right is not touched, and the
//! rules are replaced in one transaction.
//!
//! 1. the records are read; sandboxes whose namespace is gone (a reboot) are forgotten;
//! 2. the predefined networks are made, if this is the first start;
//! 3. bridges are completed, then the rules, then the sandboxes' interfaces and name servers;
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

use crate::book::Book;
use crate::bridge;
use crate::error::{Error, Result};
use crate::firewall::Firewall;
use crate::forwarding::Forwarding;
use crate::names::Names;
use crate::names::server::Sockets;
use crate::networks::{complete, host_nets};
use crate::plan;
use crate::plug;
use crate::reaper::{self, Reaper};
use crate::record::{Network, PREDEFINED, option};
use crate::switchboard::{Identity, Inner, Store, Switchboard, blocking};
use crate::warm::Warm;

/// Something that belongs to nobody, or is missing.
#[derive(Clone, Debug)]
pub struct Stray {
    /// `netns`, `link`, `nft`, `record`.
    pub kind: &'static str,
    /// Which one.
    pub name: String,
    /// What is wrong with it.
    pub detail: String,
    /// Whether that was mended.
    pub repaired: bool,
}

/// How often the host's rules are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// How long after it could not be done.
const LATER: Duration = Duration::from_secs(60);

/// A name server to start: the sandbox, its namespace, the sockets bound in it.
type Pending = (String, Namespace, Sockets);

impl Switchboard {
    /// Opens the records and reconciles them with the kernel. Its sockets belong to the network namespace of the calling
    /// process from here on.
    pub async fn open(context: &Context) -> Result<Self> {
        let identity = Identity::new(context.roots());
        let state = context.state();
        let (reaper, work) = Reaper::new(Route::open().map_err(Error::kernel("open rtnetlink"))?);
        context.spawn("reaper", work);
        let (board, servers) = blocking(move || Self::reconcile(identity, state.join("db"), reaper)).await?;
        for (sandbox, namespace, sockets) in servers {
            board.0.names.serve(&sandbox, namespace, sockets)?;
        }
        let this = board.clone();
        blocking(move || {
            for stray in this.check(true)? {
                tracing::info!(
                    kind = stray.kind,
                    name = stray.name,
                    detail = stray.detail,
                    "stray found at start"
                );
            }
            this.0.warm.refill();
            Ok(())
        })
        .await?;
        context.spawn("rules", board.clone().keep_rules());
        Ok(board)
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

    fn reconcile(identity: Identity, dir: PathBuf, reaper: Reaper) -> Result<(Self, Vec<Pending>)> {
        make_directory(&identity)?;
        let store = Store::open(dir, identity.netns.clone())?;
        let mut route = Route::open().map_err(Error::kernel("open rtnetlink"))?;
        let mut book = Book::default();
        read(&store, &identity, &mut book)?;
        predefine(&store, &identity, &mut book, &mut route)?;

        let forwarding = Forwarding::open(&store, identity.table(), &book.list())?;
        let mut entries = forwarding.entries();
        for network in book.list() {
            if network.is_bridge()
                && let Err(error) = bridge::ensure(&mut route, &network, &identity.mark())
            {
                // Without the default network nothing works; another one must not keep all the rest from working.
                if network.predefined {
                    return Err(error);
                }
                tracing::error!(network = network.name, error = %gantry_rpc::chain(&error), "network cannot be completed");
            }
            entries.extend(plan::network_entries(&network));
        }
        for sandbox in book.sandboxes() {
            entries.extend(plan::sandbox_entries(sandbox, &book.networks_of(sandbox)));
        }
        let firewall = Firewall::open(identity.table(), entries)?;
        for network in book.list() {
            forwarding.allow(&network, &firewall)?;
        }
        let names = Names::default();
        let sandboxes = gantry_disk::KeyedLocks::new();
        let (book, route, warm) = (Mutex::new(book), Mutex::new(route), Warm::default());
        let inner =
            Inner { book, store, route, firewall, forwarding, warm, reaper, names, identity, sandboxes };
        let board = Switchboard(std::sync::Arc::new(inner));
        let servers = board.complete_sandboxes();
        Ok((board, servers))
    }

    /// Completes the sandboxes' interfaces; one that cannot be does not keep the others.
    fn complete_sandboxes(&self) -> Vec<Pending> {
        let mut servers = Vec::new();
        for (sandbox, networks) in self.sandboxes() {
            let complete = || {
                let failed = || Error::kernel(format!("sandbox {}", sandbox.id));
                let namespace = Namespace::open(&self.0.identity.pin(&sandbox.id)).map_err(failed())?;
                let mut inside = namespace.run(Route::open).map_err(failed())?.map_err(failed())?;
                plug::ensure(&self.0.route, &namespace, &mut inside, &sandbox, &networks)?;
                self.0.names.put(&sandbox, &networks);
                if Names::wanted(&sandbox, &networks) {
                    let sockets = Sockets::bind(&namespace)?;
                    return Ok(Some((sandbox.id.clone(), namespace, sockets)));
                }
                Ok::<_, Error>(None)
            };
            match complete() {
                Ok(server) => servers.extend(server),
                Err(error) => {
                    tracing::error!(sandbox = sandbox.id, error = %gantry_rpc::chain(&error), "sandbox cannot be completed");
                }
            }
        }
        servers
    }

    /// Compares records and kernel; removes what carries our marks without a record, and mends the rules, if asked to.
    pub fn check(&self, repair: bool) -> Result<Vec<Stray>> {
        let (namespaces, links) = self.unknown()?;
        let (used, namespaces): (Vec<_>, Vec<_>) =
            namespaces.into_iter().partition(|name| self.0.identity.is_used(name));
        let rules = self.0.firewall.check()?;
        let links_are_used = !used.is_empty();
        if repair {
            for name in &namespaces {
                let pin = self.0.identity.pin(name);
                // Under the lock, for a container of this id may have been started since it was looked at.
                let book = self.0.book.lock();
                if book.sandbox(name).is_some() {
                    continue;
                }
                Namespace::unpin(&pin).map_err(Error::kernel(format!("remove stray sandbox {name}")))?;
            }
            if !links.is_empty() && !links_are_used {
                reaper::delete(&mut Route::open().map_err(Error::kernel("open rtnetlink"))?, links.clone());
            }
            if !rules.is_empty() {
                self.0.firewall.repair()?;
            }
        }
        let unknown = |kind, name, kept| {
            let detail =
                if kept { "no record knows it, but a task uses it: kept" } else { "no record knows it" };
            Stray { kind, name, detail: detail.to_owned(), repaired: repair && !kept }
        };
        let namespaces = namespaces.into_iter().map(|name| unknown("netns", name, false));
        let used = used.into_iter().map(|name| unknown("netns", name, true));
        let links = links.into_iter().map(|name| unknown("link", name, links_are_used));
        let name = || self.0.identity.table();
        let rules =
            rules.into_iter().map(|detail| Stray { kind: "nft", name: name(), detail, repaired: repair });
        Ok(namespaces.chain(used).chain(links).chain(rules).chain(self.unplugged()?).collect())
    }

    /// Networks on record whose bridge is gone, and sandboxes whose namespace or links are. They are their owner's to
    /// remove or detach.
    fn unplugged(&self) -> Result<Vec<Stray>> {
        let links = self.0.route.lock().links().map_err(Error::kernel("list links"))?;
        let links: BTreeSet<String> = links.into_iter().map(|link| link.name).collect();
        let book = self.0.book.lock();
        let mut found = Vec::new();
        for network in book.list() {
            if network.is_bridge() && !links.contains(&network.bridge) {
                let detail = format!("its bridge {} is gone", network.bridge);
                let name = format!("network {}", network.name);
                found.push(Stray { kind: "record", name, detail, repaired: false });
            }
        }
        for sandbox in book.sandboxes() {
            let pinned = Namespace::is_pinned(&self.0.identity.pin(&sandbox.id));
            let plugged = sandbox.endpoints.iter().all(|endpoint| links.contains(&endpoint.veth));
            let detail = match (pinned, plugged) {
                (true, true) => continue,
                (false, _) => "its network namespace is gone",
                (true, false) => "an interface of it is gone",
            };
            found.push(Stray {
                kind: "record",
                name: format!("sandbox {}", sandbox.id),
                detail: detail.to_owned(),
                repaired: false,
            });
        }
        Ok(found)
    }

    /// Pins and links of ours that no record knows.
    fn unknown(&self) -> Result<(Vec<String>, Vec<String>)> {
        let io = |source| Error::Io { op: format!("list {}", self.0.identity.netns.display()), source };
        let mut pins = Vec::new();
        for entry in fs::read_dir(&self.0.identity.netns).map_err(io)? {
            pins.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
        }
        let links = self.0.route.lock().links().map_err(Error::kernel("list links"))?;
        let book = self.0.book.lock();
        pins.retain(|name| book.sandbox(name).is_none());
        let (veths, bridges) = (book.veths(), book.bridges());
        let (prefix, mark) = (self.0.identity.veth_prefix(), self.0.identity.mark());
        let stray = |link: &gantry_netlink::Link| match link.kind.as_str() {
            "veth" => link.name.starts_with(&prefix) && !veths.contains(&link.name),
            "bridge" => link.alias == mark && !bridges.contains(&link.name),
            _ => false,
        };
        let links = links.into_iter().filter(stray).map(|link| link.name).collect();
        Ok((pins, links))
    }
}

fn make_directory(identity: &Identity) -> Result<()> {
    let io = |source: io::Error| Error::Io { op: format!("make {}", identity.netns.display()), source };
    fs::create_dir_all(&identity.netns).map_err(io)
}

fn read(store: &Store, identity: &Identity, book: &mut Book) -> Result<()> {
    let failed = || Error::disk("the network service");
    for (_, network) in store.networks.scan_all().map_err(failed())? {
        book.restore_network(network)?;
    }
    let mut batch = store.database.batch();
    for (id, sandbox) in store.sandboxes.scan_all().map_err(failed())? {
        if Namespace::is_pinned(&identity.pin(&id)) {
            book.restore_sandbox(sandbox, crate::ports::hold);
        } else {
            tracing::info!(sandbox = id, "its network namespace is gone; forgotten");
            batch.delete(&store.sandboxes, &id);
        }
    }
    batch.commit_blocking().map_err(failed())
}

/// Makes the three networks that are always there.
fn predefine(store: &Store, identity: &Identity, book: &mut Book, route: &mut Route) -> Result<()> {
    let known: BTreeSet<String> = book.list().into_iter().map(|network| network.name).collect();
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
            complete(&mut network, &book.nets(), &busy, identity.v6_seed())?;
        }
        batch.put(&store.networks, &network.id, &network);
        book.restore_network(network)?;
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
