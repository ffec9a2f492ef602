//! Conversion between the wire and the types of this module.

use gantry_proto::containerd::types::Envelope;

use super::Event;
use crate::time;
use crate::wire::Invalid;

pub(super) fn envelope(event: Event) -> Envelope {
    Envelope {
        timestamp: event.at.map(Into::into),
        namespace: event.namespace.to_string(),
        topic: event.topic.to_string(),
        event: Some(event.message),
    }
}

pub(super) fn parse(envelope: Envelope) -> Result<Event, Invalid> {
    Ok(Event {
        at: envelope.timestamp.as_ref().map(time::system_time),
        namespace: envelope.namespace.parse()?,
        topic: envelope.topic.parse()?,
        message: envelope.event.ok_or(Invalid::Missing { field: "event" })?,
    })
}
