//! Container records are roots of garbage collection: in the store itself, and through the socket.

use gantry_api::Peers;
use gantry_api::gc::{Collector, Resource, client, server};
use gantry_contract::gc::Stock;
use gantry_disk::Database;
use gantry_fakes::Serving;
use gantry_proto::containerd::services::containers::v1::{Container, container};
use gantry_tasks::collect::Roots;
use gantry_tasks::containers::{self, Containers};
use gantry_tasks::sandboxes::{self, Sandboxes};
use gantry_types::{Labels, Namespace};
use tempfile::TempDir;
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
        let container = Container {
            id: name.to_owned(),
            labels: labels.into(),
            runtime: Some(container::Runtime { name: "io.containerd.gantry.v2".to_owned(), options: None }),
            spec: Some(prost_types::Any::default()),
            ..Container::default()
        };
        let container = self.containers.create(namespace, container).await.expect("made");
        Resource::new("containers", container.id)
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

mod on_the_store {
    gantry_contract::gc_roots!(super::store);
}

mod through_the_socket {
    gantry_contract::gc_roots!(super::served);
}
