//! gRPC in, store out.

mod collector;
mod fsck;

use gantry_api::content;
use gantry_proto::gantry::gc::v1::collector_server::CollectorServer;
use gantry_proto::gantry::gc::v1::fsck_server::FsckServer;
use gantry_types::Namespace;
use tonic::Status;
use tonic::service::Routes;

use crate::Error;
use crate::store::Store;

/// The longest message, as containerd has it.
const MESSAGE_LIMIT: usize = 16 << 20;

/// Everything that the service answers on its gRPC socket.
pub(crate) fn routes(store: Store) -> Routes {
    let collector =
        CollectorServer::new(collector::Server(store.clone())).max_decoding_message_size(MESSAGE_LIMIT);
    Routes::new(content::server::service(store.clone()))
        .add_service(collector)
        .add_service(gantry_records::server(store.database().clone()))
        .add_service(FsckServer::new(fsck::Server(store)))
}

/// A namespace from a message's field.
fn namespace(field: &str) -> Result<Namespace, Status> {
    field.parse().map_err(|error| gantry_rpc::status(Error::Argument(error)))
}
