//! The services behind the gateway: typed clients, and their data sockets.
//!
//! A channel connects at its first use, and again after its service was away. The error of a call to a service that is away names it, and
//! becomes a 503.

use std::path::{Path, PathBuf};

use gantry_api::engine::system::Publish as _;
use gantry_api::engine::{Event, containers, execs, system, volumes};
use gantry_api::{Failure, images, network};
use gantry_types::Namespace;

use crate::error::Error;

/// The containerd namespace of Docker's containers and images.
const NAMESPACE: &str = "moby";
/// The engine's name in errors.
pub const ENGINE: &str = "engine";

/// Clients of the other services. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    run: PathBuf,
    namespace: Namespace,
    networks: network::Client,
    volumes: volumes::Client,
    containers: containers::Client,
    execs: execs::Client,
    system: system::Client,
    images: images::Client,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Peers {
    /// Clients of the services whose sockets are, or will be, in `run`.
    pub fn new(run: &Path) -> Self {
        let promises = gantry_api::Peers::new(run);
        Self {
            run: run.to_owned(),
            namespace: NAMESPACE.parse().expect("a constant identifier is valid"),
            networks: network::Client::new(&promises),
            volumes: volumes::Client::new(&promises),
            containers: containers::Client::new(&promises),
            execs: execs::Client::new(&promises),
            system: system::Client::new(&promises),
            images: images::Client::new(&promises),
        }
    }

    /// Containers.
    pub fn containers(&self) -> &containers::Client {
        &self.containers
    }

    /// Further processes in containers.
    pub fn execs(&self) -> &execs::Client {
        &self.execs
    }

    /// Volumes.
    pub fn volumes(&self) -> &volumes::Client {
        &self.volumes
    }

    /// The engine's events and counts.
    pub fn system(&self) -> &system::Client {
        &self.system
    }

    /// Images, which are looked for in [`Self::namespace`].
    pub fn images(&self) -> &images::Client {
        &self.images
    }

    /// Networks.
    pub fn networks(&self) -> &network::Client {
        &self.networks
    }

    /// Docker's containerd namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Adds an event of another service to the engine's event log. A failure is only logged, because the event's cause is done in any case.
    pub async fn publish(
        &self,
        kind: &str,
        action: &str,
        actor: &str,
        attributes: impl IntoIterator<Item = (String, String)>,
    ) {
        self.tell(Event {
            kind: kind.to_owned(),
            action: action.to_owned(),
            actor_id: actor.to_owned(),
            attributes: attributes.into_iter().collect(),
            ..Event::default()
        })
        .await;
    }

    /// The same, with an event that the caller has made.
    pub async fn tell(&self, event: Event) {
        let (action, actor) = (event.action.clone(), event.actor_id.clone());
        if let Err(failure) = self.system.publish(event).await {
            tracing::warn!(error = %failure.status.message(), action, actor, "event was not recorded");
        }
    }
}

/// What the client of a request is told whose call to a peer has failed.
pub fn failed(failure: Failure) -> Error {
    Error::from_peer(failure.service, &failure.status)
}
