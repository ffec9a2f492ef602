//! Content keeps its promise: the store by itself, and through the service's sockets.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use std::time::Duration;

use gantry_api::content::{Client, Inspect};
use gantry_api::{Peers, content, gc};
use gantry_content::Store;
use gantry_contract::gc::Blobs;
use gantry_daemon::{Context, Roots, Service as _};
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
    let root = directory();
    let roots = Roots { state: root.path().join("state"), run: root.path().join("run") };
    for path in [&roots.state_of("content"), &roots.run] {
        std::fs::create_dir_all(path).expect("made");
    }
    let context = Context::for_test("content", roots.clone());
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
