//! gRPC in, store out.

mod collector;
mod content;
pub(crate) mod convert;
mod fsck;
mod read;
mod write;

use gantry_proto::containerd::services::content::v1::content_server::ContentServer;
use gantry_proto::gantry::gc::v1::collector_server::CollectorServer;
use gantry_proto::gantry::gc::v1::fsck_server::FsckServer;
use gantry_types::Namespace;
use tonic::Status;
use tonic::service::Routes;
use tracing::Instrument;

use crate::store::Store;
use crate::{Error, Result};

/// The longest message, as containerd has it.
const MESSAGE_LIMIT: usize = 16 << 20;

/// Everything that the service answers on its gRPC socket.
pub(crate) fn routes(store: Store) -> Routes {
    let content = ContentServer::new(content::Server(store.clone()))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT);
    let collector =
        CollectorServer::new(collector::Server(store.clone())).max_decoding_message_size(MESSAGE_LIMIT);
    Routes::new(content)
        .add_service(collector)
        .add_service(gantry_records::server(store.database().clone()))
        .add_service(FsckServer::new(fsck::Server(store)))
}

/// Carries a change through to its end even if its caller goes away in the middle.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(outcome) => outcome.map_err(gantry_rpc::status),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Status::unavailable("the content service is ending")),
    }
}

/// A namespace from a message's field.
fn namespace(field: &str) -> Result<Namespace, Status> {
    field.parse().map_err(|error| gantry_rpc::status(Error::Argument(error)))
}
