//! Parts of an engine for unit tests: real records in a temporary directory, and fakes of its peers on sockets.

use std::path::Path;
use std::sync::Arc;

use gantry_daemon::{Context, Roots};
use gantry_fakes::Serving;
use gantry_types::Namespace;

use crate::container::Container;
use crate::container::life::{Life, Phase, Running};
use crate::containers::Containers;
use crate::events::Events;
use crate::names;
use crate::paths::Paths;
use crate::peers::{Peers, Stdio};
use crate::record::{Record, Stage as Making};
use crate::store::Store;

/// Parts of an engine.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    serving: Option<Serving>,
    _network: Serving,
    pub(crate) containers: Containers,
    pub(crate) events: Events,
    pub(crate) peers: Peers,
    /// The fake of the tasks service.
    pub(crate) tasks: gantry_fakes::Tasks,
    /// The client of the network service.
    pub(crate) network: gantry_fakes::Network,
}

impl Stage {
    /// Parts without a container. The tasks service is the only peer.
    pub(crate) fn new() -> Stage {
        let folder = tempfile::Builder::new().tempdir_in("/dev/shm").expect("a folder");
        let store = Store::open(&folder.path().join("db"), &[]).expect("opened");
        let tasks = gantry_fakes::Tasks::default();
        let serving = gantry_fakes::routes(&folder.path().join("tasks.sock"), tasks.routes());
        let network = gantry_fakes::Network::default();
        Stage {
            _network: gantry_fakes::routes(&folder.path().join("network.sock"), network.routes()),
            network,
            containers: Containers::new(store),
            events: Events::default(),
            peers: peers(folder.path()),
            tasks,
            serving: Some(serving),
            folder,
        }
    }

    /// A service whose work in the background ends with the test.
    pub(crate) fn context(&self) -> Context {
        let (state, run) = (self.folder.path().join("state"), self.folder.path().to_owned());
        Context::for_test("engine", Roots { state, run })
    }

    /// The engine's paths.
    pub(crate) fn paths(&self) -> Paths {
        Paths::new(self.folder.path().to_owned())
    }

    /// Ends the tasks service.
    pub(crate) fn lose_tasks(&mut self) {
        self.serving = None;
        std::fs::remove_file(self.folder.path().join("tasks.sock")).expect("its socket");
        // The client is replaced too, because connections survive the fake.
        self.peers = peers(self.folder.path());
    }

    /// A container that was created and not started.
    pub(crate) async fn made(&self, name: &str) -> Arc<Container> {
        self.add(name, Life::default()).await
    }

    /// A container that runs, with a process in the fake.
    pub(crate) async fn running(&self, name: &str) -> Arc<Container> {
        let running = Running { pid: std::process::id(), ..Running::default() };
        let container = self.add(name, Life::at(Phase::Running(running), Default::default())).await;
        let spec = br#"{"process":{"args":["sleep"]}}"#.to_vec();
        let spec = prost_types::Any { type_url: String::new(), value: spec };
        self.tasks.record(&Namespace::moby(), container.task(), &spec);
        let stdio = Stdio { log: "none:".to_owned(), stdin: false, terminal: false };
        self.peers.tasks.create(container.task(), Vec::new(), &stdio).await.expect("made");
        self.peers.tasks.start(&container.init()).await.expect("started");
        container
    }

    async fn add(&self, name: &str, life: Life) -> Arc<Container> {
        let id = names::new_id();
        let name = self.containers.index.reserve(name, &id).expect("a free name");
        let record = Record { id, name, stage: Making::Ready, ..Record::default() };
        self.containers.store.put(&record, &life.recorded()).await.expect("written");
        let container = Container::new(record, life, self.containers.index.generation()).expect("valid");
        let container = Arc::new(container);
        self.containers.index.insert(Arc::clone(&container));
        container
    }

    /// The actions of all container events, oldest first.
    pub(crate) fn told(&self) -> Vec<String> {
        let (past, _) = self.events.subscribe(Some(0));
        past.iter().map(|event| event.action.clone()).collect()
    }

    /// A container's record and life as the database has them.
    pub(crate) async fn written(&self, container: &Container) -> (Record, Life) {
        let all = self.containers.store.containers().await.expect("readable");
        all.into_iter().find(|(record, _)| record.id == container.id()).expect("it is written down")
    }
}

fn peers(run: &Path) -> Peers {
    Peers::new(&gantry_api::Peers::new(run), run)
}
