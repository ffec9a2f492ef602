//! gRPC in, the store out: parse, call, convert.

mod convert;
mod diff;
mod events;
mod gc;
mod leases;
mod snapshots;
mod unpacker;

pub use events::Events;
pub use leases::Leases;

use gantry_proto::containerd::services::diff::v1::diff_server::DiffServer;
use gantry_proto::containerd::services::snapshots::v1::snapshots_server::SnapshotsServer;
use gantry_proto::gantry::gc::v1::collector_server::CollectorServer;
use gantry_proto::gantry::gc::v1::fsck_server::FsckServer;
use gantry_proto::gantry::snapshots::v1::unpacker_server::UnpackerServer;
use tonic::Status;
use tonic::service::Routes;

use crate::layer::slots::Slots;
use crate::store::Store;
use crate::unpack::Unpacker;
use gantry_api::Peers;
use tracing::Instrument;

/// The longest message, each way: containerd's.
const MESSAGE_LIMIT: usize = 16 << 20;

/// All services of this process.
pub fn routes(store: Store, peers: &Peers, events: &Events) -> Routes {
    let leases = Leases::new(peers.clone());
    let slots = Slots::default();
    let unpacker = Unpacker::new(store.clone(), peers.clone(), leases.clone(), events.clone(), slots.clone());
    Routes::new(
        SnapshotsServer::new(snapshots::Snapshots::new(store.clone(), leases, events.clone()))
            .max_decoding_message_size(MESSAGE_LIMIT),
    )
    .add_service(
        DiffServer::new(diff::Diff::new(peers.clone(), slots)).max_decoding_message_size(MESSAGE_LIMIT),
    )
    .add_service(
        UnpackerServer::new(unpacker::Server::new(unpacker)).max_decoding_message_size(MESSAGE_LIMIT),
    )
    .add_service(CollectorServer::new(gc::Gc::new(store.clone())).max_decoding_message_size(MESSAGE_LIMIT))
    .add_service(gantry_records::server(store.database().clone()))
    .add_service(FsckServer::new(gc::Gc::new(store)))
}

/// Runs a change to its end even if the caller goes away: half of one must not be all that happens.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Status::unavailable("service snapshots is ending")),
    }
}
