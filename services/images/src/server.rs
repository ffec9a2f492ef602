//! What only containerd's clients ask for: transfers, and the streams that they use.

mod streaming;
mod transfer;

use gantry_proto::containerd::services::streaming::v1::streaming_server::StreamingServer;
use gantry_proto::containerd::services::transfer::v1::transfer_server::TransferServer;
use tonic::service::Routes;

use crate::streams::Streams;
use crate::transfer::Transfers;
use streaming::Streaming;
use transfer::Transfer;

/// Messages up to containerd's limit are taken.
const MESSAGE_LIMIT: usize = 16 << 20;

/// Serves both beside what `routes` has.
pub fn beside(routes: Routes, transfers: Transfers, streams: Streams) -> Routes {
    let transfers = TransferServer::new(Transfer::new(transfers));
    let streams = StreamingServer::new(Streaming::new(streams));
    routes
        .add_service(transfers.max_decoding_message_size(MESSAGE_LIMIT))
        .add_service(streams.max_decoding_message_size(MESSAGE_LIMIT))
}
