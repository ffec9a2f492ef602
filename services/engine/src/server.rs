//! The engine implements the interfaces of `gantry_api`, which serves them over gRPC.

mod containers;
mod data;
mod execs;
mod fsck;
mod system;
mod volumes;

use gantry_api::engine as api;
use gantry_api::{Promise, fsck as fsck_api};
use tonic::service::Routes;

use crate::engine::Engine;
use crate::error::Error;

/// The engine's four services, and its part of fsck.
pub fn routes(engine: &Engine) -> Routes {
    Routes::new(api::containers::server::service(engine.clone()))
        .add_service(api::execs::server::service(engine.clone()))
        .add_service(api::volumes::server::service(engine.clone()))
        .add_service(api::system::server::service(engine.clone()))
        .add_service(fsck_api::service(engine.clone()))
        .add_service(gantry_records::server(engine.containers.store.database().clone()))
}

impl Promise for Engine {
    type Error = Error;
}
