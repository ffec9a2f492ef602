//! Events for the daemon, over ttrpc, one at a time and in order.
//!
//! containerd passes an address in `TTRPC_ADDRESS` and knows a task's state by its events only: the shim publishes
//! every event to it. Gantry's tasks service publishes the events itself, and passes an address in `GANTRY_EVENTS`
//! for those that only the shim sees: kills for want of memory.
//!
//! The shim sends an event again for a while when the daemon does not answer, then drops it: the daemon asks for the
//! state when it comes back.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use gantry_proto::containerd::services::events::v1::ForwardRequest;
use gantry_proto::containerd::types::Envelope;
use gantry_ttrpc::Request;
use prost::{Message, Name};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

use client::Client;

mod client;

/// How many events may wait for the daemon.
const QUEUE: usize = 2048;
/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many times the shim sends an event; the pause between attempts doubles.
const ATTEMPTS: u32 = 7;
const PAUSE: Duration = Duration::from_millis(50);

/// Which events the daemon wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    OutOfMemory,
}

/// The publisher of events. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct Publisher {
    namespace: String,
    to: Option<(Scope, mpsc::Sender<Envelope>)>,
    /// How many events are queued or being sent.
    pending: watch::Sender<usize>,
}

impl Publisher {
    /// A publisher to the address in the environment, for containers of `namespace`.
    pub fn start(namespace: String) -> Self {
        let given = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let all = given("TTRPC_ADDRESS").map(|address| (Scope::All, address));
        let address = all.or_else(|| given("GANTRY_EVENTS").map(|address| (Scope::OutOfMemory, address)));
        let pending = watch::Sender::new(0);
        let to = address.map(|(scope, address)| {
            let path = address.to_string_lossy().trim_start_matches("unix://").into();
            let (sender, receiver) = mpsc::channel(QUEUE);
            tokio::spawn(carry(path, receiver, pending.clone()));
            (scope, sender)
        });
        Self { namespace, to, pending }
    }

    /// Publishes an event; `event` makes it only if the daemon wants it.
    pub fn publish<M: Name>(&self, topic: &str, event: impl FnOnce() -> M) {
        if let Some((Scope::All, _)) = &self.to {
            self.send(topic, &event());
        }
    }

    /// Publishes a kill for want of memory.
    pub fn publish_oom<M: Name>(&self, topic: &str, event: &M) {
        self.send(topic, event);
    }

    fn send<M: Name>(&self, topic: &str, event: &M) {
        let Some((_, queue)) = &self.to else { return };
        let envelope = Envelope {
            timestamp: Some(SystemTime::now().into()),
            namespace: self.namespace.clone(),
            topic: topic.to_owned(),
            event: Some(gantry_proto::pack(event)),
        };
        self.pending.send_modify(|pending| *pending += 1);
        if queue.try_send(envelope).is_err() {
            self.pending.send_modify(|pending| *pending -= 1);
            eprintln!("event {topic} dropped: the daemon does not take events, and too many wait");
        }
    }

    /// Waits until every event is delivered or dropped.
    pub async fn flushed(&self) {
        // The sender lives as long as `self`.
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }
}

async fn carry(path: PathBuf, mut queue: mpsc::Receiver<Envelope>, pending: watch::Sender<usize>) {
    let mut connection = None;
    while let Some(envelope) = queue.recv().await {
        let topic = envelope.topic.clone();
        let payload = ForwardRequest { envelope: Some(envelope) }.encode_to_vec();
        let request = Request {
            service: "containerd.services.events.ttrpc.v1.Events".into(),
            method: "Forward".into(),
            payload,
            timeout_nano: PATIENCE.as_nanos() as i64,
            metadata: Vec::new(),
        };
        if let Err(error) = deliver(&path, &mut connection, &request).await {
            eprintln!("event {topic} dropped: {}: {error}", path.display());
        }
        pending.send_modify(|pending| *pending -= 1);
    }
}

async fn deliver(path: &PathBuf, connection: &mut Option<Client>, request: &Request) -> io::Result<()> {
    let mut pause = PAUSE;
    for attempt in 1.. {
        let once = async {
            if connection.is_none() {
                *connection = Some(Client::new(UnixStream::connect(path).await?));
            }
            match connection.as_mut() {
                Some(client) => client.call(request).await,
                None => Err(io::ErrorKind::NotConnected.into()),
            }
        };
        let done = tokio::time::timeout(PATIENCE, once).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()));
        match done {
            Ok(()) => break,
            Err(error) => {
                *connection = None;
                if attempt == ATTEMPTS {
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}
