//! The fakes keep what they promise, by themselves and through sockets.

use gantry_api::{Peers, content, leases, network};
use gantry_fakes::{Content, Leases, Network, Serving, routes};

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
