//! `gantry.snapshots.v1.Unpacker`, over an implementation of the promise.

use std::pin::Pin;

use futures::stream::{self, Stream};
use gantry_proto::gantry::snapshots::v1 as pb;
use gantry_proto::gantry::snapshots::v1::unpacker_server::{Unpacker, UnpackerServer};
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use super::super::{Owner, Unpack, Unpacking, convert};
use crate::peers::MESSAGE_LIMIT;

/// The service over an implementation.
pub fn unpacker<U: Unpack + 'static>(unpacker: U) -> UnpackerServer<Server<U>> {
    UnpackerServer::new(Server(unpacker)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts. Ends when the caller cancels.
#[derive(Debug, Clone)]
pub struct Server<U>(U);

#[tonic::async_trait]
impl<U: Unpack + 'static> Unpacker for Server<U> {
    type UnpackStream = Pin<Box<dyn Stream<Item = Result<pb::UnpackProgress, Status>> + Send>>;

    async fn unpack(
        &self,
        request: Request<pb::UnpackRequest>,
    ) -> Result<Response<Self::UnpackStream>, Status> {
        let owner = Owner::of_request(&request)?;
        let request = request.into_inner();
        let snapshotter = Some(request.snapshotter.as_str()).filter(|name| !name.is_empty());
        let layers = request.layers.into_iter().map(convert::parse_layer).collect::<Result<_, _>>();
        let layers = layers.map_err(status)?;
        let unpacking = self.0.unpack(&owner, snapshotter, layers).await.map_err(status)?;
        let news = stream::try_unfold(unpacking, |mut unpacking| async move {
            let news = unpacking.next().await.map_err(status)?;
            Ok(news.map(|news| (convert::progress(news), unpacking)))
        });
        Ok(Response::new(Box::pin(news)))
    }
}
