//! Tests of the engine on its real socket, in a temporary root, with fakes of its peers (see [`world`]).

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

mod contract;
mod released;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use gantry_api::Peers;
use gantry_api::tasks::records::{Container, Manage as _};
use gantry_api::tasks::{self, Cause, StartFailure};
use gantry_daemon::{Context, Roots, Service as _};
use gantry_fakes::Program;
use gantry_proto::gantry::engine::v1 as pb;
use gantry_types::Namespace;
use pb::wait_request::Condition;
use prost_types::Any;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;
use world::World;

/// An engine and its world. Both end when this is dropped.
struct Stage {
    directory: tempfile::TempDir,
    world: World,
    peers: Peers,
    engine: Context,
}

impl Stage {
    async fn new() -> Stage {
        let directory = tempfile::Builder::new().tempdir_in("/dev/shm").expect("a temporary directory");
        let (run, root) = (directory.path().join("run"), directory.path().join("root"));
        for path in [&run, &root, &directory.path().join("state/engine")] {
            std::fs::create_dir_all(path).expect("made");
        }
        let world = World::serve(&root, &run);
        let peers = Peers::new(&run);
        let engine = start_engine(directory.path().to_owned());
        let stage = Stage { directory, world, peers, engine };
        stage.ready().await;
        stage
    }

    /// Registers the suites' programs with the fake.
    fn install(&self) {
        let failure = |cause| StartFailure { cause, errno: 0, stage: tasks::Stage::Execute };
        let programs = [
            ("missing", Program::Fails(failure(Cause::NotFound))),
            ("forbidden", Program::Fails(failure(Cause::NotPermitted))),
            ("false", Program::Ends(1)),
        ];
        for (name, program) in programs {
            self.world.tasks.install(name, program);
        }
    }

    async fn ready(&self) {
        for _ in 0..200 {
            if self.peers.system().info(pb::InfoRequest {}).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the engine does not answer");
    }

    /// Ends the engine, and returns when its records are closed.
    async fn stop(&mut self) {
        self.engine.shutdown().cancel();
        let database = self.directory.path().join("state/engine/db");
        for _ in 0..500 {
            // The database is locked while an engine has it open. The schema is the engine's own, so the other error
            // means that it is free.
            if let Ok(_) | Err(gantry_disk::Error::NewerSchema { .. }) =
                gantry_disk::Database::open(&database, &[])
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the engine does not end");
    }

    /// Starts an engine on the same root.
    async fn begin(&mut self) {
        self.engine = start_engine(self.directory.path().to_owned());
        self.ready().await;
    }

    /// Starts an engine that refuses to run, and returns its message.
    async fn refusal(&self) -> String {
        let context = Context::for_test("engine", roots(self.directory.path()));
        let ended = in_time(gantry_engine::Service::run(context)).await.expect("in time");
        let error = ended.expect_err("refused");
        assert!(gantry_types::Remedy::of(error.as_ref()).is_some(), "{error:?}");
        gantry_rpc::chain(error.as_ref())
    }

    /// Runs the consistency check.
    async fn fsck(&self, repair: bool) -> Vec<gantry_proto::gantry::gc::v1::Stray> {
        let request = gantry_proto::gantry::gc::v1::FsckRequest { repair, ..Default::default() };
        self.peers.fsck("engine").check(request).await.expect("checked").into_inner().strays
    }

    /// Ends the engine and starts another one on the same root.
    async fn restart(&mut self) {
        self.engine.shutdown().cancel();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        self.engine = start_engine(self.directory.path().to_owned());
        self.ready().await;
    }

    async fn create(&self, change: impl FnOnce(&mut pb::CreateRequest)) -> Result<String, tonic::Status> {
        let mut request = pb::CreateRequest {
            config: Some(pb::ContainerConfig { image: "busybox".to_owned(), ..Default::default() }),
            host_config: Some(pb::HostConfig::default()),
            ..Default::default()
        };
        change(&mut request);
        Ok(self.peers.containers().create(request).await?.into_inner().id)
    }

    async fn start(&self, id: &str) -> Result<(), tonic::Status> {
        let request = pb::StartRequest { container: id.to_owned() };
        self.peers.containers().start(request).await.map(drop)
    }

    async fn get(&self, id: &str) -> Result<pb::Container, tonic::Status> {
        let request = pb::GetRequest { container: id.to_owned(), size: false };
        Ok(self.peers.containers().get(request).await?.into_inner())
    }

    async fn status(&self, id: &str) -> pb::Status {
        self.get(id).await.expect("it exists").state.unwrap_or_default().status()
    }

    async fn remove(&self, id: &str, force: bool) -> Result<(), tonic::Status> {
        let request = pb::RemoveRequest { container: id.to_owned(), force, volumes: true, link: false };
        self.peers.containers().remove(request).await.map(drop)
    }

    async fn connect(&self, id: &str, network: &str) -> Result<(), tonic::Status> {
        let (container, network) = (id.to_owned(), network.to_owned());
        let request = pb::ConnectRequest { container, network, ..Default::default() };
        self.peers.containers().connect(request).await.map(drop)
    }

    async fn disconnect(&self, id: &str, network: &str) -> Result<(), tonic::Status> {
        let (container, network) = (id.to_owned(), network.to_owned());
        let request = pb::DisconnectRequest { container, network, force: false };
        self.peers.containers().disconnect(request).await.map(drop)
    }

    /// Names of a container's endpoints, and of the networks in its record.
    async fn networks(&self, id: &str) -> (Vec<String>, Vec<String>) {
        let attached = self.world.network.attached().into_iter().find(|netns| netns.id == id);
        let endpoints = attached.expect("a network namespace").endpoints;
        let mut has: Vec<String> = endpoints.into_iter().map(|endpoint| endpoint.network_name).collect();
        has.sort();
        let mut wanted: Vec<String> = self.get(id).await.expect("it exists").networks.into_keys().collect();
        wanted.sort();
        (has, wanted)
    }

    async fn exec(&self, id: &str) -> pb::Exec {
        let request = pb::ExecRequest { id: id.to_owned() };
        self.peers.execs().get(request).await.expect("it exists").into_inner()
    }

    /// Names of all volumes.
    async fn volumes(&self) -> Vec<String> {
        let listed = self.peers.volumes().list(pb::ListVolumesRequest::default()).await.expect("listed");
        listed.into_inner().volumes.into_iter().map(|volume| volume.name).collect()
    }

    /// Begins a wait; the task returns the exit code.
    async fn wait(&self, id: &str, condition: Condition) -> tokio::task::JoinHandle<i64> {
        use pb::wait_response::Event;
        let request = pb::WaitRequest { container: id.to_owned(), condition: condition.into() };
        let mut answers = self.peers.containers().wait(request).await.expect("it exists").into_inner();
        let first = answers.message().await.expect("an answer").expect("an answer");
        assert_eq!(first.event, Some(Event::Registered(true)));
        tokio::spawn(async move {
            match answers.message().await {
                Ok(Some(pb::WaitResponse { event: Some(Event::Exit(exit)) })) => exit.status_code,
                other => panic!("no exit: {other:?}"),
            }
        })
    }

    /// The actions of objects of one kind, in order.
    async fn events(&self, kind: &str) -> Vec<pb::Event> {
        let filter = pb::Filter { key: "type".to_owned(), values: vec![kind.to_owned()] };
        let request =
            pb::EventsRequest { since: None, until: Some(gantry_api::time::now()), filters: vec![filter] };
        let mut answers = self.peers.system().events(request).await.expect("answered").into_inner();
        let mut events = Vec::new();
        while let Some(event) = in_time(answers.message()).await.expect("in time").expect("an event") {
            events.push(event);
        }
        events
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        for _ in 0..250 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("waited in vain for: {what}");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.engine.shutdown().cancel();
    }
}

fn roots(directory: &std::path::Path) -> Roots {
    Roots { state: directory.join("state"), run: directory.join("run") }
}

fn start_engine(directory: PathBuf) -> Context {
    let context = Context::for_test("engine", roots(&directory));
    tokio::spawn(gantry_engine::Service::run(context.clone()));
    context
}

fn in_time<T>(work: impl Future<Output = T>) -> tokio::time::Timeout<impl Future<Output = T>> {
    tokio::time::timeout(Duration::from_secs(10), work)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_from_create_to_remove_leaves_nothing() {
    let stage = Stage::new().await;
    let id = stage.create(|request| request.name = "web".to_owned()).await.expect("created");
    assert_eq!(stage.status("web").await, pb::Status::Created);
    let exit = stage.wait(&id, Condition::NextExit).await;
    stage.start("web").await.expect("started");
    let running = stage.get(&id[..12]).await.expect("found by prefix");
    assert_eq!(running.state.unwrap_or_default().status(), pb::Status::Running);
    assert_eq!(running.networks["bridge"].ip_address, "172.17.0.2");
    assert!(stage.remove(&id, false).await.is_err_and(|status| status.code() == Code::Aborted));
    stage.world.end(&id, 3);
    assert_eq!(in_time(exit).await.expect("in time").expect("joined"), 3);
    stage.until("the end of the run", async || stage.world.network.attached().is_empty()).await;
    stage.remove("web", false).await.expect("removed");
    assert!(stage.world.is_empty());
    assert!(stage.get("web").await.is_err_and(|status| status.code() == Code::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_close_after_the_end_leaves_nothing() {
    let stage = Stage::new().await;
    for round in 0..30 {
        let id = stage.create(|_| ()).await.expect("created");
        let exit = stage.wait(&id, Condition::NextExit).await;
        stage.start(&id).await.expect("started");
        let killed_by_the_removal = round % 2 == 0;
        if !killed_by_the_removal {
            stage.world.end(&id, 3);
            assert_eq!(in_time(exit).await.expect("in time").expect("joined"), 3);
        }
        let (removed, restarted) = tokio::join!(stage.remove(&id, killed_by_the_removal), stage.start(&id));
        let started_first = restarted.is_ok() && !killed_by_the_removal;
        assert_eq!(removed.is_err(), started_first, "{removed:?} {restarted:?}");
        if started_first {
            stage.remove(&id, true).await.expect("removed");
        }
        assert!(stage.world.is_empty(), "after round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_images_must_be_right() {
    let stage = Stage::new().await;
    let id = stage.create(|request| request.name = "web".to_owned()).await.expect("created");
    let taken = stage.create(|request| request.name = "/web".to_owned()).await.expect_err("taken");
    assert_eq!(taken.code(), Code::AlreadyExists);
    assert!(taken.message().contains(&format!("is already in use by container \"{id}\"")), "{taken}");
    let unknown = stage
        .create(|request| request.config.as_mut().expect("given").image = "nothing".to_owned())
        .await
        .expect_err("no such image");
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "No such image: nothing:latest"));
    let missing: Option<pb::NoSuchImage> = gantry_proto::detail(unknown.details());
    assert_eq!(missing.map(|missing| missing.reference).as_deref(), Some("nothing:latest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_fails_is_undone() {
    let stage = Stage::new().await;
    stage.world.things().refuse_prepare = Some("disk full".to_owned());
    let refused = stage.create(|request| request.name = "web".to_owned()).await.expect_err("refused");
    assert!(refused.message().contains("disk full"), "{refused}");
    assert!(stage.world.is_empty());
    stage.create(|request| request.name = "web".to_owned()).await.expect("the name is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_ends_with_127() {
    let stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    let failure = StartFailure { cause: Cause::NotFound, errno: 2, stage: tasks::Stage::Execute };
    stage.world.tasks.install("sh", Program::Fails(failure));
    let refused = stage.start(&id).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let state = stage.get(&id).await.expect("it stays").state.unwrap_or_default();
    assert_eq!((state.status(), state.exit_code), (pb::Status::Created, 127));
    assert!(stage.world.tasks.processes().is_empty() && stage.world.network.attached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auto_removed_container_is_gone_when_its_wait_ends() {
    let stage = Stage::new().await;
    let id = stage.create(|request| request.host_config.as_mut().expect("given").auto_remove = true).await;
    let id = id.expect("created");
    let removed = stage.wait(&id, Condition::Removed).await;
    stage.start(&id).await.expect("started");
    stage.world.end(&id, 5);
    assert_eq!(in_time(removed).await.expect("in time").expect("joined"), 5);
    assert!(stage.world.is_empty());
    assert!(stage.get(&id).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_restarts_until_the_user_stops() {
    let stage = Stage::new().await;
    let always = pb::RestartPolicy { name: "always".to_owned(), maximum_retry_count: 0 };
    let id = stage
        .create(|request| request.host_config.as_mut().expect("given").restart_policy = Some(always))
        .await
        .expect("created");
    stage.start(&id).await.expect("started");
    stage.world.end(&id, 1);
    stage.until("the second start", async || stage.world.tasks.starts() == 2).await;
    stage.until("running again", async || stage.status(&id).await == pb::Status::Running).await;
    assert_eq!(stage.get(&id).await.expect("it exists").restart_count, 1);
    let request = pb::StopRequest { container: id.clone(), ..Default::default() };
    stage.peers.containers().stop(request).await.expect("stopped");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let state = stage.get(&id).await.expect("it exists").state.unwrap_or_default();
    assert_eq!((state.status(), state.exit_code), (pb::Status::Exited, 143));
    assert_eq!(stage.world.tasks.starts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_the_engine_was_away_has_its_own_exit_code() {
    let mut stage = Stage::new().await;
    let runs = stage.create(|request| request.name = "runs".to_owned()).await.expect("created");
    let ends = stage.create(|request| request.name = "ends".to_owned()).await.expect("created");
    stage.start(&runs).await.expect("started");
    stage.start(&ends).await.expect("started");
    stage.engine.shutdown().cancel();
    stage.world.end(&ends, 7);
    stage.restart().await;
    stage.until("both reconciled", async || stage.status("ends").await == pb::Status::Exited).await;
    let state = stage.get("ends").await.expect("it exists").state.unwrap_or_default();
    assert_eq!(state.exit_code, 7);
    assert_eq!(stage.status("runs").await, pb::Status::Running);
    stage.remove("runs", true).await.expect("removed by force");
    stage.remove("ends", false).await.expect("removed");
    assert!(stage.world.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_lost_its_record_is_left_alone_at_start() {
    let mut stage = Stage::new().await;
    let stray = "e".repeat(64);
    stage.world.things().snapshots.insert(stray.clone());
    let recorded = Container::new(&stray.parse().expect("an id"), "io.containerd.gantry.v2", Any::default());
    stage.world.tasks.create_record(&Namespace::moby(), recorded).await.expect("recorded");
    let log = stage.directory.path().join("state/engine/containers").join(&stray).join("log");
    std::fs::create_dir_all(log.parent().expect("a directory")).expect("made");
    std::fs::write(&log, "words").expect("written");
    stage.restart().await;
    let known = stage.create(|_| {}).await.expect("created");
    stage
        .until("all is looked at", async || {
            let found = stage.fsck(true).await;
            found.iter().filter(|found| found.name == stray && !found.repaired).count() == 2
        })
        .await;
    assert!(log.exists());
    assert!(stage.world.things().snapshots.contains(&stray));
    assert!(stage.world.has_record(&stray));
    stage.remove(&known, false).await.expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_tasks_has_lost_is_made_again() {
    let mut stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    stage.world.lose_records().await;
    stage.restart().await;
    stage.until("it is there", async || stage.world.has_record(&id)).await;
    stage.start(&id).await.expect("started");
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_outlive_the_loss_of_all_records() {
    let mut stage = Stage::new().await;
    let labels = [("kind".to_owned(), "precious".to_owned())].into();
    let request = pb::CreateVolumeRequest { name: "vol".to_owned(), labels, ..Default::default() };
    stage.peers.volumes().create(request).await.expect("made");
    let engine = stage.directory.path().join("state/engine");
    std::fs::write(engine.join("volumes/vol/_data/x"), "precious").expect("written");
    stage.stop().await;
    std::fs::remove_dir_all(engine.join("db")).expect("there");
    let refusal = stage.refusal().await;
    assert!(refusal.contains("gantry fsck --repair"), "{refusal}");
    assert_eq!(std::fs::read_to_string(engine.join("volumes/vol/_data/x")).expect("kept"), "precious");
    // The same without the copy of the database.
    std::fs::remove_file(engine.join("db.copy")).expect("there");
    let refusal = stage.refusal().await;
    assert!(refusal.contains("gantry backup restore"), "{refusal}");
    gantry_disk::Place::new(engine.join("db")).give_up().expect("written");
    stage.begin().await;
    let volume =
        stage.peers.volumes().get(pb::VolumeRequest { name: "vol".to_owned() }).await.expect("there");
    assert_eq!(volume.into_inner().labels["kind"], "precious");
    assert_eq!(std::fs::read_to_string(engine.join("volumes/vol/_data/x")).expect("kept"), "precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_filled_from_the_image_and_kept_while_it_is_used() {
    let stage = Stage::new().await;
    let data = stage.directory.path().join("root/data");
    std::fs::create_dir(&data).expect("made");
    std::fs::write(data.join("hello"), "from the image").expect("written");
    let id = stage
        .create(|request| request.host_config.as_mut().expect("given").binds = vec!["vol:/data".to_owned()])
        .await
        .expect("created");
    let volume = stage.peers.volumes().get(pb::VolumeRequest { name: "vol".to_owned() }).await.expect("made");
    let copied = PathBuf::from(volume.into_inner().mountpoint).join("hello");
    assert_eq!(std::fs::read_to_string(copied).expect("copied"), "from the image");
    let remove = || pb::RemoveVolumeRequest { name: "vol".to_owned(), force: false };
    let used = stage.peers.volumes().remove(remove()).await.expect_err("in use");
    assert_eq!(used.code(), Code::Aborted);
    stage.remove(&id, false).await.expect("removed");
    stage.peers.volumes().remove(remove()).await.expect("free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_mounted_twice_is_filled_once() {
    let stage = Stage::new().await;
    for name in ["one", "two"] {
        let data = stage.directory.path().join("root").join(name);
        std::fs::create_dir(&data).expect("made");
        std::fs::write(data.join("hello"), name).expect("written");
    }
    // All containers of the fake share one root, so it is prepared before two of them are created at once.
    stage.create(|_| ()).await.expect("created");
    let binds = || vec!["vol:/one".to_owned(), "vol:/two".to_owned()];
    let create = || stage.create(|request| request.host_config.as_mut().expect("given").binds = binds());
    let (first, second) = tokio::join!(create(), create());
    first.expect("created");
    second.expect("created");
    let volume = stage.peers.volumes().get(pb::VolumeRequest { name: "vol".to_owned() }).await.expect("made");
    let copied = PathBuf::from(volume.into_inner().mountpoint).join("hello");
    assert_eq!(std::fs::read_to_string(copied).expect("copied"), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_whose_filling_was_cut_short_is_filled_by_the_next_container() {
    let stage = Stage::new().await;
    let image = stage.directory.path().join("root/data");
    std::fs::create_dir(&image).expect("made");
    std::fs::write(image.join("hello"), "from the image").expect("written");
    let volumes = stage.directory.path().join("state/engine/volumes");
    let fill = async |name: &str| {
        let bind = format!("{name}:/data");
        stage.create(|request| request.host_config.as_mut().expect("given").binds = vec![bind]).await
    };
    for (volume, left) in [("copying", "_filling"), ("moving", "_filled")] {
        let request = pb::CreateVolumeRequest { name: volume.to_owned(), ..Default::default() };
        stage.peers.volumes().create(request).await.expect("made");
        let copy = volumes.join(volume).join(left);
        std::fs::create_dir(&copy).expect("made");
        std::fs::write(copy.join("hello"), "left").expect("written");
    }
    std::fs::write(volumes.join("moving/_data/first"), "moved before").expect("written");
    for (volume, hello) in [("copying", "from the image"), ("moving", "left")] {
        fill(volume).await.expect("created");
        let directory = volumes.join(volume);
        assert_eq!(std::fs::read_to_string(directory.join("_data/hello")).expect("filled"), hello);
        assert_eq!(std::fs::read_dir(directory).expect("listed").count(), 2, "only data and record are left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_there_already_keeps_its_data_as_a_volume() {
    let stage = Stage::new().await;
    let data = stage.directory.path().join("state/engine/volumes/vol/_data");
    std::fs::create_dir_all(&data).expect("made");
    std::fs::write(data.join("old"), "somebody's").expect("written");
    let request = pb::CreateVolumeRequest { name: "vol".to_owned(), ..Default::default() };
    stage.peers.volumes().create(request).await.expect("made");
    assert_eq!(std::fs::read_to_string(data.join("old")).expect("kept"), "somebody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruning_spares_volumes_with_options_and_is_not_ended_by_one_that_stays() {
    let stage = Stage::new().await;
    let elsewhere = [("type", "tmpfs"), ("device", "tmpfs")].map(|(key, value)| (key.into(), value.into()));
    for (name, driver_opts) in [("aa", [].into()), ("optional", elsewhere.into()), ("zz", [].into())] {
        let request = pb::CreateVolumeRequest { name: name.to_owned(), driver_opts, ..Default::default() };
        stage.peers.volumes().create(request).await.expect("made");
    }
    // A removal moves the folder here first.
    let volumes = stage.directory.path().join("state/engine/volumes");
    let blocked = volumes.join(".removed");
    std::fs::remove_dir(&blocked).expect("empty");
    std::fs::write(&blocked, "").expect("written");
    let all = pb::Filter { key: "all".to_owned(), values: vec!["true".to_owned()] };
    let request = pb::PruneRequest { filters: vec![all] };
    let pruned = stage.peers.volumes().prune(request.clone()).await.expect("pruned").into_inner();
    assert_eq!(pruned.deleted, [""; 0], "none could be moved away");
    std::fs::remove_file(&blocked).expect("removed");
    std::fs::create_dir(&blocked).expect("made");
    let pruned = stage.peers.volumes().prune(request).await.expect("pruned").into_inner();
    assert_eq!(pruned.deleted, ["aa", "zz"]);
    assert_eq!(stage.volumes().await, ["optional"]);
    let request = pb::ListVolumesRequest { usage: true, ..Default::default() };
    let listed = stage.peers.volumes().list(request).await.expect("listed").into_inner().volumes;
    assert_eq!(listed[0].size, -1, "it is not measured, for it may be on a server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_goes_on_after_a_restart_keeps_the_volumes_that_were_to_be_kept() {
    let mut stage = Stage::new().await;
    let with_volume = |request: &mut pb::CreateRequest| {
        request.config.as_mut().expect("given").volumes = vec!["/data".to_owned()];
    };
    let kept = stage.create(with_volume).await.expect("created");
    let volumes = stage.volumes().await;
    assert_eq!(volumes.len(), 1);
    let gone = stage.create(with_volume).await.expect("created");
    stage.world.things().keep_snapshots = true;
    let request = pb::RemoveRequest { container: kept, ..Default::default() };
    stage.peers.containers().remove(request).await.expect_err("refused");
    stage.remove(&gone, false).await.expect_err("refused");
    stage.world.things().keep_snapshots = false;
    stage.restart().await;
    stage.until("both removed", async || stage.world.is_empty()).await;
    stage.until("one volume left", async || stage.volumes().await == volumes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_failed_at_the_start_too_can_be_tried_again() {
    let mut stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    stage.world.things().keep_snapshots = true;
    stage.remove(&id, false).await.expect_err("refused");
    stage.world.lose_records().await;
    assert_eq!(stage.fsck(true).await, [], "nothing of it is lost, and nothing made again");
    assert!(stage.world.tasks.recorded().is_empty());
    stage.restart().await;
    stage.until("given up", async || stage.status(&id).await == pb::Status::Dead).await;
    let refused = stage.start(&id).await.expect_err("half of it is gone");
    assert_eq!(refused.code(), Code::Aborted);
    stage.world.things().keep_snapshots = false;
    stage.remove(&id, false).await.expect("removed");
    assert!(stage.world.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_that_outlives_the_engine_has_its_own_exit_code() {
    let mut stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    stage.start(&id).await.expect("started");
    let request =
        pb::ExecCreateRequest { container: id.clone(), cmd: vec!["sleep".to_owned()], ..Default::default() };
    let exec = stage.peers.execs().create(request).await.expect("made").into_inner().id;
    let open = pb::exec_start_request::Open { id: exec.clone(), detach: true, ..Default::default() };
    let open = pb::ExecStartRequest { message: Some(pb::exec_start_request::Message::Open(open)) };
    stage.peers.execs().start(tokio_stream::iter([open])).await.expect("started");
    stage.restart().await;
    stage.until("watched again", async || stage.exec(&exec).await.running).await;
    stage.world.end_exec(&id, &exec, 9);
    stage.until("its end", async || stage.exec(&exec).await.exit_code == Some(9)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_its_container_s_end_an_exec_that_nobody_started_is_forgotten_and_one_that_ran_is_not() {
    let stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    stage.start(&id).await.expect("started");
    let make = async || {
        let cmd = vec!["sleep".to_owned()];
        let request = pb::ExecCreateRequest { container: id.clone(), cmd, ..Default::default() };
        stage.peers.execs().create(request).await.expect("made").into_inner().id
    };
    let (waiting, ran) = (make().await, make().await);
    let open = pb::exec_start_request::Open { id: ran.clone(), detach: true, ..Default::default() };
    let open = pb::ExecStartRequest { message: Some(pb::exec_start_request::Message::Open(open)) };
    stage.peers.execs().start(tokio_stream::iter([open])).await.expect("started");
    stage.world.end_exec(&id, &ran, 9);
    stage.until("its end", async || stage.exec(&ran).await.exit_code == Some(9)).await;
    assert!(!stage.exec(&waiting).await.running, "it waits");
    stage.world.end(&id, 0);
    stage.until("the end", async || stage.status(&id).await == pb::Status::Exited).await;
    stage
        .until("forgotten", async || {
            let request = pb::ExecRequest { id: waiting.clone() };
            let asked = stage.peers.execs().get(request).await;
            asked.is_err_and(|status| status.code() == Code::NotFound)
        })
        .await;
    assert_eq!(stage.exec(&ran).await.exit_code, Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_networks_that_was_cut_short_is_undone_or_finished() {
    use gantry_api::network::{Attach as _, EndpointSpec, Manage as _, NetworkSpec};
    let mut stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    stage.start(&id).await.expect("started");
    let network = stage.world.network.clone();
    let spec = NetworkSpec { name: "other".to_owned(), ipv4: true, ..NetworkSpec::default() };
    let other = network.create(spec).await.expect("made").id;
    let endpoint = EndpointSpec { network: "other".to_owned(), ..EndpointSpec::default() };
    let named = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (one, both) = (named(&["bridge"]), named(&["bridge", "other"]));

    // The engine dies after the change and before its record.
    stage.stop().await;
    network.connect(&id, endpoint.clone()).await.expect("connected");
    stage.begin().await;
    let nobody_was_told = (one.clone(), one.clone());
    stage.until("undone", async || stage.networks(&id).await == nobody_was_told).await;
    let files = ["hosts", "resolv.conf"]
        .map(|name| stage.directory.path().join("state/engine/containers").join(&id).join(name));
    let read = || files.each_ref().map(|path| std::fs::read_to_string(path).expect("a file"));
    let before = read();
    stage.connect(&id, "other").await.expect("connected");
    assert_eq!(stage.networks(&id).await, (both.clone(), both.clone()));
    let [hosts, resolv] = read();
    assert_eq!(hosts.lines().count(), before[0].lines().count() + 1, "an address more: {hosts}");
    assert_ne!(resolv, before[1], "the name service");
    stage.stop().await;
    network.disconnect(&id, &other).await.expect("disconnected");
    stage.begin().await;
    stage.until("finished", async || stage.networks(&id).await == nobody_was_told).await;
    assert_eq!(read(), before, "the address that it had there is forgotten");

    // The network service's answer is lost.
    network.connect(&id, endpoint).await.expect("connected");
    stage.connect(&id, "other").await.expect("connected again");
    assert_eq!(stage.networks(&id).await, (both.clone(), both));
    network.disconnect(&id, &other).await.expect("disconnected");
    stage.disconnect(&id, "other").await.expect("finished");
    assert_eq!(stage.networks(&id).await, (one.clone(), one));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_image_exposes_does_not_keep_it_from_another_ones_network() {
    let stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    let share = |request: &mut pb::CreateRequest| {
        request.host_config.as_mut().expect("given").network_mode = format!("container:{id}");
    };
    stage.create(share).await.expect("the user exposes nothing");
    let exposing = stage.create(|request| {
        share(request);
        request.config.as_mut().expect("given").exposed_ports = vec!["81/tcp".to_owned()];
    });
    assert_eq!(exposing.await.expect_err("the user does").code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_keeps_a_list_is_told_whether_there_is_a_newer_one() {
    let stage = Stage::new().await;
    let ask = async |request: pb::ListRequest| {
        stage.peers.containers().list(request).await.expect("listed").into_inner()
    };
    let all = || pb::ListRequest { all: true, ..pb::ListRequest::default() };
    let mut kept = ask(all()).await;
    assert!(kept.generation != 0 && kept.containers.is_empty() && !kept.unchanged);
    let mut newer = async |what: &str, count: usize| {
        let list = ask(pb::ListRequest { newer_than: kept.generation, ..all() }).await;
        assert!(!list.unchanged && list.containers.len() == count, "{what}: {list:?}");
        kept = list;
        kept.containers.first().map(|one| one.name.clone())
    };
    let id = stage.create(|_| ()).await.expect("created");
    newer("created", 1).await;
    let end = stage.wait(&id, Condition::NextExit).await;
    stage.start(&id).await.expect("started");
    newer("started", 1).await;
    let request = pb::RenameRequest { container: id.clone(), name: "renamed".to_owned() };
    stage.peers.containers().rename(request).await.expect("renamed");
    assert_eq!(newer("renamed", 1).await.as_deref(), Some("renamed"));
    stage.world.end(&id, 3);
    assert_eq!(end.await.expect("ended"), 3);
    newer("ended", 1).await;
    stage.remove(&id, false).await.expect("removed");
    newer("removed", 0).await;
    let generation = kept.generation;
    let same = ask(pb::ListRequest { newer_than: generation, ..all() }).await;
    assert!(same.unchanged && same.generation == generation && same.containers.is_empty(), "{same:?}");
    let sized = ask(pb::ListRequest { newer_than: generation, size: true, ..all() }).await;
    assert!(!sized.unchanged && sized.generation == 0, "sizes are not containers': {sized:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_ends_with_its_container() {
    let stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    stage.start(&id).await.expect("started");
    let log = PathBuf::from(stage.get(&id).await.expect("it exists").log_path);
    let line = |text: &str| {
        format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}}\n")
    };
    std::fs::write(&log, line("one")).expect("written");
    let logs = pb::data_request::Logs {
        container: id.clone(),
        follow: true,
        stdout: true,
        tail: -1,
        ..Default::default()
    };
    let request = pb::DataRequest { action: Some(pb::data_request::Action::Logs(logs)) };
    let socket = stage.peers.data_socket("engine");
    let (mut stream, _, _) = gantry_rpc::data::call(&socket, &request).await.expect("accepted");
    let mut first = [0; 12];
    in_time(stream.read_exact(&mut first)).await.expect("in time").expect("read");
    assert_eq!(&first, b"\x01\0\0\0\0\0\0\x04one\n");
    std::fs::write(&log, line("one") + &line("two")).expect("written");
    stage.world.end(&id, 0);
    let mut rest = Vec::new();
    in_time(stream.read_to_end(&mut rest)).await.expect("in time").expect("read");
    assert_eq!(rest, b"\x01\0\0\0\0\0\0\x04two\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_for_what_is_copied_into_the_container_but_not_for_what_is_looked_at() {
    use pb::data_request::{Action, ArchivePut, ArchiveStat};
    let stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    let socket = stage.peers.data_socket("engine");
    let ask = async |action: Action| {
        let request = pb::DataRequest { action: Some(action) };
        gantry_rpc::data::call(&socket, &request).await.expect("accepted").0
    };
    let put = || {
        Action::ArchivePut(ArchivePut { container: id.clone(), path: "/".to_owned(), ..Default::default() })
    };
    let mut first = ask(put()).await;
    let looking = ask(Action::ArchiveStat(ArchiveStat { container: id.clone(), path: "/".to_owned() }));
    in_time(looking).await.expect("in time");
    let mut second = std::pin::pin!(ask(put()));
    let mut start = std::pin::pin!(stage.start(&id));
    let both = async {
        tokio::select! { _ = &mut second => {}, _ = &mut start => {} }
    };
    tokio::time::timeout(Duration::from_millis(500), both).await.expect_err("both wait");
    first.shutdown().await.expect("ended");
    let mut second = in_time(second).await.expect("in time");
    second.shutdown().await.expect("ended");
    in_time(start).await.expect("in time").expect("started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_from_a_container_at_rest_has_its_volumes_in_it() {
    use pb::data_request::{Action, ArchiveGet};
    let stage = Stage::new().await;
    std::fs::create_dir_all(stage.directory.path().join("root/data/vol")).expect("made");
    let bind = "vol:/data/vol".to_owned();
    let id = stage.create(|request| request.host_config.as_mut().expect("given").binds = vec![bind]).await;
    let id = id.expect("created");
    let volume = stage.directory.path().join("state/engine/volumes/vol/_data");
    std::fs::write(volume.join("hello"), "from the volume").expect("written");
    let get = Action::ArchiveGet(ArchiveGet { container: id, path: "/data".to_owned() });
    let request = pb::DataRequest { action: Some(get) };
    let socket = stage.peers.data_socket("engine");
    let (mut stream, _, _) = gantry_rpc::data::call(&socket, &request).await.expect("accepted");
    let mut tar = Vec::new();
    in_time(stream.read_to_end(&mut tar)).await.expect("in time").expect("read");
    let text = String::from_utf8_lossy(&tar);
    assert!(text.contains("data/vol/hello") && text.contains("from the volume"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_a_life_in_order() {
    let stage = Stage::new().await;
    let id = stage.create(|request| request.name = "web".to_owned()).await.expect("created");
    stage.start(&id).await.expect("started");
    stage.remove(&id, true).await.expect("removed");
    let mut actions = Vec::new();
    for event in stage.events("container").await {
        assert_eq!(event.attributes["name"], "web");
        actions.push(event.action);
    }
    assert_eq!(actions, ["create", "start", "kill", "die", "destroy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_volumes_that_come_and_go_with_a_container() {
    let stage = Stage::new().await;
    let with_volume = |request: &mut pb::CreateRequest| {
        request.config.as_mut().expect("given").volumes = vec!["/data".to_owned()];
    };
    let id = stage.create(with_volume).await.expect("created");
    let volume = stage.volumes().await.remove(0);
    stage.remove(&id, false).await.expect("removed");
    let told: Vec<_> =
        stage.events("volume").await.into_iter().map(|event| (event.action, event.actor_id)).collect();
    assert_eq!(told, [("create".to_owned(), volume.clone()), ("destroy".to_owned(), volume)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_of_networks_without_endpoints_too() {
    let stage = Stage::new().await;
    for mode in ["bridge", "host", "none"] {
        let on = |request: &mut pb::CreateRequest| {
            request.host_config.as_mut().expect("given").network_mode = mode.to_owned();
        };
        let id = stage.create(on).await.expect("created");
        stage.start(&id).await.expect("started");
        stage.remove(&id, true).await.expect("removed");
    }
    let mut told = Vec::new();
    for event in stage.events("network").await {
        told.push(format!("{} {} {}", event.action, event.attributes["name"], event.attributes["type"]));
    }
    let both = |on: &str| ["connect", "disconnect"].map(|action| format!("{action} {on}"));
    assert_eq!(told, [both("bridge bridge"), both("host host"), both("none null")].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_what_the_next_engine_removes_is_answered_by_the_full_id() {
    let mut stage = Stage::new().await;
    let id = stage.create(|request| {
        request.name = "gone".to_owned();
        request.host_config.as_mut().expect("given").auto_remove = true;
    });
    let id = id.await.expect("created");
    stage.start(&id).await.expect("started");
    stage.engine.shutdown().cancel();
    stage.world.end(&id, 5);
    stage.restart().await;
    stage.until("removed", async || stage.get(&id).await.is_err()).await;
    for condition in [Condition::NotRunning, Condition::NextExit, Condition::Removed] {
        let exit = stage.wait(&id, condition).await;
        assert_eq!(in_time(exit).await.expect("in time").expect("joined"), 5);
    }
    for name in ["gone", &id[..12]] {
        let request = pb::WaitRequest { container: name.to_owned(), ..Default::default() };
        let refused = stage.peers.containers().wait(request).await.expect_err("no such container");
        assert_eq!(refused.code(), Code::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_whose_directory_is_lost_can_be_started() {
    let stage = Stage::new().await;
    let id = stage.create(|_| {}).await.expect("created");
    let directory = stage.directory.path().join("state/engine/containers").join(&id);
    std::fs::remove_dir_all(&directory).expect("lost");
    stage.start(&id).await.expect("started");
    for file in ["hosts", "hostname", "resolv.conf"] {
        assert!(directory.join(file).exists(), "{file}");
    }
}
