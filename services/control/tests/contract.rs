//! Control keeps the promises of leases and events: by itself, and through a socket.

use gantry_api::Peers;
use gantry_api::events;
use gantry_api::leases::{Client, server};
use gantry_control::events::Bus;
use gantry_control::gc::Collector;
use gantry_control::gc::schedule::Scheduler;
use gantry_control::gc::store::Remote;
use gantry_control::kept::Kept;
use gantry_control::leases::{LEASES, LOSSES, Leases, RESOURCES};
use gantry_control::server::Announcer;
use gantry_disk::Database;
use gantry_fakes::Serving;
use tempfile::TempDir;
use tonic::service::Routes;

/// Leases of a control that collects from no store.
async fn store() -> (Kept<Remote>, TempDir) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let database =
        Database::open(folder.path().join("db"), &[LEASES, RESOURCES, LOSSES]).expect("a database");
    let leases = Leases::new(database);
    let collector = Collector::new(Vec::new(), leases.clone());
    let scheduler = Scheduler::new(collector.clone());
    (Kept::new(leases, collector, scheduler), folder)
}

async fn served() -> (Client, (Serving, TempDir)) {
    let (store, folder) = store().await;
    let routes = Routes::new(server::service(store));
    let serving = gantry_fakes::routes(&folder.path().join("control.sock"), routes);
    let client = Client::new(&Peers::new(folder.path()));
    (client, (serving, folder))
}

mod leases_of_the_store {
    gantry_contract::leases!(super::store);
}

mod leases_through_the_socket {
    gantry_contract::leases!(super::served);
}

/// Events of a control that collects from no store.
async fn announcer() -> (Announcer<Remote>, TempDir) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a directory");
    let database =
        Database::open(folder.path().join("db"), &[LEASES, RESOURCES, LOSSES]).expect("a database");
    let collector = Collector::new(Vec::new(), Leases::new(database));
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
