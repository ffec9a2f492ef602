//! `containerd.services.events.v1.Events`.

use gantry_proto::containerd::services::events::v1 as pb;
use gantry_proto::containerd::services::events::v1::events_server::Events as Api;
use gantry_proto::containerd::types::Envelope;
use gantry_rpc::{context, status};
use tonic::{Request, Response, Status};

use super::Announcer;
use crate::events::{self, Bus, Subscription};
use crate::gc::store::Store;

/// The server.
pub struct Server<S> {
    bus: Bus,
    announcer: Announcer<S>,
}

impl<S: Store> Server<S> {
    /// Serves this bus.
    pub fn new(bus: Bus, announcer: Announcer<S>) -> Server<S> {
        Server { bus, announcer }
    }
}

#[tonic::async_trait]
impl<S: Store> Api for Server<S> {
    type SubscribeStream = Subscription;

    async fn publish(&self, request: Request<pb::PublishRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?.to_string();
        let pb::PublishRequest { topic, event } = request.into_inner();
        let envelope = Envelope { timestamp: Some(gantry_api::time::now()), namespace, topic, event };
        events::validate(&envelope).map_err(status)?;
        self.announcer.announce(&envelope);
        Ok(Response::new(()))
    }

    async fn forward(&self, request: Request<pb::ForwardRequest>) -> Result<Response<()>, Status> {
        let envelope =
            request.into_inner().envelope.ok_or_else(|| Status::invalid_argument("envelope is required"))?;
        events::validate(&envelope).map_err(status)?;
        self.announcer.announce(&envelope);
        Ok(Response::new(()))
    }

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<Subscription>, Status> {
        self.bus.subscribe(&request.get_ref().filters).map(Response::new).map_err(status)
    }
}
