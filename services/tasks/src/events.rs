//! Publishing: one queue to `control`, in order.
//!
//! An event is sent until `control` has it, then noted in the task's journal.
//! While `control` is away the queue holds what it can; what does not fit is
//! published by nobody now, but by recovery after the next start.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use gantry_proto::containerd::services::events::v1::ForwardRequest;
use gantry_proto::containerd::services::events::v1::events_client::EventsClient;
use gantry_proto::containerd::types::Envelope;
use gantry_rpc::Channel;
use prost::Name;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::bundle::Bundle;
use crate::journal::{Journal, Step};

const QUEUE: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// What is done once an event is published.
#[derive(Debug)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// The journal is told.
    Note(Journal, Step),
    /// The bundle, set aside before, is removed.
    Remove(Bundle),
}

#[derive(Debug)]
struct Job {
    envelope: Envelope,
    then: Then,
}

/// The way to publish. Cheap to clone; never blocks.
#[derive(Debug, Clone)]
pub struct Publisher {
    queue: mpsc::Sender<Job>,
}

/// The other end of the queue.
#[derive(Debug)]
pub struct Courier {
    queue: mpsc::Receiver<Job>,
    control: EventsClient<Channel>,
}

/// A publisher, and the courier whose `run` carries what it is given.
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

    /// Queues somebody else's event.
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
    /// Carries events until `stop`.
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
                Err(status) if matches!(status.code(), Code::InvalidArgument | Code::Unimplemented) => {
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

async fn remove(bundle: Bundle) {
    let folder: PathBuf = bundle.folder().to_owned();
    let removed = tokio::task::spawn_blocking(move || bundle.remove()).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(bundle = %folder.display(), error = gantry_rpc::chain(&error), "a removed task's bundle stays");
    }
}
