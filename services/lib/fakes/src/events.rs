//! A fake of events: each subscriber gets what is published from its subscription on. Its queue has no limit, so no
//! subscriber falls behind.

use std::sync::Arc;

use gantry_api::Promise;
use gantry_api::events::{Event, Publish, Subscribe, Subscription, server};
use gantry_types::filter::FilterSet;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::service::Routes;

use crate::Refused;

/// The events of a control service. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Events(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    published: Vec<Event>,
    subscribers: Vec<(FilterSet, UnboundedSender<Event>)>,
}

impl Events {
    /// The gRPC services of events.
    pub fn routes(&self) -> Routes {
        Routes::new(server::service(self.clone()))
    }

    /// All events that were published.
    pub fn published(&self) -> Vec<Event> {
        self.0.lock().published.clone()
    }
}

impl Promise for Events {
    type Error = Refused;
}

impl Publish for Events {
    async fn publish(&self, event: Event) -> Result<(), Refused> {
        let mut state = self.0.lock();
        // Subscribers that have gone are removed.
        state.subscribers.retain(|(filters, queue)| {
            if event.passes(filters) { queue.send(event.clone()).is_ok() } else { !queue.is_closed() }
        });
        state.published.push(event);
        Ok(())
    }
}

impl Subscribe for Events {
    type Subscription = Heard;

    async fn subscribe(&self, filters: &FilterSet) -> Result<Heard, Refused> {
        let (queue, heard) = unbounded_channel();
        self.0.lock().subscribers.push((filters.clone(), queue));
        Ok(Heard(heard))
    }
}

/// A subscription.
#[derive(Debug)]
pub struct Heard(UnboundedReceiver<Event>);

impl Subscription for Heard {
    type Error = Refused;

    async fn next(&mut self) -> Option<Result<Event, Refused>> {
        self.0.recv().await.map(Ok)
    }
}
