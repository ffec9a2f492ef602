//! The engine: its parts, and how they are joined. A verb takes the parts that it needs; this type is named only where
//! requests arrive and where the service starts.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_daemon::Context;
use gantry_plugin::Plugins;
use gantry_spec::Facts;

use crate::archive::place::Places;
use crate::archive::serve::Archives;
use crate::blocking::blocking;
use crate::container::connect::Connections;
use crate::container::create::make::Making;
use crate::container::create::plan::Plans;
use crate::container::exit::Ends;
use crate::container::files::Files;
use crate::container::health::Probes;
use crate::container::holdings::Holdings;
use crate::container::remove::Removal;
use crate::container::run::Runs;
use crate::container::shm::Shm;
use crate::container::specs::Specs;
use crate::container::start::Starts;
use crate::container::view::Views;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::exec::Execs;
use crate::info::About;
use crate::logs::Logs;
use crate::paths::Paths;
use crate::peers::Peers;
use crate::recover::Recovery;
use crate::shipping::plugin::Fifos;
use crate::store::Store;
use crate::strays::Strays;
use crate::volumes::Volumes;
use crate::volumes::held::Mounts;

/// The shim's binary. It is also the init that `--init` starts before a container's program.
const SHIM: &str = "containerd-shim-gantry-v2";

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

/// The parts of an [`Engine`].
pub struct Shared {
    pub(crate) context: Context,
    pub(crate) containers: Containers,
    pub(crate) events: Events,
    pub(crate) peers: Peers,
    pub(crate) files: Files,
    pub(crate) logs: Logs,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) execs: Execs,
    pub(crate) connections: Connections,
    pub(crate) views: Views,
    pub(crate) places: Places,
    pub(crate) archives: Archives,
    pub(crate) plans: Plans,
    pub(crate) making: Making,
    pub(crate) runs: Arc<Runs>,
    pub(crate) removal: Removal,
    pub(crate) strays: Strays,
    pub(crate) recovery: Recovery,
    pub(crate) about: About,
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
        let about = About {
            identity: store.identity().await?,
            // As in Docker, the directories `containers` and `volumes` are below it.
            root: context.state().to_owned(),
            snapshotter,
            facts: Facts::detect(),
        };
        let (containers, volumes) = (Containers::new(store), Arc::new(volumes));
        let drivers = crate::app::log_drivers(plugins, fifos);
        let logs = Logs::new(drivers, &paths, &about.facts.hostname, &context);
        Ok(Self::made_of(context, containers, peers, volumes, logs, &paths, about))
    }

    /// Joins the parts.
    fn made_of(
        context: Context,
        containers: Containers,
        peers: Peers,
        volumes: Arc<Volumes>,
        logs: Logs,
        paths: &Paths,
        about: About,
    ) -> Engine {
        let (events, facts) = (Events::default(), &about.facts);
        let files = Files::new(&containers, &peers.networks, paths);
        let mounts = Mounts::new(&volumes, &peers.snapshots, &context);
        let shm = Shm::new(&containers, paths);
        let holdings = Holdings::new(&peers, &shm, &mounts);
        let specs = Specs::new(&containers, &peers, &files, &shm, facts, shim_binary());
        let places = Places::new(&peers, &mounts, &files);
        let execs = Execs::new(&containers, &peers, &events, facts, &context);
        let probes = Probes::new(&execs, &peers.tasks, &events, &context);
        let connections = Connections::new(&containers, &peers.networks, &events, &files, &context);
        let removal = Removal::new(&containers, &events, &peers, &holdings, &volumes, paths, &context);
        let starts = Starts::new(&containers, &events, &peers, &specs, &holdings, &files, &logs);
        let ends = Ends::new(&containers, &events, &peers, &execs, &logs, &holdings);
        let runs = Runs::new(&containers, &peers.tasks, starts, ends, &removal, &probes, &context);
        let (drivers, snapshotter) = (&logs.drivers, &about.snapshotter);
        Engine(Arc::new(Shared {
            views: Views::new(&containers, &peers.snapshots, &volumes, &files, &logs, facts),
            archives: Archives::new(&containers, &places, &events),
            plans: Plans::new(&containers, &peers, drivers, &specs, facts, paths, snapshotter),
            making: Making::new(&containers, &peers, &volumes, &mounts, &events, &removal, paths),
            strays: Strays::new(&containers, &peers, paths, &volumes, &specs),
            recovery: Recovery::new(
                &containers,
                &peers.tasks,
                &execs,
                &connections,
                &holdings,
                &removal,
                &runs,
            ),
            context,
            containers,
            events,
            peers,
            files,
            logs,
            volumes,
            execs,
            connections,
            places,
            runs,
            removal,
            about,
        }))
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
