//! The wiring of the service, top to bottom.

use gantry_api::{Peers, gc, tasks as api};
use gantry_daemon::{BoxError, Context};
use gantry_disk::{Database, Schema};
use gantry_proto::containerd::services::introspection::v1::introspection_server::IntrospectionServer;
use gantry_proto::containerd::services::sandbox::v1::controller_server::ControllerServer;
use gantry_proto::containerd::services::sandbox::v1::store_server::StoreServer;
use gantry_proto::gantry::gc::v1::fsck_server::FsckServer;
use gantry_rpc::carry;
use tonic::service::Routes;

use crate::collect::Roots;
use crate::containers::{self, Containers};
use crate::sandboxes::controller::Controller;
use crate::sandboxes::{self, Sandboxes};
use crate::shim::binary::SearchPath;
use crate::shim::ttrpc;
use crate::tasks::{Handle, Places, Tasks};
use crate::{events, monitor, recover, server};

/// The longest gRPC message, the same as containerd's.
const MESSAGE_LIMIT: usize = 16 << 20;

/// Opens the records, takes over running shims, and serves until shutdown.
pub async fn run(context: Context, search: SearchPath) -> Result<(), BoxError> {
    let state = context.state().join("db");
    let folders = ["bundles", "sandboxes"].map(|name| context.run().join(name));
    let opening = move || {
        let schema = Schema { tables: &[containers::TABLE, sandboxes::TABLE], migrations: &[] };
        Database::open_beside(state, schema, &folders)
    };
    let database = carry::blocking(opening).await.ok_or(crate::error::Error::ShuttingDown)??;
    let records = Containers::new(database.clone());
    let sandboxes = Sandboxes::new(database.clone());
    let peers = Peers::new(context.run());
    let stop = context.shutdown().clone();
    let (publisher, courier) = events::queue(peers.channel("control"));
    context.spawn("events", courier.run(stop.clone()));

    let places = Places {
        bundles: context.run().join("bundles"),
        sandboxes: context.run().join("sandboxes"),
        front: context.run().join("containerd.sock"),
        search,
    };
    let controller = Controller::new(places.clone(), sandboxes.clone(), publisher.clone(), stop.clone());
    let tasks = Tasks::new(places, records.clone(), publisher.clone(), stop);
    let events = gantry_rpc::socket::bind(&context.run().join("containerd.sock.ttrpc"), 0o600)?;
    context.spawn("shims' events", ttrpc::events::serve(events, tasks.clone()));
    // Runs beside recovery, which starts no container. A task's creation waits for the profile in
    // `apparmor::require`.
    context.spawn("AppArmor", crate::apparmor::load());
    recover::recover(&tasks).await?;
    controller.recover().await?;
    context.spawn("restart", monitor::run(tasks.clone(), peers.clone()));

    let kept = containers::Records::new(records.clone(), publisher, &peers);
    let routes = Routes::new(api::records::server::service(kept))
        .add_service(api::server::service(Handle::new(tasks.clone())))
        .add_service(
            StoreServer::new(server::sandbox_store::Server::new(sandboxes.clone()))
                .max_decoding_message_size(MESSAGE_LIMIT),
        )
        .add_service(
            ControllerServer::new(server::sandbox_controller::Server::new(controller))
                .max_decoding_message_size(MESSAGE_LIMIT),
        )
        .add_service(IntrospectionServer::new(server::runtimes::Server::new(tasks.clone())))
        .add_service(gc::server::collector(Roots::new(records, sandboxes)))
        .add_service(gantry_records::server(database))
        .add_service(FsckServer::new(server::fsck::Server::new(tasks.clone())));
    context.serve(routes).await?;
    tasks.finish().await;
    Ok(())
}
