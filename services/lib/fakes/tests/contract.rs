//! Runs the contract suites on the fakes, directly and through sockets.

use gantry_api::engine::{containers, execs, system, volumes};
use gantry_api::snapshots::{Mount, Service as _};
use gantry_api::tasks::records::{self, Container, Manage as _};
use gantry_api::tasks::{self, Cause, Stage, StartFailure};
use gantry_api::{Peers, content, diff, events, gc, images, leases, network, snapshots};
use gantry_contract::diff::World;
use gantry_contract::gc::{Blobs, Collected};
use gantry_contract::images as suite;
use gantry_contract::tasks::{Machine, process};
use gantry_contract::unpack;
use gantry_fakes::{
    Collector, Content, Diff, Engine, Events, Images, Leases, Network, Program, Serving, Snapshots,
    Snapshotter, Tasks, Unpacker, Volumes, routes,
};
use gantry_types::{ContainerId, Namespace};
use prost_types::Any;
use serde_json::json;

async fn fake() -> (Content, ()) {
    (Content::default(), ())
}

async fn served() -> (content::Client, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = Content::default().serve(run.path());
    let client = content::Client::new(&Peers::new(run.path()));
    (client, (serving, run))
}

async fn fake_leases() -> (Leases, ()) {
    (Leases::default(), ())
}

async fn served_leases() -> (leases::Client, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = routes(&run.path().join("control.sock"), Leases::default().routes());
    let client = leases::Client::new(&Peers::new(run.path()));
    (client, (serving, run))
}

mod content_in_memory {
    gantry_contract::content!(super::fake);
    gantry_contract::content_files!(super::fake);
}

mod content_through_a_socket {
    gantry_contract::content!(super::served);
    gantry_contract::content_files!(super::served);
}

mod leases_in_memory {
    gantry_contract::leases!(super::fake_leases);
}

mod leases_through_a_socket {
    gantry_contract::leases!(super::served_leases);
}

async fn fake_blobs() -> (Blobs<Content, Content>, ()) {
    let content = Content::default();
    (Blobs { store: content.clone(), collector: content }, ())
}

async fn served_blobs() -> (Blobs<content::Client, gc::client::Collector>, (Serving, tempfile::TempDir)) {
    let (store, (serving, run)) = served().await;
    let collector = gc::client::Collector::new(&Peers::new(run.path()), &gantry_descriptor::CONTENT);
    (Blobs { store, collector }, (serving, run))
}

mod blobs_in_memory {
    gantry_contract::gc!(super::fake_blobs);
}

mod blobs_through_a_socket {
    gantry_contract::gc!(super::served_blobs);
}

async fn fake_collector() -> (Collected<Collector, Leases, Blobs<Content, Content>>, ()) {
    let (stock, ()) = fake_blobs().await;
    let leases = Leases::default();
    let collector = Collector::new(stock.store.clone(), leases.clone());
    (Collected { collector, leases, stock }, ())
}

async fn served_collector()
-> (Collected<gc::Client, leases::Client, Blobs<Content, Content>>, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let (Collected { collector, leases, stock }, ()) = fake_collector().await;
    let served = collector.routes().add_service(leases::server::service(leases));
    let serving = routes(&run.path().join("control.sock"), served);
    let peers = Peers::new(run.path());
    let (collector, leases) = (gc::Client::new(&peers), leases::Client::new(&peers));
    (Collected { collector, leases, stock }, (serving, run))
}

mod collections_in_memory {
    gantry_contract::collections!(super::fake_collector);
}

mod collections_through_a_socket {
    gantry_contract::collections!(super::served_collector);
}

async fn fake_network() -> (Network, ()) {
    (Network::default(), ())
}

async fn served_network() -> (network::Client, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = routes(&run.path().join("network.sock"), Network::default().routes());
    let client = network::Client::new(&Peers::new(run.path()));
    (client, (serving, run))
}

mod network_in_memory {
    gantry_contract::network!(super::fake_network);
}

mod network_through_a_socket {
    gantry_contract::network!(super::served_network);
}

async fn fake_snapshotter() -> (Snapshotter, ()) {
    (Snapshots::default().snapshotter("overlayfs"), ())
}

async fn served_snapshotter() -> (snapshots::client::Snapshotter, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = routes(&run.path().join("snapshots.sock"), Snapshots::default().routes());
    let client = snapshots::Client::new(&Peers::new(run.path()));
    (client.snapshotter("overlayfs"), (serving, run))
}

mod snapshots_in_memory {
    gantry_contract::snapshots!(super::fake_snapshotter);
}

mod snapshots_through_a_socket {
    gantry_contract::snapshots!(super::served_snapshotter);
}

fn bind(source: &str) -> Vec<Mount> {
    let (fs_type, options) = ("bind".to_owned(), vec!["rbind".to_owned(), "ro".to_owned()]);
    vec![Mount { fs_type, source: source.to_owned(), target: String::new(), options }]
}

async fn fake_diff() -> (World<Diff, Content>, ()) {
    let content = Content::default();
    let differ = Diff::new(&content);
    (World { differ, content, before: bind("/before"), after: bind("/after"), empty: bind("/empty") }, ())
}

async fn served_diff() -> (World<diff::Client, Content>, (Serving, tempfile::TempDir)) {
    let (world, ()) = fake_diff().await;
    let run = tempfile::tempdir().expect("a directory");
    let serving = routes(&run.path().join("snapshots.sock"), world.differ.routes());
    let World { content, before, after, empty, .. } = world;
    let differ = diff::Client::new(&Peers::new(run.path()));
    (World { differ, content, before, after, empty }, (serving, run))
}

mod diff_in_memory {
    gantry_contract::diff!(super::fake_diff);
}

mod diff_through_a_socket {
    gantry_contract::diff!(super::served_diff);
}

async fn fake_unpacker() -> (unpack::World<Unpacker, Content, Snapshotter>, ()) {
    let (snapshots, content) = (Snapshots::default(), Content::default());
    let unpacker = Unpacker::new(&snapshots, &content);
    let snapshotter = snapshots.snapshotter("overlayfs");
    (unpack::World { unpacker, content, snapshotter, name: None }, ())
}

type Served = unpack::World<snapshots::Client, Content, snapshots::client::Snapshotter>;

async fn served_unpacker() -> (Served, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let (snapshots, content) = (Snapshots::default(), Content::default());
    let serving = routes(&run.path().join("snapshots.sock"), Unpacker::new(&snapshots, &content).routes());
    let unpacker = snapshots::Client::new(&Peers::new(run.path()));
    let snapshotter = unpacker.snapshotter("native");
    (unpack::World { unpacker, content, snapshotter, name: Some("native") }, (serving, run))
}

mod unpack_in_memory {
    gantry_contract::unpack!(super::fake_unpacker);
}

mod unpack_through_a_socket {
    gantry_contract::unpack!(super::served_unpacker);
}

async fn fake_events() -> (Events, ()) {
    (Events::default(), ())
}

async fn served_events() -> (events::Client, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = routes(&run.path().join("control.sock"), Events::default().routes());
    let client = events::Client::new(&Peers::new(run.path()));
    (client, (serving, run))
}

mod events_in_memory {
    gantry_contract::events!(super::fake_events);
}

mod events_through_a_socket {
    gantry_contract::events!(super::served_events);
}

async fn fake_volumes() -> (Volumes, ()) {
    (Volumes::default(), ())
}

async fn served_volumes() -> (volumes::Client, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = routes(&run.path().join("engine.sock"), Volumes::default().routes());
    let client = volumes::Client::new(&Peers::new(run.path()));
    (client, (serving, run))
}

mod volumes_in_memory {
    gantry_contract::volumes!(super::fake_volumes);
}

mod volumes_through_a_socket {
    gantry_contract::volumes!(super::served_volumes);
}

/// The tasks service with the fake behind it, which has the suite's programs.
struct Fake<T> {
    tasks: T,
    fake: Tasks,
}

impl<T: tasks::Service> Machine for Fake<T> {
    type Tasks = T;

    fn tasks(&self) -> &T {
        &self.tasks
    }

    async fn container(&self, namespace: &Namespace, id: &ContainerId, arguments: &[&str]) {
        let value = json!({"process": process(arguments)}).to_string().into_bytes();
        let type_url = "types.containerd.io/opencontainers/runtime-spec/1/Spec".to_owned();
        let container = Container::new(id, "io.containerd.gantry.v2", Any { type_url, value });
        self.fake.create_record(namespace, container).await.expect("recorded");
    }
}

async fn fake_tasks() -> (Fake<Tasks>, ()) {
    let fake = Tasks::default();
    let fails = |cause, errno| Program::Fails(StartFailure { cause, errno, stage: Stage::Execute });
    for (arguments, program) in [
        ("sh -c exit 0", Program::Ends(0)),
        ("sh -c exit 3", Program::Ends(3)),
        ("sh -c exit 255", Program::Ends(255)),
        ("cat", Program::Reads),
        ("/bin/missing", fails(Cause::NotFound, 2)),
        ("/etc/passwd", fails(Cause::NotPermitted, 13)),
    ] {
        fake.install(arguments, program);
    }
    (Fake { tasks: fake.clone(), fake }, ())
}

async fn served_tasks() -> (Fake<tasks::Client>, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let (Fake { fake, .. }, ()) = fake_tasks().await;
    let serving = routes(&run.path().join("tasks.sock"), fake.routes());
    let tasks = tasks::Client::new(&Peers::new(run.path()));
    (Fake { tasks, fake }, (serving, run))
}

mod tasks_in_memory {
    gantry_contract::tasks!(super::fake_tasks);
}

mod tasks_through_a_socket {
    gantry_contract::tasks!(super::served_tasks);
}

async fn fake_records() -> (Tasks, ()) {
    (Tasks::default(), ())
}

async fn served_records() -> (records::Client, (Serving, tempfile::TempDir)) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = routes(&run.path().join("tasks.sock"), Tasks::default().routes());
    (records::Client::new(&Peers::new(run.path())), (serving, run))
}

mod records_in_memory {
    gantry_contract::records!(super::fake_records);
}

mod records_through_a_socket {
    gantry_contract::records!(super::served_records);
}

async fn fake_images() -> (suite::World<Images>, ()) {
    let images = Images::new(&Content::default());
    let registry = "registry.test".to_owned();
    images.add_registry(&registry);
    for bundle in gantry_contract::images::bundles() {
        let name = format!("{registry}/team/app:{}", bundle.tag);
        images.offer(&name, &bundle.manifest, bundle.blobs.iter().chain([&bundle.document]));
    }
    images.add_root("root");
    (suite::World { images, registry, root: "root".to_owned() }, ())
}

async fn served_images() -> (suite::World<images::Client>, (Serving, tempfile::TempDir)) {
    let (world, ()) = fake_images().await;
    let run = tempfile::tempdir().expect("a directory");
    let serving = routes(&run.path().join("images.sock"), world.images.routes());
    let suite::World { registry, root, .. } = world;
    (suite::World { images: images::Client::new(&Peers::new(run.path())), registry, root }, (serving, run))
}

mod images_in_memory {
    gantry_contract::images!(super::fake_images);
}

mod images_through_a_socket {
    gantry_contract::images!(super::served_images);
}

/// A fake engine with the suites' programs.
fn engine() -> Engine {
    let engine = Engine::default();
    let failure = |cause| StartFailure { cause, errno: 0, stage: Stage::Execute };
    engine.install("missing", Program::Fails(failure(Cause::NotFound)));
    engine.install("forbidden", Program::Fails(failure(Cause::NotPermitted)));
    engine.install("false", Program::Ends(1));
    engine
}

type Kept = (Serving, tempfile::TempDir);

fn served_engine() -> (Peers, Kept) {
    let run = tempfile::tempdir().expect("a directory");
    let serving = engine().serve(run.path());
    (Peers::new(run.path()), (serving, run))
}

async fn fake_containers() -> (Engine, ()) {
    (engine(), ())
}

async fn served_containers() -> (containers::Client, Kept) {
    let (peers, kept) = served_engine();
    (containers::Client::new(&peers), kept)
}

mod containers_in_memory {
    gantry_contract::containers!(super::fake_containers);
}

mod containers_through_a_socket {
    gantry_contract::containers!(super::served_containers);
}

mod files_through_a_socket {
    gantry_contract::files!(super::served_containers);
}

async fn fake_execs() -> (gantry_contract::execs::World<Engine, Engine>, ()) {
    let engine = engine();
    (gantry_contract::execs::World { containers: engine.clone(), execs: engine }, ())
}

async fn served_execs() -> (gantry_contract::execs::World<containers::Client, execs::Client>, Kept) {
    let (peers, kept) = served_engine();
    let (containers, execs) = (containers::Client::new(&peers), execs::Client::new(&peers));
    (gantry_contract::execs::World { containers, execs }, kept)
}

mod execs_in_memory {
    gantry_contract::execs!(super::fake_execs);
}

mod execs_through_a_socket {
    gantry_contract::execs!(super::served_execs);
}

async fn fake_system() -> (gantry_contract::system::World<Engine, Engine>, ()) {
    let engine = engine();
    (gantry_contract::system::World { containers: engine.clone(), system: engine }, ())
}

async fn served_system() -> (gantry_contract::system::World<containers::Client, system::Client>, Kept) {
    let (peers, kept) = served_engine();
    let (containers, system) = (containers::Client::new(&peers), system::Client::new(&peers));
    (gantry_contract::system::World { containers, system }, kept)
}

mod system_in_memory {
    gantry_contract::system!(super::fake_system);
}

mod system_through_a_socket {
    gantry_contract::system!(super::served_system);
}
