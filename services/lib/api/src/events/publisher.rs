//! A publisher that never waits.

use gantry_types::Namespace;
use tokio::sync::mpsc;

use super::{Client, Event, Publish as _};
use crate::Peers;

/// How many events may wait for control.
const QUEUE: usize = 1024;

/// Publishes events in the order of the calls. Drops events while control does not answer or is slow. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<Event>);

impl Publisher {
    /// A publisher, and the future that sends its events, which the caller spawns.
    pub fn new(peers: &Peers) -> (Self, impl Future<Output = ()> + Send + 'static + use<>) {
        let (sender, mut queue) = mpsc::channel(QUEUE);
        let client = Client::new(peers);
        let work = async move {
            while let Some(event) = queue.recv().await {
                // Lost while control does not answer: nothing depends on an event.
                let _ = client.publish(event).await;
            }
        };
        (Self(sender), work)
    }

    /// Publishes an event under a topic (`/tasks/exit`). Returns at once; `false` when the event was dropped.
    pub fn publish<M: prost::Name>(&self, namespace: &Namespace, topic: &str, event: &M) -> bool {
        let topic = topic.parse();
        topic.is_ok_and(|topic| self.0.try_send(Event::now(namespace, topic, event)).is_ok())
    }
}
