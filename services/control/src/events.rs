//! The event bus: whoever subscribes gets what is published from then on.
//!
//! Publishing never waits. Each subscriber has a queue of its own, with a bound;
//! one that falls behind loses its subscription and is told so, rather than
//! losing events without knowing.

mod fields;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use gantry_proto::containerd::types::Envelope;
use gantry_types::filter::FilterSet;
use gantry_types::identifier;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Status;

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
    queue: mpsc::Sender<Envelope>,
    overrun: Arc<AtomicBool>,
}

/// What a subscriber reads.
#[derive(Debug)]
pub struct Subscription {
    queue: mpsc::Receiver<Envelope>,
    overrun: Arc<AtomicBool>,
    ended: bool,
}

impl Bus {
    /// Subscribes to the events that pass the filters.
    pub fn subscribe(&self, filters: &[String]) -> Result<Subscription, Error> {
        self.subscribe_bounded(filters, QUEUE)
    }

    fn subscribe_bounded(&self, filters: &[String], bound: usize) -> Result<Subscription, Error> {
        let filters = FilterSet::parse(filters)?;
        let (queue, receiver) = mpsc::channel(bound);
        let overrun = Arc::new(AtomicBool::new(false));
        self.subscribers.lock().push(Subscriber { filters, queue, overrun: overrun.clone() });
        Ok(Subscription { queue: receiver, overrun, ended: false })
    }

    /// Gives an event to all subscribers that want it.
    pub fn publish(&self, envelope: &Envelope) {
        self.subscribers.lock().retain(|subscriber| {
            if subscriber.queue.is_closed() {
                return false;
            }
            if !subscriber.filters.matches(&fields::Filterable::new(envelope)) {
                return true;
            }
            let sent = subscriber.queue.try_send(envelope.clone()).is_ok();
            if !sent {
                subscriber.overrun.store(true, Ordering::Release);
            }
            sent
        });
    }
}

impl Stream for Subscription {
    type Item = Result<Envelope, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.queue.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(envelope)) => Poll::Ready(Some(Ok(envelope))),
            Poll::Ready(None) => {
                self.ended = true;
                let overrun = self.overrun.load(Ordering::Acquire);
                let lost = || {
                    Status::resource_exhausted(
                        "this subscriber reads too slowly and has lost events: subscribe again",
                    )
                };
                Poll::Ready(overrun.then(|| Err(lost())))
            }
        }
    }
}

/// Checks what a publisher sent: a topic is a path of identifiers, an event is there.
pub fn validate(envelope: &Envelope) -> Result<(), Error> {
    identifier::validate(&envelope.namespace)?;
    let Some(parts) = envelope.topic.strip_prefix('/') else {
        return Err(Error::Request(format!("topic {:?} must start with /", envelope.topic)));
    };
    for part in parts.split('/') {
        identifier::validate(part)?;
    }
    if envelope.event.is_none() {
        return Err(Error::Request(format!("the event on {} is missing", envelope.topic)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt};
    use gantry_proto::containerd::events::{TaskExit, TaskStart};

    fn envelope<M: prost::Name>(namespace: &str, topic: &str, event: &M) -> Envelope {
        Envelope {
            timestamp: None,
            namespace: namespace.into(),
            topic: topic.into(),
            event: Some(gantry_proto::pack(event)),
        }
    }

    #[tokio::test]
    async fn filters_see_namespace_topic_and_fields() {
        let bus = Bus::default();
        let subscribe = |filter: &str| bus.subscribe(&[filter.to_owned()]).unwrap();
        let mut moby = subscribe("namespace==moby");
        let mut exits = subscribe(r#"topic~="/exit$""#);
        let mut one = subscribe(r#"topic=="/tasks/start",event.container_id==c1"#);
        let mut all = bus.subscribe(&[]).unwrap();
        bus.publish(&envelope("moby", "/tasks/start", &TaskStart { container_id: "c1".into(), pid: 1 }));
        bus.publish(&envelope("other", "/tasks/start", &TaskStart { container_id: "c2".into(), pid: 1 }));
        let exit = TaskExit { container_id: "c1".into(), ..Default::default() };
        bus.publish(&envelope("other", "/tasks/exit", &exit));
        let drain = |subscription: &mut Subscription| {
            std::iter::from_fn(|| subscription.next().now_or_never().flatten())
                .map(|e| e.unwrap().topic)
                .collect::<Vec<_>>()
        };
        assert_eq!(drain(&mut moby), ["/tasks/start"]);
        assert_eq!(drain(&mut exits), ["/tasks/exit"]);
        assert_eq!(drain(&mut one), ["/tasks/start"]);
        assert_eq!(drain(&mut all).len(), 3);
        assert!(bus.subscribe(&["topic=".into()]).is_err());
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_and_holds_up_nobody() {
        let bus = Bus::default();
        let mut slow = bus.subscribe_bounded(&[], 2).unwrap();
        for _ in 0..3 {
            bus.publish(&envelope("moby", "/tasks/start", &TaskStart::default()));
        }
        assert!(bus.subscribers.lock().is_empty());
        let read: Vec<_> = std::iter::from_fn(|| slow.next().now_or_never().flatten()).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[2].as_ref().unwrap_err().code(), tonic::Code::ResourceExhausted);
    }

    #[test]
    fn topics_are_paths_of_identifiers() {
        let event = TaskStart::default();
        assert!(validate(&envelope("moby", "/tasks/exec-added", &event)).is_ok());
        for topic in ["", "tasks", "/", "/tasks/", "/tasks//exit", "/ta sks"] {
            assert!(validate(&envelope("moby", topic, &event)).is_err(), "{topic:?}");
        }
        assert!(validate(&envelope("", "/tasks/exit", &event)).is_err());
    }
}
