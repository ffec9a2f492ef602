//! A client of the engine as a whole, over its socket.

use gantry_proto::gantry::engine::v1 as pb;
use tonic::Streaming;

use super::{Inspect, Publish, Subscribe};
use crate::Failure;
use crate::call::Caller;
use crate::engine::{Event, EventQuery, Info};

const EVENTS: &str = "tell what happens";

client!(
    /// A client of the engine as a whole. Cheap to clone.
    "engine"
);

impl Inspect for Client {
    async fn info(&self) -> Result<Info, Failure> {
        self.caller.ask("tell of itself", self.peers.system().info(pb::InfoRequest {})).await.map(Into::into)
    }
}

/// A stream of events; dropping it ends the subscription.
#[derive(Debug)]
pub struct Events {
    caller: Caller,
    stream: Streaming<pb::Event>,
}

impl Subscribe for Client {
    type Events = Events;

    async fn events(&self, query: EventQuery) -> Result<Events, Failure> {
        let request = pb::EventsRequest::from(query);
        let stream = self.caller.ask(EVENTS, self.peers.system().events(request)).await?;
        Ok(Events { caller: self.caller, stream })
    }
}

impl super::Events for Events {
    type Error = Failure;

    async fn next(&mut self) -> Result<Option<Event>, Failure> {
        Ok(self.caller.hear(EVENTS, self.stream.message()).await?.map(Into::into))
    }
}

impl Publish for Client {
    async fn publish(&self, event: Event) -> Result<(), Failure> {
        let event = pb::Event::from(event);
        self.caller.ask("record an event", self.peers.system().publish(event)).await.map(drop)
    }
}
