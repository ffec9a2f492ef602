//! containerd's Events service, over an implementation of the promise.

use std::pin::Pin;

use futures::Stream;
use futures::stream::unfold;
use gantry_proto::containerd::services::events::v1 as pb;
use gantry_proto::containerd::services::events::v1::events_server::{Events, EventsServer};
use gantry_proto::containerd::types::Envelope;
use gantry_rpc::{context, status};
use tonic::{Request, Response, Status};

use super::{Service, Subscription as _, convert};
use crate::peers::MESSAGE_LIMIT;
use crate::time;
use crate::wire::{self, Invalid};

/// The service over an implementation.
pub fn service<S: Service + 'static>(service: S) -> EventsServer<Server<S>> {
    EventsServer::new(Server(service)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

impl<S: Service> Server<S> {
    async fn tell(&self, envelope: Envelope) -> Result<Response<()>, Status> {
        let event = convert::parse(envelope).map_err(status)?;
        self.0.publish(event).await.map(Response::new).map_err(status)
    }
}

#[tonic::async_trait]
impl<S: Service + 'static> Events for Server<S> {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<Envelope, Status>> + Send>>;

    async fn publish(&self, request: Request<pb::PublishRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?.to_string();
        let pb::PublishRequest { topic, event } = request.into_inner();
        self.tell(Envelope { timestamp: Some(time::now()), namespace, topic, event }).await
    }

    async fn forward(&self, request: Request<pb::ForwardRequest>) -> Result<Response<()>, Status> {
        let envelope = request.into_inner().envelope.ok_or(Invalid::Missing { field: "envelope" });
        self.tell(envelope.map_err(status)?).await
    }

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let filters = wire::filters(&request.get_ref().filters).map_err(status)?;
        let subscription = self.0.subscribe(&filters).await.map_err(status)?;
        let events = unfold(subscription, |mut subscription| async {
            let next = subscription.next().await?;
            Some((next.map(convert::envelope).map_err(status), subscription))
        });
        Ok(Response::new(Box::pin(events)))
    }
}
