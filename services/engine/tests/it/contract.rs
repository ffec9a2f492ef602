//! Runs the contract suites on the engine, through its sockets.

use gantry_api::engine::containers::{self, Manage as _, lacks_image};
use gantry_api::engine::volumes::Client;
use gantry_api::engine::{ContainerConfig, CreateSpec, execs, system};
use gantry_contract as suites;

use crate::Stage;

async fn served() -> (Client, Stage) {
    let stage = Stage::new().await;
    (Client::new(&stage.peers), stage)
}

mod volumes_through_the_socket {
    gantry_contract::volumes!(super::served);
}

async fn served_containers() -> (containers::Client, Stage) {
    let stage = Stage::new().await;
    stage.install();
    (containers::Client::new(&stage.peers), stage)
}

mod files_through_the_socket {
    gantry_contract::files!(super::served_containers);
}

async fn served_execs() -> (suites::execs::World<containers::Client, execs::Client>, Stage) {
    let (containers, stage) = served_containers().await;
    (suites::execs::World { containers, execs: execs::Client::new(&stage.peers) }, stage)
}

mod execs_through_the_socket {
    gantry_contract::execs!(super::served_execs);
}

async fn served_system() -> (suites::system::World<containers::Client, system::Client>, Stage) {
    let (containers, stage) = served_containers().await;
    (suites::system::World { containers, system: system::Client::new(&stage.peers) }, stage)
}

mod system_through_the_socket {
    gantry_contract::system!(super::served_system);
}

mod containers_through_the_socket {
    gantry_contract::containers!(super::served_containers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_image_is_known_for_one() {
    let (client, _stage) = served_containers().await;
    let of = |image: &str| {
        let config = ContainerConfig { image: image.to_owned(), ..Default::default() };
        CreateSpec { config, ..CreateSpec::default() }
    };
    let missing = client.create_container(of("missing")).await.expect_err("no such image");
    assert!(lacks_image(&missing), "{missing}");
    let odd = client.create_container(of("")).await.expect_err("no image");
    assert!(!lacks_image(&odd), "{odd}");
}
