//! `gantry.engine.v1.System`, served by any implementation of the interface to the engine as a whole.

use std::pin::Pin;

use futures::stream::{self, Stream};
use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::status;
use pb::system_server::{System, SystemServer};
use tonic::{Request, Response, Status};

use super::{Events as _, Service};
use crate::peers::MESSAGE_LIMIT;

/// The service over an implementation.
pub fn service<S: Service + 'static>(service: S) -> SystemServer<Server<S>> {
    SystemServer::new(Server(service)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// Parses requests, calls the implementation, converts answers.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

#[tonic::async_trait]
impl<S: Service + 'static> System for Server<S> {
    type EventsStream = Pin<Box<dyn Stream<Item = Result<pb::Event, Status>> + Send>>;

    async fn events(
        &self,
        request: Request<pb::EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let events = self.0.events(request.into_inner().into()).await.map_err(status)?;
        let events = stream::unfold(events, |mut events| async {
            let next = events.next().await.transpose()?;
            Some((next.map(Into::into).map_err(status), events))
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn publish(&self, request: Request<pb::Event>) -> Result<Response<pb::PublishResponse>, Status> {
        self.0.publish(request.into_inner().into()).await.map_err(status)?;
        Ok(Response::new(pb::PublishResponse {}))
    }

    async fn info(&self, _: Request<pb::InfoRequest>) -> Result<Response<pb::InfoResponse>, Status> {
        Ok(Response::new(self.0.info().await.map_err(status)?.into()))
    }
}
