//! The engine: what its parts share, and the small things that all of them do.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_daemon::Context;
use gantry_plugin::Plugins;
use gantry_rpc::paced::Slots;

use crate::container::Container;
use crate::container::tombstones::Tombstones;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::index::Index;
use crate::logs::driver::Drivers;
use crate::paths::Paths;
use crate::peers::Peers;
use crate::shipping::Shippers;
use crate::store::Store;
use crate::volumes::Volumes;

/// The shim's binary: it is also the init that `--init` puts before a container's program.
const SHIM: &str = "containerd-shim-gantry-v2";

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

/// What an [`Engine`] leads to.
pub struct Shared {
    pub(crate) context: Context,
    pub(crate) paths: Paths,
    pub(crate) store: Store,
    pub(crate) index: Index,
    pub(crate) tombstones: Tombstones,
    pub(crate) events: Events,
    pub(crate) peers: Peers,
    pub(crate) volumes: Volumes,
    pub(crate) facts: gantry_spec::Facts,
    pub(crate) init: PathBuf,
    pub(crate) snapshotter: String,
    pub(crate) identity: String,
    /// Held while lines of hosts files are looked up and written that are about other containers.
    pub(crate) hosts: tokio::sync::Mutex<()>,
    /// How many containers may be started at once by the engine itself.
    pub(crate) starts: tokio::sync::Semaphore,
    /// Archives that are sent or taken at once.
    pub(crate) archives: Slots,
    pub(crate) log_drivers: Drivers,
    /// Who sends logs elsewhere.
    pub(crate) shippers: Shippers,
}

impl Deref for Engine {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Engine {
    /// Opens the records; nothing is reconciled yet.
    pub async fn open(
        context: Context,
        peers: gantry_api::Peers,
        snapshotter: String,
        plugins: Plugins,
    ) -> Result<Engine> {
        let paths = Paths::new(context.state());
        let containers = paths.containers();
        std::fs::create_dir_all(&containers)
            .map_err(|source| Error::io("create directory", &containers, source))?;
        let store = Store::open(&paths.database(), &[containers, paths.volumes()])?;
        let volumes =
            Volumes::open(crate::app::volume_drivers(paths.volumes(), plugins)?, store.clone()).await?;
        let peers = Peers::new(peers, context.run());
        Ok(Engine(Arc::new(Shared {
            identity: store.identity().await?,
            context,
            paths,
            store,
            index: Index::default(),
            tombstones: Tombstones::default(),
            events: Events::default(),
            peers,
            volumes,
            facts: gantry_spec::Facts::detect(),
            init: shim_binary(),
            snapshotter,
            hosts: tokio::sync::Mutex::default(),
            starts: tokio::sync::Semaphore::new(8),
            archives: Slots::new(256),
            log_drivers: crate::app::log_drivers(),
            shippers: Shippers::default(),
        })))
    }

    /// Starts work that ends with the service.
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.context.spawn(name, work);
    }

    /// Publishes an event about a container, with its labels, image and name.
    pub(crate) fn publish_container(
        &self,
        container: &Container,
        action: &str,
        more: BTreeMap<String, String>,
    ) {
        self.events.publish("container", action, container.id(), Self::attributes(container, more));
    }

    /// What every event of a container tells, and more.
    pub(crate) fn attributes(
        container: &Container,
        more: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let record = container.record();
        let mut attributes: BTreeMap<String, String> =
            record.config.labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        attributes.insert("image".to_owned(), record.config.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        attributes.extend(more);
        attributes
    }
}

/// Beside this program, else where the search path has it.
fn shim_binary() -> PathBuf {
    if let Ok(own) = std::env::current_exe()
        && let Some(beside) = own.parent().map(|directory| directory.join(SHIM))
        && beside.exists()
    {
        return beside;
    }
    std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|part| part.join(SHIM)).find(|path| path.exists()))
        .unwrap_or_else(|| PathBuf::from("/usr/libexec/gantry").join(SHIM))
}
