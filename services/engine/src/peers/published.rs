//! The events of other services that the engine subscribes to.

use gantry_api::Failure;
use gantry_api::events::{Client, Event, Payload, Subscribe, Subscription as _};
use gantry_types::filter::FilterSet;

/// Events of one kind, from the subscription until this value is dropped.
pub struct Events<T> {
    heard: <Client as Subscribe>::Subscription,
    read: fn(&Event) -> Option<T>,
}

/// A container ran out of memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The container's id.
    pub container: String,
    /// When, nanoseconds since 1970.
    pub at: i64,
}

impl<T> Events<T> {
    /// The next event; `None` once the connection to control is gone.
    pub async fn next(&mut self) -> Option<T> {
        while let Some(Ok(event)) = self.heard.next().await {
            if let Some(found) = (self.read)(&event) {
                return Some(found);
            }
        }
        None
    }
}

/// A subscriber to the control service's events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Published {
    client: Client,
}

impl Published {
    /// A client of a root directory's control service.
    pub fn new(peers: &gantry_api::Peers) -> Published {
        Published { client: Client::new(peers) }
    }

    /// Subscribes to containers that run out of memory.
    pub async fn shortages(&self) -> Result<Events<Shortage>, Failure> {
        self.events_of("topic==\"/tasks/oom\"", shortage).await
    }

    /// Subscribes to names of images that are created, moved or removed.
    pub async fn image_names(&self) -> Result<Events<String>, Failure> {
        self.events_of("topic~=\"^/images/\"", image_name).await
    }

    async fn events_of<T>(&self, filter: &str, read: fn(&Event) -> Option<T>) -> Result<Events<T>, Failure> {
        let filters = FilterSet::parse(&[filter]).expect("the filter is one of those above");
        Ok(Events { heard: self.client.subscribe(&filters).await?, read })
    }
}

fn shortage(event: &Event) -> Option<Shortage> {
    let at = event.at.map_or(i64::MAX, crate::time::nanoseconds);
    match event.payload()? {
        Payload::TaskOom { container } => Some(Shortage { container, at }),
        _ => None,
    }
}

fn image_name(event: &Event) -> Option<String> {
    match event.payload()? {
        Payload::ImageCreate { name } | Payload::ImageUpdate { name } | Payload::ImageDelete { name } => {
            Some(name)
        }
        _ => None,
    }
}
