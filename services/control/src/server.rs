//! gRPC in, this service's own words out.

pub mod introspection;
pub mod namespaces;
pub mod version;

use gantry_api::Promise;
use gantry_api::events::{Event, Publish, Subscribe};
use gantry_types::filter::FilterSet;

use crate::error::Error;
use crate::events::{Bus, Subscription};
use crate::gc::schedule::Scheduler;
use crate::gc::store::Store;

/// Where events go: to the subscribers, and to the scheduler of collections.
#[derive(Clone)]
pub struct Announcer<S> {
    bus: Bus,
    scheduler: Scheduler<S>,
}

impl<S: Store> Announcer<S> {
    /// An announcer on this bus.
    pub fn new(bus: Bus, scheduler: Scheduler<S>) -> Announcer<S> {
        Announcer { bus, scheduler }
    }

    /// Announces an event.
    pub fn announce(&self, event: &Event) {
        self.scheduler.observe(event);
        self.bus.publish(event);
    }

    /// Announces an event of this service's own.
    pub fn tell<M: prost::Name>(&self, namespace: &str, topic: &str, event: &M) {
        // What is recorded has parsed.
        if let (Ok(namespace), Ok(topic)) = (namespace.parse(), topic.parse()) {
            self.announce(&Event::now(&namespace, topic, event));
        }
    }
}

impl<S: Store> Promise for Announcer<S> {
    type Error = Error;
}

impl<S: Store> Publish for Announcer<S> {
    async fn publish(&self, event: Event) -> Result<(), Error> {
        self.announce(&event);
        Ok(())
    }
}

impl<S: Store> Subscribe for Announcer<S> {
    type Subscription = Subscription;

    async fn subscribe(&self, filters: &FilterSet) -> Result<Subscription, Error> {
        Ok(self.bus.subscribe(filters))
    }
}
