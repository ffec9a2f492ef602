//! What this process answers, and whom it tells of changes.

mod events;
mod gc;
mod leases;
mod plugins;

pub use events::Events;
pub use leases::Leases;

use gantry_api::Peers;
use gantry_proto::containerd::services::introspection::v1::introspection_server::IntrospectionServer;
use gantry_proto::gantry::gc::v1::collector_server::CollectorServer;
use gantry_proto::gantry::gc::v1::fsck_server::FsckServer;
use tonic::service::Routes;

use crate::diff::Differ;
use crate::layer::slots::Slots;
use crate::promise::Snapshots;
use crate::settings::Settings;
use crate::store::Store;
use crate::unpack::Unpacker;

/// The longest message, each way: containerd's.
const MESSAGE_LIMIT: usize = 16 << 20;

/// All services of this process.
pub fn routes(store: Store, settings: &Settings, peers: &Peers, events: &Events) -> Routes {
    let leases = Leases::new(peers.clone());
    let slots = Slots::default();
    let unpacker = Unpacker::new(store.clone(), peers.clone(), leases.clone(), events.clone(), slots.clone());
    let differ = Differ::new(peers.clone(), slots).after(&settings.differs);
    let snapshots = Snapshots::new(store.clone(), leases, events.clone());
    Routes::new(gantry_api::snapshots::server::service(snapshots))
        .add_service(gantry_api::diff::server::service(differ))
        .add_service(IntrospectionServer::new(plugins::Plugins::new(&store, settings)))
        .add_service(gantry_api::snapshots::server::unpacker(unpacker))
        .add_service(
            CollectorServer::new(gc::Gc::new(store.clone())).max_decoding_message_size(MESSAGE_LIMIT),
        )
        .add_service(gantry_records::server(store.database().clone()))
        .add_service(FsckServer::new(gc::Gc::new(store)))
}
