//! gRPC in, this service's own words out.

pub mod events;
pub mod fsck;
pub mod gc;
pub mod introspection;
pub mod namespaces;
pub mod version;

use gantry_proto::containerd::types::Envelope;

use crate::events::Bus;
use crate::gc::schedule::Scheduler;
use crate::gc::store::Store;

/// Where events go: to the subscribers, and to whoever decides when to collect.
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
    pub fn announce(&self, envelope: &Envelope) {
        self.scheduler.observe(envelope);
        self.bus.publish(envelope);
    }

    /// Announces an event of this service's own.
    pub fn tell<M: prost::Name>(&self, namespace: &str, topic: &str, event: &M) {
        self.announce(&Envelope {
            timestamp: Some(gantry_api::time::now()),
            namespace: namespace.to_owned(),
            topic: topic.to_owned(),
            event: Some(gantry_proto::pack(event)),
        });
    }
}
