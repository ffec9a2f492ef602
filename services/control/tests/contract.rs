//! Control keeps the promises of leases, of collection and of events: by itself, and through a socket.

use gantry_api::{Peers, events, gc, leases};
use gantry_contract::gc::{Blobs, Collected};
use gantry_control::events::Bus;
use gantry_control::gc::Collector;
use gantry_control::gc::schedule::Scheduler;
use gantry_control::gc::service::Service;
use gantry_control::gc::store::Remote;
use gantry_control::leases::{LEASES, LOSSES, Leases, RESOURCES, Records};
use gantry_control::server::Announcer;
use gantry_disk::Database;
use gantry_fakes::{Content, Serving};
use tempfile::TempDir;
use tonic::service::Routes;

/// A control that collects from one store of blobs.
struct Control {
    service: Service<Remote>,
    leases: Leases<Remote>,
    content: Content,
    peers: Peers,
    behind: (Serving, TempDir),
}

fn control() -> Control {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let database =
        Database::open(folder.path().join("db"), &[LEASES, RESOURCES, LOSSES]).expect("a database");
    let content = Content::default();
    let serving = content.serve(folder.path());
    let peers = Peers::new(folder.path());
    let records = Records::new(database);
    let stores = vec![Remote::new(&peers, &gantry_descriptor::CONTENT)];
    let collector = Collector::new(stores, records.clone());
    let scheduler = Scheduler::new(collector.clone());
    let leases = Leases::new(records, collector.clone(), scheduler.clone());
    Control { service: Service::new(collector, scheduler), leases, content, peers, behind: (serving, folder) }
}

/// Serves control on a socket.
fn serve(control: &Control) -> Serving {
    let routes = Routes::new(leases::server::service(control.leases.clone()))
        .add_service(gc::server::service(control.service.clone()));
    gantry_fakes::routes(&control.behind.1.path().join("control.sock"), routes)
}

async fn store() -> (Leases<Remote>, (Serving, TempDir)) {
    let control = control();
    (control.leases, control.behind)
}

async fn served() -> (leases::Client, (Serving, (Serving, TempDir))) {
    let control = control();
    let serving = serve(&control);
    (leases::Client::new(&control.peers), (serving, control.behind))
}

type World<G, L> = Collected<G, L, Blobs<Content, Content>>;

fn blobs(content: &Content) -> Blobs<Content, Content> {
    Blobs { store: content.clone(), collector: content.clone() }
}

async fn collector() -> (World<Service<Remote>, Leases<Remote>>, (Serving, TempDir)) {
    let Control { service, leases, content, behind, .. } = control();
    (Collected { collector: service, leases, stock: blobs(&content) }, behind)
}

async fn served_collector() -> (World<gc::Client, leases::Client>, (Serving, (Serving, TempDir))) {
    let control = control();
    let serving = serve(&control);
    let (collector, leases) = (gc::Client::new(&control.peers), leases::Client::new(&control.peers));
    (Collected { collector, leases, stock: blobs(&control.content) }, (serving, control.behind))
}

mod leases_of_the_store {
    gantry_contract::leases!(super::store);
}

mod leases_through_the_socket {
    gantry_contract::leases!(super::served);
}

mod collections_of_the_store {
    gantry_contract::collections!(super::collector);
}

mod collections_through_the_socket {
    gantry_contract::collections!(super::served_collector);
}

/// Events of a control that collects from no store.
async fn announcer() -> (Announcer<Remote>, TempDir) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let database =
        Database::open(folder.path().join("db"), &[LEASES, RESOURCES, LOSSES]).expect("a database");
    let collector = Collector::new(Vec::new(), Records::new(database));
    (Announcer::new(Bus::default(), Scheduler::new(collector)), folder)
}

async fn served_announcer() -> (events::Client, (Serving, TempDir)) {
    let (announcer, folder) = announcer().await;
    let routes = Routes::new(events::server::service(announcer));
    let serving = gantry_fakes::routes(&folder.path().join("control.sock"), routes);
    (events::Client::new(&Peers::new(folder.path())), (serving, folder))
}

mod events_of_the_bus {
    gantry_contract::events!(super::announcer);
}

mod events_through_the_socket {
    gantry_contract::events!(super::served_announcer);
}
