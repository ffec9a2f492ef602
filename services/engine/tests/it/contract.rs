//! The engine keeps its promise of volumes, through its socket.

use gantry_api::engine::volumes::Client;

use crate::Stage;

async fn served() -> (Client, Stage) {
    let stage = Stage::new().await;
    (Client::new(&stage.peers), stage)
}

mod volumes_through_the_socket {
    gantry_contract::volumes!(super::served);
}
