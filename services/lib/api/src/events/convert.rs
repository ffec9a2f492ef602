//! Conversion between the wire and the types of this module.

use gantry_proto::containerd::events::{ContentDelete, SnapshotRemove, TaskOom};
use gantry_proto::containerd::services::images::v1::{ImageCreate, ImageDelete, ImageUpdate};
use gantry_proto::containerd::types::Envelope;
use prost_types::Any;

use super::{Event, Payload};
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

pub(super) fn payload(message: &Any) -> Option<Payload> {
    READERS.iter().find_map(|read| read(message))
}

const READERS: &[fn(&Any) -> Option<Payload>] = &[
    |message| read(message, |ContentDelete { digest }| Payload::ContentDelete { digest }),
    |message| read(message, |image: ImageCreate| Payload::ImageCreate { name: image.name }),
    |message| read(message, |image: ImageUpdate| Payload::ImageUpdate { name: image.name }),
    |message| read(message, |ImageDelete { name }| Payload::ImageDelete { name }),
    |message| {
        read(message, |SnapshotRemove { key, snapshotter }| Payload::SnapshotRemove { snapshotter, key })
    },
    |message| read(message, |TaskOom { container_id }| Payload::TaskOom { container: container_id }),
];

fn read<M: prost::Name + Default>(message: &Any, tell: impl FnOnce(M) -> Payload) -> Option<Payload> {
    gantry_proto::unpack(message)?.ok().map(tell)
}

#[cfg(test)]
mod tests {
    use gantry_proto::pack;

    use super::*;

    #[test]
    fn a_payload_is_what_the_message_tells() {
        let oom = TaskOom { container_id: "c".to_owned() };
        assert_eq!(payload(&pack(&oom)), Some(Payload::TaskOom { container: "c".to_owned() }));
        let gone = SnapshotRemove { key: "k".to_owned(), snapshotter: "native".to_owned() };
        let told = Payload::SnapshotRemove { snapshotter: "native".to_owned(), key: "k".to_owned() };
        assert_eq!(payload(&pack(&gone)), Some(told));
        let image = ImageUpdate { name: "x".to_owned(), ..Default::default() };
        assert_eq!(payload(&pack(&image)), Some(Payload::ImageUpdate { name: "x".to_owned() }));
        assert_eq!(payload(&Any { value: vec![0xff], ..pack(&oom) }), None);
        assert_eq!(payload(&Any::default()), None);
    }
}
