//! Container records keep their promise, and are roots of garbage collection: in the store itself, and through the socket.

#![allow(clippy::disallowed_methods, reason = "the work of a test ends with it")]

use gantry_api::gc::{Collect, Collector, Hold, Resource, Swept, client, server};
use gantry_api::tasks::records::{self, Container, Inspect as _, Manage as _, Part, Update};
use gantry_api::{Peers, Promise};
use gantry_contract::gc::Stock;
use gantry_disk::Database;
use gantry_fakes::{Events, Serving};
use gantry_rpc::{Code, Coded as _};
use gantry_tasks::collect::Roots;
use gantry_tasks::containers::{self, Containers};
use gantry_tasks::error::Error;
use gantry_tasks::events;
use gantry_tasks::sandboxes::{self, Sandboxes};
use gantry_types::{Labels, Namespace};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Records of containers, as a collector sees them.
struct Records<C> {
    containers: Containers,
    collector: C,
}

impl<C: Collector> Stock for Records<C> {
    type Collector = C;

    fn collector(&self) -> &C {
        &self.collector
    }

    async fn garbage(&self, _: &Namespace, _: &str, _: Labels) -> Resource {
        unreachable!("a container is a root")
    }

    async fn root(&self, namespace: &Namespace, name: &str, labels: Labels) -> Resource {
        let container = Container { labels, ..plain(name) };
        self.containers.create(namespace, container).await.expect("made");
        Resource::new("containers", name)
    }
}

async fn store() -> (Records<Roots>, TempDir) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let tables = &[containers::TABLE, sandboxes::TABLE];
    let database = Database::open(folder.path().join("db"), tables).expect("a database");
    let containers = Containers::new(database.clone());
    let collector = Roots::new(containers.clone(), Sandboxes::new(database));
    (Records { containers, collector }, folder)
}

async fn served() -> (Records<client::Collector>, (Serving, TempDir)) {
    let (Records { containers, collector }, folder) = store().await;
    let routes = Routes::new(server::collector(collector));
    let serving = gantry_fakes::routes(&folder.path().join("tasks.sock"), routes);
    let collector = client::Collector::new(&Peers::new(folder.path()), &gantry_descriptor::TASKS);
    (Records { containers, collector }, (serving, folder))
}

/// A control that holds what it is asked to, except snapshots with certain keys.
#[derive(Clone)]
struct Control {
    containers: Containers,
}

impl Promise for Control {
    type Error = Error;
}

impl Collect for Control {
    async fn collect(&self, _: Option<&Namespace>) -> Result<Swept, Error> {
        Err(Error::Unsupported("a collection"))
    }
}

impl Hold for Control {
    async fn hold(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<(), Error> {
        match resources[0].key.as_str() {
            "missing" => Err(Error::ContainerNotFound("the snapshot".to_owned())),
            "refused" => Err(Error::Unsupported("a hold")),
            // Meanwhile another client replaces the record that the hold is for.
            "replaced" => {
                let id = "c".parse().expect("an id");
                self.containers.delete(namespace, &id).await.expect("it is there");
                self.containers.create(namespace, plain("c")).await.expect("it is free");
                Err(Error::Unsupported("a hold"))
            }
            _ => Ok(()),
        }
    }
}

fn plain(id: &str) -> Container {
    let id = id.parse().expect("an id");
    Container::new(&id, "io.containerd.gantry.v2", prost_types::Any::default())
}

fn with_snapshot(key: &str) -> Container {
    Container { snapshotter: "overlayfs".to_owned(), snapshot_key: key.to_owned(), ..plain("c") }
}

/// Records as the service keeps them, with a control of [`Control`]'s kind.
async fn kept() -> (containers::Records, (Serving, TempDir)) {
    let (Records { containers, .. }, folder) = store().await;
    let control = Control { containers: containers.clone() };
    let routes = Events::default().routes().add_service(server::service(control));
    let serving = gantry_fakes::routes(&folder.path().join("control.sock"), routes);
    let peers = Peers::new(folder.path());
    let (publisher, courier) = events::queue(peers.channel("control"));
    tokio::spawn(courier.run(CancellationToken::new()));
    (containers::Records::new(containers, publisher, &peers), (serving, folder))
}

async fn served_kept() -> (records::Client, (Serving, (Serving, TempDir))) {
    let (kept, (control, folder)) = kept().await;
    let routes = Routes::new(records::server::service(kept));
    let serving = gantry_fakes::routes(&folder.path().join("tasks.sock"), routes);
    (records::Client::new(&Peers::new(folder.path())), (serving, (control, folder)))
}

#[tokio::test]
async fn a_record_may_come_before_its_snapshot_but_not_without_a_hold() {
    let (kept, _world) = kept().await;
    let (moby, id) = (Namespace::moby(), "c".parse().expect("an id"));
    kept.create_record(&moby, with_snapshot("refused")).await.expect_err("not held");
    assert_eq!(kept.record(&moby, &id).await.expect_err("undone").code(), Code::NotFound);
    let made = kept.create_record(&moby, with_snapshot("missing")).await.expect("as with containerd");
    let key = |key: &str| Update::Part(Part { snapshot_key: Some(key.to_owned()), ..Part::default() });
    kept.update_record(&moby, &id, key("refused")).await.expect_err("not held");
    assert_eq!(kept.record(&moby, &id).await.expect("it stays"), made);
    kept.update_record(&moby, &id, key("another")).await.expect("held");
}

#[tokio::test]
async fn an_undo_spares_the_record_that_came_after() {
    let (kept, _world) = kept().await;
    let (moby, id) = (Namespace::moby(), "c".parse().expect("an id"));
    kept.create_record(&moby, with_snapshot("replaced")).await.expect_err("not held");
    assert_eq!(kept.record(&moby, &id).await.expect("the other client's").container, plain("c"));
}

mod on_the_store {
    gantry_contract::gc_roots!(super::store);
    gantry_contract::records!(super::kept);
}

mod through_the_socket {
    gantry_contract::gc_roots!(super::served);
    gantry_contract::records!(super::served_kept);
}
