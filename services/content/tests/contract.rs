//! Content keeps its promise: the store by itself, and through the service's sockets; with its bytes in files of its own,
//! and at other stores.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::path::Path;
use std::time::Duration;

use gantry_api::content::{Client, Inspect};
use gantry_api::{Peers, content, gc};
use gantry_content::Store;
use gantry_contract::gc::Blobs;
use gantry_daemon::{Context, Roots, Service as _};
use gantry_fakes::{Content, Serving};
use gantry_rpc::{Code, Coded};
use gantry_types::Namespace;
use gantry_types::filter::FilterSet;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::DropGuard;

fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a directory")
}

async fn store() -> (Store, TempDir) {
    // See `gantry_disk::file::writers`.
    drop(signal(SignalKind::io()).expect("a handler"));
    let root = directory();
    let store = Store::alone(root.path(), &Peers::new(root.path())).expect("opened");
    (store, root)
}

async fn service() -> (Client, (DropGuard, TempDir)) {
    service_with("").await
}

async fn service_with(settings: &str) -> (Client, (DropGuard, TempDir)) {
    let root = directory();
    let roots = Roots { state: root.path().join("state"), run: root.path().join("run") };
    for path in [&roots.state_of("content"), &roots.run] {
        std::fs::create_dir_all(path).expect("made");
    }
    let context = Context::for_test("content", roots.clone()).with_settings(settings);
    let shutdown = context.shutdown().clone().drop_guard();
    tokio::spawn(async move { gantry_content::Service::run(context).await.expect("the service ends well") });
    let client = content::Client::new(&Peers::new(&roots.run));
    for _ in 0..1000 {
        match client.walk(&Namespace::moby(), &FilterSet::default()).await {
            Err(error) if error.code() == Code::Unavailable => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            outcome => {
                outcome.expect("the service answers");
                return (client, (shutdown, root));
            }
        }
    }
    panic!("the service did not come up");
}

/// Settings by which the content service in `run` keeps the bytes of blobs.
fn kept_in(run: &Path, cache: &str) -> String {
    let address = run.join("content.sock");
    format!(
        "store = \"far\"\ncache = \"{cache}\"\n[proxy_plugins.far]\ntype = \"content\"\naddress = {address:?}"
    )
}

/// A store without files of its own: all bytes are fetched whenever they are needed.
async fn kept_by_a_fake() -> (Store, (Serving, [TempDir; 2])) {
    drop(signal(SignalKind::io()).expect("a handler"));
    let (root, run) = (directory(), directory());
    let serving = Content::default().serve(run.path());
    let settings = toml::from_str(&kept_in(run.path(), "0B")).expect("settings");
    let store = Store::alone_with(root.path(), &Peers::new(root.path()), &settings).expect("opened");
    (store, (serving, [root, run]))
}

type Running = (DropGuard, TempDir);

async fn kept_by_a_service() -> (Client, [Running; 2]) {
    let (_, far) = service().await;
    let (client, near) = service_with(&kept_in(&far.1.path().join("run"), "100KiB")).await;
    (client, [near, far])
}

async fn collected_by_a_fake() -> (Blobs<Store, Store>, (Serving, [TempDir; 2])) {
    let (store, world) = kept_by_a_fake().await;
    (Blobs { store: store.clone(), collector: store }, world)
}

async fn collected_by_a_service() -> (Blobs<Client, gc::client::Collector>, [Running; 2]) {
    let (store, running) = kept_by_a_service().await;
    let peers = Peers::new(&running[0].1.path().join("run"));
    let collector = gc::client::Collector::new(&peers, &gantry_descriptor::CONTENT);
    (Blobs { store, collector }, running)
}

async fn collected_store() -> (Blobs<Store, Store>, TempDir) {
    let (store, root) = store().await;
    (Blobs { store: store.clone(), collector: store }, root)
}

async fn collected_service() -> (Blobs<Client, gc::client::Collector>, (DropGuard, TempDir)) {
    let (store, (shutdown, root)) = service().await;
    let peers = Peers::new(&root.path().join("run"));
    let collector = gc::client::Collector::new(&peers, &gantry_descriptor::CONTENT);
    (Blobs { store, collector }, (shutdown, root))
}

mod on_the_store {
    gantry_contract::content!(super::store);
    gantry_contract::gc!(super::collected_store);
    gantry_contract::content_files!(super::store);
}

mod through_the_socket {
    gantry_contract::content!(super::service);
    gantry_contract::gc!(super::collected_service);
    gantry_contract::content_files!(super::service);
}

mod kept_by_the_fake {
    gantry_contract::content!(super::kept_by_a_fake);
    gantry_contract::gc!(super::collected_by_a_fake);
    gantry_contract::content_files!(super::kept_by_a_fake);
}

mod kept_by_another_service {
    gantry_contract::content!(super::kept_by_a_service);
    gantry_contract::gc!(super::collected_by_a_service);
    gantry_contract::content_files!(super::kept_by_a_service);
}
