//! gRPC in, engine out: each method parses, calls and converts.
//!
//! A call whose caller goes away is dropped where it stands. What changes something is therefore made to run to its end
//! by [`whole`]: half a removal, or half a rename, would stay until the engine is started again.

mod containers;
mod execs;
mod fsck;
mod system;
mod volumes;

use std::pin::Pin;

use gantry_api::engine::Filter;
use gantry_proto::gantry::engine::v1 as pb;
use gantry_proto::gantry::gc::v1::fsck_server::FsckServer;
use gantry_rpc::status;
use pb::containers_server::ContainersServer;
use pb::execs_server::ExecsServer;
use pb::system_server::SystemServer;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::service::Routes;
use tracing::Instrument;

use crate::engine::Engine;
use crate::error::{Error, Result};

/// The longest message: a container's configuration with large labels.
const MESSAGE_LIMIT: usize = 16 << 20;

/// What streaming methods answer with.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The engine's four services, and its part of fsck.
pub fn routes(engine: &Engine) -> Routes {
    let server = Server { engine: engine.clone() };
    Routes::new(limited(ContainersServer::new(server.clone())))
        .add_service(ExecsServer::new(server.clone()).max_decoding_message_size(MESSAGE_LIMIT))
        .add_service(gantry_api::engine::volumes::server::service(engine.clone()))
        .add_service(FsckServer::new(server.clone()))
        .add_service(gantry_records::server(engine.store.database().clone()))
        .add_service(SystemServer::new(server).max_decoding_message_size(MESSAGE_LIMIT))
}

fn limited(server: ContainersServer<Server>) -> ContainersServer<Server> {
    server.max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT)
}

/// Runs a change to its end, also when its caller goes away.
async fn whole<T: Send + 'static>(
    change: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(change.in_current_span()).await {
        Ok(done) => done.map_err(status),
        Err(error) => Err(status(Error::Broken(format!("the operation ended early: {error}")))),
    }
}

#[derive(Clone)]
struct Server {
    engine: Engine,
}

/// The filters of a request.
fn filters(asked: Vec<pb::Filter>) -> Vec<Filter> {
    asked.into_iter().map(Into::into).collect()
}

/// A stream that ends when its sender does.
fn stream<T: Send + 'static>(receiver: mpsc::Receiver<Result<T, Status>>) -> Answers<T> {
    Box::pin(ReceiverStream::new(receiver))
}
