//! Conversions of events.

use gantry_proto::gantry::engine::v1 as pb;

use super::{moment, nanoseconds, timestamp};
use crate::engine::{Event, EventQuery};

impl From<Event> for pb::Event {
    fn from(event: Event) -> Self {
        pb::Event {
            r#type: event.kind,
            action: event.action,
            actor_id: event.actor_id,
            attributes: event.attributes,
            time: timestamp(event.time),
            probe: event.probe,
        }
    }
}

impl From<pb::Event> for Event {
    fn from(event: pb::Event) -> Self {
        Event {
            kind: event.r#type,
            action: event.action,
            actor_id: event.actor_id,
            attributes: event.attributes,
            time: nanoseconds(event.time),
            probe: event.probe,
        }
    }
}

impl From<EventQuery> for pb::EventsRequest {
    fn from(query: EventQuery) -> Self {
        pb::EventsRequest {
            since: query.since.map(moment),
            until: query.until.map(moment),
            filters: query.filters.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<pb::EventsRequest> for EventQuery {
    fn from(request: pb::EventsRequest) -> Self {
        EventQuery {
            since: request.since.map(|since| nanoseconds(Some(since))),
            until: request.until.map(|until| nanoseconds(Some(until))),
            filters: request.filters.into_iter().map(Into::into).collect(),
        }
    }
}
