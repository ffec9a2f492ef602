//! Containerd events, published to control.
//!
//! Events tell, they do not decide: nothing in Gantry depends on one arriving.
//! So a publisher never waits: when control is away, or slow, they are dropped.

use gantry_proto::containerd::services::events::v1::ForwardRequest;
use gantry_proto::containerd::types::Envelope;
use gantry_types::Namespace;
use tokio::sync::mpsc;

use crate::{Peers, time};

/// How many events may wait for control.
const QUEUE: usize = 1024;

/// Publishes events in the order of the calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<Envelope>);

impl Publisher {
    /// A publisher, and the work that sends its events: the caller spawns it.
    pub fn new(peers: &Peers) -> (Self, impl Future<Output = ()> + Send + 'static + use<>) {
        let (sender, mut queue) = mpsc::channel::<Envelope>(QUEUE);
        let mut client = peers.events();
        let work = async move {
            while let Some(envelope) = queue.recv().await {
                // Lost when control is away: see the module's words.
                let _ = client.forward(ForwardRequest { envelope: Some(envelope) }).await;
            }
        };
        (Self(sender), work)
    }

    /// Publishes an event under a topic (`/tasks/exit`). Returns at once; `false` when it was dropped.
    pub fn publish<M: prost::Name>(&self, namespace: &Namespace, topic: &str, event: &M) -> bool {
        let envelope = Envelope {
            timestamp: Some(time::now()),
            namespace: namespace.to_string(),
            topic: topic.to_owned(),
            event: Some(gantry_proto::pack(event)),
        };
        self.0.try_send(envelope).is_ok()
    }
}
