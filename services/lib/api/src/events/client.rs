//! The client of events on control's socket.

use gantry_proto::containerd::services::events::v1 as pb;
use gantry_proto::containerd::types::Envelope;
use gantry_types::filter::FilterSet;
use tonic::Streaming;

use super::{Event, Publish, Subscribe, convert};
use crate::call::Caller;
use crate::{Failure, wire};

client!(
    /// A client of events. Cheap to clone.
    "control"
);

impl Publish for Client {
    async fn publish(&self, event: Event) -> Result<(), Failure> {
        let request = pb::ForwardRequest { envelope: Some(convert::envelope(event)) };
        self.caller.ask("publish an event", self.peers.events().forward(request)).await
    }
}

impl Subscribe for Client {
    type Subscription = Subscription;

    async fn subscribe(&self, filters: &FilterSet) -> Result<Subscription, Failure> {
        let request = pb::SubscribeRequest { filters: wire::filter_texts(filters) };
        let stream = self.caller.ask(CALL, self.peers.events().subscribe(request)).await?;
        Ok(Subscription { stream: Some(stream), caller: self.caller })
    }
}

const CALL: &str = "tell of events";

/// A subscription through the socket.
#[derive(Debug)]
pub struct Subscription {
    /// `None` after the end.
    stream: Option<Streaming<Envelope>>,
    caller: Caller,
}

impl super::Subscription for Subscription {
    type Error = Failure;

    async fn next(&mut self) -> Option<Result<Event, Failure>> {
        let next = self.caller.hear(CALL, self.stream.as_mut()?.message()).await;
        match next {
            Ok(Some(envelope)) => Some(convert::parse(envelope).map_err(self.caller.garbled(CALL))),
            ended => {
                self.stream = None;
                ended.err().map(Err)
            }
        }
    }
}
