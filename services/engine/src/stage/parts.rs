//! The parts that carry out a container's life, joined as in the engine, with a plugin that keeps volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_api::engine::{EndpointSettings, LogConfig, MountPoint};
use gantry_daemon::Context;
use gantry_plugin::{Folders, Plugins};
use gantry_plugin_sdk::testing::Served;
use gantry_plugin_sdk::volume::{Driver, Volume};
use gantry_plugin_sdk::{Error as Refusal, Server};
use gantry_spec::Facts;
use parking_lot::Mutex;

use super::Stage;
use crate::container::Container;
use crate::container::connect::Connections;
use crate::container::exit::Ends;
use crate::container::files::Files;
use crate::container::health::Probes;
use crate::container::holdings::Holdings;
use crate::container::life::Life;
use crate::container::recorded;
use crate::container::remove::Removal;
use crate::container::run::Runs;
use crate::container::shm::Shm;
use crate::container::specs::Specs;
use crate::container::start::Starts;
use crate::exec::Execs;
use crate::logs::Logs;
use crate::names;
use crate::record::{MountRecord, Record, Stage as Making};
use crate::recover::Recovery;
use crate::strays::Strays;
use crate::volumes::driver::Drivers;
use crate::volumes::driver::local::Local;
use crate::volumes::folders;
use crate::volumes::held::Mounts;
use crate::volumes::{Volumes, Wanted};

/// The volume that the plugin keeps.
pub(crate) const VOLUME: &str = "data";
/// The plugin's name.
const PLUGIN: &str = "fake";

/// Parts of an engine.
pub(crate) struct Parts {
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) mounts: Mounts,
    pub(crate) removal: Removal,
    pub(crate) runs: Arc<Runs>,
    pub(crate) strays: Strays,
    recovery: Recovery,
    logs: Logs,
    context: Context,
    /// The plugin.
    pub(crate) plugin: Plugin,
    specs: Specs,
    _served: Served,
}

/// A plugin that keeps a volume and counts its users.
#[derive(Clone)]
pub(crate) struct Plugin {
    place: PathBuf,
    users: Arc<Mutex<BTreeSet<String>>>,
    /// Whether it refuses further users.
    refuses: Arc<AtomicBool>,
}

impl Plugin {
    /// Refuses further users of the volume, or takes them again.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// The users of the volume.
    pub(crate) fn users(&self) -> Vec<String> {
        self.users.lock().iter().cloned().collect()
    }
}

impl Driver for Plugin {
    async fn create(&self, _: &str, _: &BTreeMap<String, String>) -> Result<(), Refusal> {
        Ok(())
    }

    async fn remove(&self, _: &str) -> Result<(), Refusal> {
        Ok(())
    }

    async fn mount(&self, _: &str, user: &str) -> Result<PathBuf, Refusal> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Refusal::new("no more users"));
        }
        self.users.lock().insert(user.to_owned());
        Ok(self.place.clone())
    }

    async fn unmount(&self, _: &str, user: &str) -> Result<(), Refusal> {
        self.users.lock().remove(user);
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<Volume, Refusal> {
        Ok(Volume { name: name.to_owned(), ..Volume::default() })
    }

    async fn list(&self) -> Result<Vec<Volume>, Refusal> {
        Ok(Vec::new())
    }
}

impl Parts {
    /// Joins parts over the records and peers of a stage.
    pub(crate) async fn on(stage: &Stage) -> Parts {
        let (containers, events, peers) = (&stage.containers, &stage.events, &stage.peers);
        let (paths, context, facts) = (stage.paths(), stage.context(), Facts::detect());
        let place = stage.folder().to_owned();
        let plugin = Plugin { place, users: Arc::default(), refuses: Arc::default() };
        let sockets = stage.folder().join("plugins");
        std::fs::create_dir(&sockets).expect("a folder");
        let served = Served::start(Server::new().volumes(plugin.clone()), &sockets, PLUGIN).await;
        let volumes = Arc::new(volumes(stage, &sockets).await);
        let files = Files::new(containers, &peers.networks, &paths);
        let mounts = Mounts::new(&volumes, &peers.snapshots, &context);
        let shm = Shm::new(containers, &paths);
        let holdings = Holdings::new(peers, &shm, &mounts);
        let specs = Specs::new(containers, peers, &files, &shm, &facts, PathBuf::from("/sbin/init"));
        let logs = Logs::new(crate::app::own_log_drivers(), &paths, "host", &context);
        let execs = Execs::new(containers, peers, events, &facts, &context);
        let probes = Probes::new(&execs, &peers.tasks, events, &context);
        let removal = Removal::new(containers, events, peers, &holdings, &volumes, &paths, &context);
        let starts = Starts::new(containers, events, peers, &specs, &holdings, &files, &logs);
        let ends = Ends::new(containers, events, peers, &execs, &logs, &holdings);
        let runs = Runs::new(containers, &peers.tasks, starts, ends, &removal, &probes, &context);
        let connections = Connections::new(containers, &peers.networks, events, &files, &context);
        let (tasks, strays) = (&peers.tasks, Strays::new(containers, peers, &paths, &volumes, &specs));
        let recovery = Recovery::new(containers, tasks, &execs, &connections, &holdings, &removal, &runs);
        Parts {
            volumes,
            mounts,
            removal,
            runs,
            strays,
            recovery,
            logs,
            context,
            plugin,
            specs,
            _served: served,
        }
    }

    /// Begins to bring the containers in line with their records, as an engine does when it starts.
    pub(crate) async fn recover(&self) {
        let strays = self.strays.clone();
        self.recovery.recover(&self.logs, strays, &self.context).await.expect("every record is read");
    }

    /// A container at rest that has everything to be started: its root, its record in tasks, a network, and the
    /// plugin's volume.
    pub(crate) async fn startable(&self, stage: &Stage, name: &str) -> Arc<Container> {
        let id = names::new_id();
        let name = stage.containers.index.reserve(name, &id).expect("a free name");
        let mut record = Record { id, name, stage: Making::Ready, ..Record::default() };
        record.command = vec!["sleep".to_owned()];
        record.snapshotter = "overlayfs".to_owned();
        record.host.network_mode = "bridge".to_owned();
        record.networks.insert("bridge".to_owned(), EndpointSettings::default());
        record.host.log_config = Some(LogConfig { r#type: "none".to_owned(), ..LogConfig::default() });
        let point = MountPoint {
            r#type: "volume".to_owned(),
            name: VOLUME.to_owned(),
            destination: "/data".to_owned(),
            driver: PLUGIN.to_owned(),
            rw: true,
            ..MountPoint::default()
        };
        record.mounts = vec![MountRecord { point, elsewhere: true, ..MountRecord::default() }];
        let life = Life::default();
        stage.containers.store.put(&record, &life.recorded()).await.expect("written");
        let spec = self.specs.preliminary(&record).expect("it can be started");
        recorded::record(&stage.peers.records, &record, &spec).await.expect("recorded");
        stage.peers.snapshots.prepare(&record.snapshotter, &record.id, "").await.expect("a root");
        std::fs::create_dir_all(stage.paths().container(&record.id)).expect("a directory");
        let container = Container::new(record, life, stage.containers.index.generation()).expect("valid");
        let container = Arc::new(container);
        stage.containers.index.insert(Arc::clone(&container));
        container
    }
}

/// Volumes with the plugin's.
async fn volumes(stage: &Stage, sockets: &Path) -> Volumes {
    let folders = folders::Folders::open(stage.paths().volumes()).expect("a folder");
    let plugins = Plugins::new(Folders { sockets: sockets.to_owned(), specs: Vec::new() });
    let drivers = Drivers::new(Local::new(folders), plugins);
    let volumes = Volumes::open(drivers, stage.containers.store.clone()).await.expect("opened");
    let wanted = Wanted { name: VOLUME.to_owned(), driver: PLUGIN.to_owned(), ..Wanted::default() };
    volumes.create(wanted).await.expect("made");
    volumes
}
