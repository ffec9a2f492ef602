//! The handle that every call works through: records, kernel sockets, rules, names.
//!
//! Order of a change: reserve in the [`Book`] (nobody else can have it), write the record and change the kernel side by
//! side, then answer. A crash in between leaves either a record without its kernel objects or kernel objects without
//! their record; both are recognised by name when the service starts ([`crate::recover`]), so neither has to wait for
//! the other.

use std::path::PathBuf;
use std::sync::Arc;

use gantry_disk::{Database, KeyedLocks, Schema, Table};
use gantry_netlink::Route;
use parking_lot::Mutex;

use crate::book::Book;
use crate::error::{Error, Result};
use crate::firewall::Firewall;
use crate::forwarding::Forwarding;
use crate::names::Names;
use crate::reaper::Reaper;
use crate::record;
use crate::warm::Warm;

/// The service's shared state. Cheap to clone.
#[derive(Clone)]
pub struct Switchboard(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// Guards the records in memory; never held across an await or a kernel call that changes anything.
    pub(crate) book: Mutex<Book>,
    pub(crate) store: Store,
    /// rtnetlink on the host's side; the kernel has one lock for it too.
    pub(crate) route: Mutex<Route>,
    pub(crate) firewall: Firewall,
    pub(crate) forwarding: Forwarding,
    pub(crate) warm: Warm,
    pub(crate) reaper: Reaper,
    pub(crate) names: Names,
    pub(crate) identity: Identity,
    /// One change of a sandbox at a time.
    pub(crate) sandboxes: KeyedLocks<String>,
}

/// The durable records.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) database: Database,
    pub(crate) networks: Table<String, record::Network>,
    pub(crate) sandboxes: Table<String, record::Sandbox>,
    pub(crate) forwarding: Table<String, record::Forwarding>,
}

const NETWORKS: &str = "networks";
const SANDBOXES: &str = "sandboxes";
const FORWARDING: &str = "forwarding";

impl Store {
    pub(crate) fn open(dir: PathBuf, pins: PathBuf) -> Result<Self> {
        let schema = Schema { tables: &[NETWORKS, SANDBOXES, FORWARDING], migrations: &[] };
        let database =
            Database::open_beside(dir, schema, &[pins]).map_err(Error::disk("the network service"))?;
        let (networks, sandboxes) = (database.table(NETWORKS), database.table(SANDBOXES));
        let forwarding = database.table(FORWARDING);
        Ok(Store { database, networks, sandboxes, forwarding })
    }

    pub(crate) async fn put_network(&self, network: &record::Network) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.networks, &network.id, network);
        batch.commit().await.map_err(Error::disk(format!("network {}", network.name)))
    }

    pub(crate) async fn delete_network(&self, network: &record::Network) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.networks, &network.id);
        batch.commit().await.map_err(Error::disk(format!("network {}", network.name)))
    }

    pub(crate) async fn put_sandbox(&self, sandbox: &record::Sandbox) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&self.sandboxes, &sandbox.id, sandbox);
        batch.commit().await.map_err(Error::disk(format!("sandbox {}", sandbox.id)))
    }

    pub(crate) async fn delete_sandbox(&self, id: &str) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&self.sandboxes, &id.to_owned());
        batch.commit().await.map_err(Error::disk(format!("sandbox {id}")))
    }
}

/// What tells the kernel objects of one Gantry from those of another in the same network namespace.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Eight hexadecimal digits of the state directory's name.
    digits: String,
    /// The state directory is the usual one.
    usual: bool,
    /// Where namespaces are pinned.
    pub netns: PathBuf,
    /// Where tasks are.
    bundles: PathBuf,
}

impl Identity {
    /// The identity of a Gantry with these roots.
    pub fn new(roots: &gantry_daemon::Roots) -> Self {
        let path = roots.state.as_os_str().as_encoded_bytes();
        Identity {
            digits: gantry_types::Digest::sha256(path).hex()[..8].to_owned(),
            usual: roots.state == std::path::Path::new("/var/lib/gantry"),
            netns: roots.run.join("netns"),
            bundles: roots.run.join("bundles"),
        }
    }

    /// The nf_tables table's name.
    pub fn table(&self) -> String {
        if self.usual { "gantry".to_owned() } else { format!("gantry-{}", self.digits) }
    }

    /// The default network's bridge.
    pub fn default_bridge(&self) -> String {
        if self.usual { "gantry0".to_owned() } else { format!("gantry-{}", self.digits) }
    }

    /// A user-defined network's bridge: `br-` and twelve digits, as Docker's users know them.
    pub fn bridge(&self, network: &str) -> String {
        format!("br-{}", &network[..12])
    }

    /// What the host's ends of veth pairs begin with: seven letters, which leaves eight of a name's fifteen.
    pub fn veth_prefix(&self) -> String {
        format!("v{}", &self.digits[..6])
    }

    /// What bridges are marked with.
    pub fn mark(&self) -> String {
        format!("gantry {}", self.digits)
    }

    /// Forty bits for unique local IPv6 subnets.
    pub fn v6_seed(&self) -> [u8; 5] {
        let mut seed = [0; 5];
        let digest = gantry_types::Digest::sha256(format!("v6 {}", self.digits).as_bytes());
        hex::decode_to_slice(&digest.hex()[..10], &mut seed).expect("a digest is hexadecimal");
        seed
    }

    /// Whether a task is there that has the sandbox's name: it runs in its namespace.
    pub fn is_used(&self, sandbox: &str) -> bool {
        let namespaces = std::fs::read_dir(&self.bundles).into_iter().flatten().flatten();
        namespaces.into_iter().any(|namespace| namespace.path().join(sandbox).exists())
    }

    /// Where a sandbox's namespace is pinned.
    pub fn pin(&self, sandbox: &str) -> PathBuf {
        self.netns.join(sandbox)
    }
}

/// Runs work that blocks for a while.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Error::ShuttingDown,
    })?
}
