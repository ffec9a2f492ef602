//! The event bus: each subscriber gets what is published from its subscription on.
//!
//! Publishing never waits. Each subscriber has a queue of its own, with a bound;
//! one that falls behind loses its subscription and is told so, rather than
//! losing events without knowing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_api::events::{self, Event};
use gantry_types::filter::FilterSet;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::error::Error;

/// How many events may wait for one subscriber.
const QUEUE: usize = 8 * 1024;

/// The bus. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Bus {
    // Guards the list only; sending to a subscriber does not wait.
    subscribers: Arc<Mutex<Vec<Subscriber>>>,
}

#[derive(Debug)]
struct Subscriber {
    filters: FilterSet,
    queue: mpsc::Sender<Event>,
    overrun: Arc<AtomicBool>,
}

/// What a subscriber reads.
#[derive(Debug)]
pub struct Subscription {
    queue: mpsc::Receiver<Event>,
    overrun: Arc<AtomicBool>,
}

impl Bus {
    /// Subscribes to the events that pass the filters.
    pub fn subscribe(&self, filters: &FilterSet) -> Subscription {
        self.subscribe_bounded(filters, QUEUE)
    }

    fn subscribe_bounded(&self, filters: &FilterSet, bound: usize) -> Subscription {
        let (queue, receiver) = mpsc::channel(bound);
        let overrun = Arc::new(AtomicBool::new(false));
        let filters = filters.clone();
        self.subscribers.lock().push(Subscriber { filters, queue, overrun: overrun.clone() });
        Subscription { queue: receiver, overrun }
    }

    /// Gives an event to all subscribers that want it.
    pub fn publish(&self, event: &Event) {
        self.subscribers.lock().retain(|subscriber| {
            if subscriber.queue.is_closed() {
                return false;
            }
            if !event.passes(&subscriber.filters) {
                return true;
            }
            let sent = subscriber.queue.try_send(event.clone()).is_ok();
            if !sent {
                subscriber.overrun.store(true, Ordering::Release);
            }
            sent
        });
    }
}

impl events::Subscription for Subscription {
    type Error = Error;

    async fn next(&mut self) -> Option<Result<Event, Error>> {
        match self.queue.recv().await {
            Some(event) => Some(Ok(event)),
            None => self.overrun.swap(false, Ordering::AcqRel).then_some(Err(Error::Overrun)),
        }
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::events::Subscription as _;
    use gantry_proto::containerd::events::TaskStart;
    use gantry_types::Namespace;

    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_is_told_and_holds_up_nobody() {
        let bus = Bus::default();
        let mut slow = bus.subscribe_bounded(&FilterSet::default(), 2);
        let topic: events::Topic = "/tasks/start".parse().unwrap();
        for _ in 0..3 {
            bus.publish(&Event::now(&Namespace::moby(), topic.clone(), &TaskStart::default()));
        }
        assert!(bus.subscribers.lock().is_empty());
        assert!(slow.next().await.unwrap().is_ok() && slow.next().await.unwrap().is_ok());
        assert!(matches!(slow.next().await, Some(Err(Error::Overrun))));
        assert!(slow.next().await.is_none());
    }
}
