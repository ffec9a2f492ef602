//! What plugins still have to be told. A plugin learns of a network or an endpoint by a call, and a service that is
//! killed meanwhile does not know whether the plugin got the call. So before the call the service records that it
//! owes the plugin the end of this object. An object with a record exists, and nothing is owed for it.
//!
//! ```text
//! created  owed → the plugin makes it → recorded → settled
//! removed  record deleted and owed, in one write → the plugin is told of the end → settled
//! ```
//!
//! A start reads what the last process owed. Plugins are told in the background, one after the other, in rounds: a
//! plugin that does not run is told in the next round after it is back, and a plugin that hangs costs each round one
//! timeout. A plugin that has left no trace for a week, no socket and no file with its address, has been uninstalled: its
//! notes go. Networks and endpoints on this host alone have no such
//! notes, because the kernel knows which of them exist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::controller::{Controller, blocking};
use crate::driver::Drivers;
use crate::error::{Error, Result};
use crate::record::{Endpoint, Network, Networks, Owed};
use crate::store::Store;

/// Most ends that wait to be told; further ones wait for the next start.
const WAITING: usize = 1024;
/// Time until the next attempt to tell a plugin.
pub(crate) const LATER: Duration = Duration::from_secs(20);

/// How long a plugin may be without a trace before it counts as uninstalled. A plugin that is updated or repaired is
/// back earlier.
pub(crate) const UNINSTALLED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The queue of ends that could not be told at once.
pub(crate) type Waiting = mpsc::Receiver<Owed>;

/// A queue of ends to tell.
pub(crate) fn queue() -> (mpsc::Sender<Owed>, Waiting) {
    mpsc::channel(WAITING)
}

impl Controller {
    /// The end of a network, if its driver has to be told of it.
    pub(crate) fn owed_of_network(&self, network: &Network) -> Vec<Owed> {
        if self.is_distant(network) { vec![Owed::network(network)] } else { Vec::new() }
    }

    /// The ends of those endpoints whose drivers have to be told.
    pub(crate) fn owed_of_endpoints(
        &self,
        endpoints: &[Endpoint],
        networks: &Networks,
        netns: &str,
    ) -> Vec<Owed> {
        let one = |endpoint: &Endpoint| {
            let network = networks.get(&endpoint.network).filter(|network| self.is_distant(network))?;
            Some(Owed::endpoint(network, endpoint, netns))
        };
        endpoints.iter().filter_map(one).collect()
    }

    /// Whether a plugin has not been told the end of an endpoint of this network yet.
    pub(crate) async fn owes_endpoints_of(&self, network: &Network) -> bool {
        let (store, id) = (self.0.store.clone(), network.id.clone());
        let of_it = move |one: &Owed| {
            one.endpoint.is_some() && one.network.as_ref().is_some_and(|network| network.id == id)
        };
        let look = move || {
            let rows = store.owed.scan_all().map_err(Error::disk("what plugins are to be told"))?;
            Ok(rows.iter().any(|(_, one)| of_it(one)))
        };
        blocking(look).await.unwrap_or(false)
    }

    fn is_distant(&self, network: &Network) -> bool {
        self.0.drivers.of(network).is_ok_and(|driver| driver.capabilities().distant)
    }

    /// Deletes notes of objects that exist, or whose end was told.
    pub(crate) async fn settle(&self, owed: &[Owed]) {
        let ids: Vec<String> = owed.iter().map(|one| one.id().to_owned()).collect();
        if let Err(error) = self.0.store.settle(&ids).await {
            unsettled(&error);
        }
    }

    /// Deletes the notes of plugins that have answered. Those of plugins that have not are queued for later.
    pub(crate) async fn settle_told(&self, owed: &[Owed], told: &Result<()>) {
        if !is_silence(told) {
            return self.settle(owed).await;
        }
        for one in owed {
            // If the queue is full, the next start tells it.
            let _ = self.0.owing.try_send(one.clone());
        }
    }
}

/// Tells plugins what could not be told at once.
pub(crate) struct Teller {
    pub(crate) drivers: Drivers,
    pub(crate) store: Store,
    /// Time until a silent plugin is told again.
    pub(crate) pause: Duration,
    /// How long a plugin may be without a trace, [`UNINSTALLED`].
    pub(crate) patience: Duration,
}

impl Teller {
    /// Tells what arrives in the queue, until all senders are dropped.
    pub(crate) async fn run(self, mut queue: Waiting) {
        let mut waiting: Vec<Owed> = Vec::new();
        let mut missed = BTreeMap::new();
        loop {
            match waiting.is_empty() {
                true => match queue.recv().await {
                    Some(one) => waiting.push(one),
                    None => return,
                },
                false => tokio::time::sleep(self.pause).await,
            }
            while waiting.len() < WAITING
                && let Ok(more) = queue.try_recv()
            {
                waiting.push(more);
            }
            waiting = self.tell_all(waiting).await;
            waiting = self.give_up(waiting, &mut missed).await;
        }
    }

    /// Deletes the notes of plugins that were uninstalled. Returns the others. `missed` has the time at which each plugin
    /// without a trace was missed first.
    async fn give_up(&self, waiting: Vec<Owed>, missed: &mut BTreeMap<String, Instant>) -> Vec<Owed> {
        let mut left = Vec::new();
        for one in waiting {
            let plugin = plugin_of(&one);
            if self.drivers.is_installed(&plugin) {
                missed.remove(&plugin);
                left.push(one);
            } else if missed.entry(plugin.clone()).or_insert_with(Instant::now).elapsed() < self.patience {
                left.push(one);
            } else {
                tracing::warn!(id = one.id(), plugin, "a plugin was uninstalled: it is not told of an end");
                self.settle(&one).await;
            }
        }
        missed.retain(|plugin, _| left.iter().any(|one| plugin_of(one) == *plugin));
        left
    }

    async fn settle(&self, owed: &Owed) {
        if let Err(error) = self.store.settle(&[owed.id().to_owned()]).await {
            unsettled(&error);
        }
    }

    /// Tells each plugin. Returns the ends that silent plugins were not told.
    async fn tell_all(&self, mut waiting: Vec<Owed>) -> Vec<Owed> {
        // Endpoints before their networks.
        waiting.sort_by_key(|one| one.endpoint.is_none());
        let (mut silent, mut left) = (BTreeSet::new(), Vec::new());
        for one in waiting {
            let plugin = plugin_of(&one);
            // A plugin that hangs costs one timeout.
            let told = match silent.contains(&plugin) {
                true => Err(Error::PluginSilent(plugin.clone())),
                false => self.tell(&one).await,
            };
            match told {
                Err(Error::PluginSilent(_)) => {
                    silent.insert(plugin);
                    left.push(one);
                    continue;
                }
                Ok(()) => tracing::info!(id = one.id(), plugin, "told a plugin of an end"),
                Err(error) => {
                    tracing::warn!(id = one.id(), plugin, error = %gantry_rpc::chain(&error), "a plugin refuses an end");
                }
            }
            self.settle(&one).await;
        }
        left
    }

    async fn tell(&self, owed: &Owed) -> Result<()> {
        let Some(network) = &owed.network else { return Ok(()) };
        let driver = self.drivers.of(network)?;
        let Some(endpoint) = &owed.endpoint else { return driver.delete(network).await };
        // It is unknown whether the endpoint was joined, so an error of the plugin is ignored.
        let parted = driver.part(network, endpoint).await;
        match is_silence(&parted) {
            true => parted,
            false => driver.delete_endpoint(network, endpoint).await,
        }
    }
}

fn plugin_of(owed: &Owed) -> String {
    owed.network.as_ref().map(|network| network.driver.clone()).unwrap_or_default()
}

/// A note that is not deleted does no harm: a start compares it with the records, and tells the plugin of the end
/// once more.
fn unsettled(error: &Error) {
    tracing::warn!(error = %gantry_rpc::chain(error), "what a plugin has heard could not be noted");
}

fn is_silence(told: &Result<()>) -> bool {
    matches!(told, Err(Error::PluginSilent(_)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use gantry_plugin::{Folders, Patience, Plugins, interface, wire::Nothing, wire::network as wire};
    use gantry_plugin_sdk::testing::Served;
    use gantry_plugin_sdk::{Error as Refusal, Server};
    use parking_lot::Mutex;

    use super::*;

    /// A driver that knows no endpoints and records what it is told.
    fn server(heard: &Arc<Mutex<Vec<String>>>) -> Server {
        let noting = |what: &'static str| {
            let heard = Arc::clone(heard);
            move |id: &str| heard.lock().push(format!("{what} {id}"))
        };
        let (leave, gone, deleted) = (noting("leave"), noting("gone"), noting("deleted"));
        Server::new()
            .implements(interface::NETWORK)
            .method("NetworkDriver.Leave", move |asked: wire::EndpointId| {
                leave(&asked.endpoint_id);
                async { Err::<Nothing, _>(Refusal::new("never heard of it")) }
            })
            .method("NetworkDriver.DeleteEndpoint", move |asked: wire::EndpointId| {
                gone(&asked.endpoint_id);
                async { Err::<Nothing, _>(Refusal::new("never heard of it")) }
            })
            .method("NetworkDriver.DeleteNetwork", move |asked: wire::NetworkId| {
                deleted(&asked.network_id);
                async { Ok(Nothing {}) }
            })
    }

    fn teller(store: &Store, sockets: &Path) -> Teller {
        let folders = Folders { sockets: sockets.to_owned(), specs: Vec::new() };
        let patience = Patience { first: Duration::from_millis(5), most: Duration::from_millis(20) };
        let drivers = Drivers::new([], Plugins::new(folders).with_patience(patience));
        Teller { drivers, store: store.clone(), pause: Duration::from_millis(20), patience: UNINSTALLED }
    }

    #[tokio::test]
    async fn a_plugin_that_was_uninstalled_is_told_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        let store = Store::open(root.path().join("db"), root.path().join("netns")).expect("opened");
        let owed = ["gone", "down"].map(|name| {
            Owed::network(&Network { id: name.into(), driver: name.into(), ..Network::default() })
        });
        store.owe(&owed).await.expect("noted");
        // A plugin that does not run has left its socket.
        drop(std::os::unix::net::UnixListener::bind(root.path().join("down.sock")).expect("bound"));
        let teller = Teller { patience: Duration::from_millis(50), ..teller(&store, root.path()) };
        let mut missed = BTreeMap::new();
        let left = teller.give_up(owed.to_vec(), &mut missed).await;
        assert_eq!(left, owed, "it may come back");
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(teller.give_up(left, &mut missed).await, owed[1..]);
        assert!(missed.is_empty());
        let rows = store.owed.scan_all().expect("read");
        assert_eq!(rows.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), ["down"]);
    }

    #[tokio::test]
    async fn plugins_are_told_when_they_are_back() {
        let root = tempfile::tempdir().expect("a folder");
        let store = Store::open(root.path().join("db"), root.path().join("netns")).expect("opened");
        let network =
            |id: &str, driver: &str| Network { id: id.into(), driver: driver.into(), ..Network::default() };
        let (net, other) = (network("n", "late"), network("o", "never"));
        let endpoint = Endpoint { id: "e".into(), network: "n".into(), ..Endpoint::default() };
        let owed = [Owed::network(&net), Owed::network(&other), Owed::endpoint(&net, &endpoint, "c")];
        store.owe(&owed).await.expect("noted");
        let left = || -> Vec<String> {
            store.owed.scan_all().expect("read").into_iter().map(|(id, _)| id).collect()
        };
        assert_eq!(left(), ["e", "n", "o"]);

        let (sender, queue) = queue();
        let running = gantry_rpc::carry::beside(teller(&store, root.path()).run(queue));
        for one in owed {
            sender.try_send(one).expect("there is room");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(left(), ["e", "n", "o"], "nobody has heard");
        let heard = Arc::default();
        let _served = Served::start(server(&heard), root.path(), "late").await;
        let told = async {
            while left() != ["o"] {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), told)
            .await
            .expect("it hears, and the other one does not");
        assert_eq!(*heard.lock(), ["leave e", "gone e", "deleted n"]);
        running.abort();
    }
}
