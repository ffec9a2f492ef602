//! Publishing of events: one queue to `control`, in order.
//!
//! The service sends an event until `control` has received it, then notes that in the task's journal. While `control`
//! does not answer, the queue keeps events up to its capacity. It drops events beyond that; recovery publishes them
//! from the journal at the next start.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use gantry_proto::containerd::services::events::v1::ForwardRequest;
use gantry_proto::containerd::services::events::v1::events_client::EventsClient;
use gantry_proto::containerd::types::Envelope;
use gantry_rpc::{Channel, carry};
use prost::Name;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::bundle::Bundle;
use crate::journal::{Journal, Step};

const QUEUE: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// What follows when `control` has received an event.
#[derive(Debug)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// The step is noted as published in the journal.
    Note(Journal, Step),
    /// The bundle that was set aside is removed.
    Remove(Bundle),
}

#[derive(Debug)]
struct Job {
    envelope: Envelope,
    then: Then,
}

/// The sender's end of the queue. Cheap to clone; never blocks.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::Sender<Job>,
}

/// The receiver's end of the queue.
#[derive(Debug)]
pub struct Courier {
    queue: mpsc::Receiver<Job>,
    control: EventsClient<Channel>,
}

/// Makes a queue: a publisher, and the courier that sends what the publisher queues.
pub fn queue(control: Channel) -> (Publisher, Courier) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Publisher { queue: sender }, Courier { queue: receiver, control: EventsClient::new(control) })
}

impl Publisher {
    /// Queues an event.
    pub fn publish<M: Name>(&self, namespace: &str, topic: &str, event: &M, then: Then) {
        let envelope = Envelope {
            timestamp: Some(SystemTime::now().into()),
            namespace: namespace.to_owned(),
            topic: topic.to_owned(),
            event: Some(gantry_proto::pack(event)),
        };
        self.send(Job { envelope, then });
    }

    /// Queues an event that a shim has published.
    pub fn forward(&self, envelope: Envelope) {
        self.send(Job { envelope, then: Then::Nothing });
    }

    fn send(&self, job: Job) {
        if let Err(error) = self.queue.try_send(job) {
            let (TrySendError::Full(job) | TrySendError::Closed(job)) = error;
            let (namespace, topic) = (job.envelope.namespace, job.envelope.topic);
            tracing::warn!(namespace, topic, "event not published: control is away and the queue is full");
        }
    }
}

impl Courier {
    /// Sends events until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while let Some(Some(job)) = stop.run_until_cancelled(self.queue.recv()).await {
            if stop.run_until_cancelled(self.deliver(&job.envelope)).await.is_none() {
                return;
            }
            match job.then {
                Then::Nothing => {}
                Then::Note(journal, step) => journal.told(&step),
                Then::Remove(bundle) => remove(bundle).await,
            }
        }
    }

    async fn deliver(&mut self, envelope: &Envelope) {
        let mut pause = Duration::from_millis(10);
        loop {
            let request = ForwardRequest { envelope: Some(envelope.clone()) };
            match self.control.forward(request).await {
                Ok(_) => return,
                // Control will not take the event later either, and other events wait behind it.
                Err(status) if is_final(status.code()) => {
                    tracing::error!(
                        topic = envelope.topic,
                        error = status.message(),
                        "control refuses an event"
                    );
                    return;
                }
                Err(status) => tracing::debug!(
                    topic = envelope.topic,
                    error = status.message(),
                    "event not yet delivered"
                ),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PATIENCE);
        }
    }
}

/// Whether control will refuse the event again: it is not valid, or is larger than a message may be.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::OutOfRange
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unimplemented
    )
}

async fn remove(bundle: Bundle) {
    let folder: PathBuf = bundle.folder().to_owned();
    let removed = carry::blocking(move || bundle.remove()).await;
    if let Some(Err(error)) = removed {
        tracing::warn!(bundle = %folder.display(), error = gantry_rpc::chain(&error), "a removed task's bundle stays");
    }
}
