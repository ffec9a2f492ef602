//! What the other services publish, as far as the engine listens to it.

use gantry_proto::containerd::events::TaskOom;
use gantry_proto::containerd::services::events::v1::SubscribeRequest;
use gantry_proto::containerd::services::images::v1::{ImageCreate, ImageDelete, ImageUpdate};
use gantry_proto::containerd::types::Envelope;
use gantry_proto::unpack;
use tonic::{Status, Streaming};

use super::Peers;

/// Events of one kind. Of what happened before nothing is heard, nor of what happens after its end.
pub struct Events<T> {
    stream: Streaming<Envelope>,
    read: fn(&Envelope) -> Option<T>,
}

/// A container that ran out of memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The container's id.
    pub container: String,
    /// When, nanoseconds since 1970.
    pub at: i64,
}

impl<T> Events<T> {
    /// The next one; none when control is gone.
    pub async fn next(&mut self) -> Option<T> {
        while let Ok(Some(envelope)) = self.stream.message().await {
            if let Some(event) = (self.read)(&envelope) {
                return Some(event);
            }
        }
        None
    }
}

impl Peers {
    /// Containers that run out of memory.
    pub async fn shortages(&self) -> Result<Events<Shortage>, Status> {
        self.events_of("topic==\"/tasks/oom\"", shortage).await
    }

    /// The names of images that are made, moved or removed.
    pub async fn image_names(&self) -> Result<Events<String>, Status> {
        self.events_of("topic~=\"^/images/\"", image_name).await
    }

    async fn events_of<T>(
        &self,
        filter: &str,
        read: fn(&Envelope) -> Option<T>,
    ) -> Result<Events<T>, Status> {
        let request = SubscribeRequest { filters: vec![filter.to_owned()] };
        let stream = self.peers.events().subscribe(request).await?.into_inner();
        Ok(Events { stream, read })
    }
}

fn shortage(envelope: &Envelope) -> Option<Shortage> {
    let event = unpack::<TaskOom>(envelope.event.as_ref()?)?.ok()?;
    let at = match &envelope.timestamp {
        Some(at) => crate::time::from_timestamp(Some(at)),
        None => i64::MAX,
    };
    Some(Shortage { container: event.container_id, at })
}

fn image_name(envelope: &Envelope) -> Option<String> {
    let event = envelope.event.as_ref()?;
    let created = unpack::<ImageCreate>(event).and_then(Result::ok).map(|event| event.name);
    let updated = || unpack::<ImageUpdate>(event).and_then(Result::ok).map(|event| event.name);
    let deleted = || unpack::<ImageDelete>(event).and_then(Result::ok).map(|event| event.name);
    created.or_else(updated).or_else(deleted)
}
