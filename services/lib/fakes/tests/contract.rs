//! The fakes keep what they promise, by themselves and through sockets.

use gantry_api::engine::volumes;
use gantry_api::snapshots::{Mount, Service as _};
use gantry_api::{Peers, content, diff, events, gc, leases, network, snapshots};
use gantry_contract::diff::World;
use gantry_contract::gc::{Blobs, Collected};
use gantry_contract::unpack;
use gantry_fakes::{
    Collector, Content, Diff, Events, Leases, Network, Serving, Snapshots, Snapshotter, Unpacker, Volumes,
    routes,
};

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
