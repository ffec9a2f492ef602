//! The engine: its parts, and helpers that all of them use.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_daemon::Context;
use gantry_plugin::Plugins;
use gantry_rpc::paced::Slots;

use crate::blocking::blocking;
use crate::container::connect::Connections;
use crate::container::files::Files;
use crate::container::health::Probes;
use crate::container::view::Views;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::exec::Execs;
use crate::logs::Logs;
use crate::paths::Paths;
use crate::peers::Peers;
use crate::shipping::plugin::Fifos;
use crate::store::Store;
use crate::volumes::Volumes;

/// The shim's binary. It is also the init that `--init` starts before a container's program.
const SHIM: &str = "containerd-shim-gantry-v2";

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

/// The parts of an [`Engine`].
pub struct Shared {
    pub(crate) context: Context,
    pub(crate) paths: Paths,
    pub(crate) containers: Containers,
    pub(crate) events: Events,
    pub(crate) execs: Execs,
    pub(crate) probes: Probes,
    pub(crate) files: Files,
    pub(crate) connections: Connections,
    pub(crate) peers: Peers,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) views: Views,
    pub(crate) facts: gantry_spec::Facts,
    pub(crate) init: PathBuf,
    pub(crate) snapshotter: String,
    pub(crate) identity: String,
    /// How many containers the engine itself may start at once.
    pub(crate) starts: tokio::sync::Semaphore,
    /// How many archives may be sent or received at once.
    pub(crate) archives: Slots,
    pub(crate) logs: Logs,
}

impl Deref for Engine {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Engine {
    /// Opens the records. Nothing is reconciled yet.
    pub async fn open(
        context: Context,
        peers: gantry_api::Peers,
        snapshotter: String,
        plugins: Plugins,
    ) -> Result<Engine> {
        let paths = Paths::new(context.state());
        let (containers, volumes, database) = (paths.containers(), paths.volumes(), paths.database());
        let open = move || {
            std::fs::create_dir_all(&containers)
                .map_err(|source| Error::io("create directory", &containers, source))?;
            Store::open(&database, &[containers, volumes])
        };
        let store = blocking(open).await?;
        let volumes =
            Volumes::open(crate::app::volume_drivers(paths.volumes(), plugins.clone())?, store.clone())
                .await?;
        let fifos = Fifos::open(context.run().join("logging"))?;
        let peers = Peers::new(&peers, context.run());
        let identity = store.identity().await?;
        let (containers, events) = (Containers::new(store), Events::default());
        let facts = gantry_spec::Facts::detect();
        let files = Files::new(&containers, &peers.networks, &paths);
        let logs = Logs::new(crate::app::log_drivers(plugins, fifos), &paths, &facts.hostname, &context);
        let volumes = Arc::new(volumes);
        let execs = Execs::new(&containers, &peers, &events, &facts, &context);
        Ok(Engine(Arc::new(Shared {
            probes: Probes::new(&execs, &peers.tasks, &events, &context),
            execs,
            views: Views::new(&containers, &peers.snapshots, &volumes, &files, &logs, &facts),
            connections: Connections::new(&containers, &peers.networks, &events, &files, &context),
            files,
            logs,
            identity,
            context,
            paths,
            containers,
            events,
            peers,
            volumes,
            facts,
            init: shim_binary(),
            snapshotter,
            starts: tokio::sync::Semaphore::new(8),
            archives: Slots::new(256),
        })))
    }

    /// Starts a task that ends with the service.
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.context.spawn(name, work);
    }
}

/// The shim's binary beside this program, else in the search path.
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
