//! Pulls and pushes, with what they tell.

use gantry_api::images::{self, Progress, PullEvent, PullSpec, PushEvent, PushSpec, Transfer};
use gantry_distribution::Credentials;
use gantry_rpc::carry;
use gantry_types::Namespace;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Images;
use crate::error::Error;
use crate::{progress, pull, push};

/// Events that may wait for the listener.
const QUEUE: usize = 256;

/// Work, while its events are heard; dropped, the work is.
#[derive(Debug)]
pub struct Running<E> {
    events: mpsc::Receiver<E>,
    work: JoinSet<Result<(), Error>>,
}

impl<E> Running<E> {
    fn begin(
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
        events: mpsc::Receiver<E>,
    ) -> Self {
        let mut set = JoinSet::new();
        set.spawn(carry::part(work));
        Self { events, work: set }
    }
}

impl<E: Send + 'static> Progress for Running<E> {
    type Event = E;
    type Error = Error;

    async fn next(&mut self) -> Result<Option<E>, Error> {
        if let Some(event) = self.events.recv().await {
            return Ok(Some(event));
        }
        match self.work.join_next().await {
            None | Some(Ok(Ok(()))) => Ok(None),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) => Err(Error::Cancelled),
        }
    }
}

/// What registries are told of who asks.
pub(super) fn credentials(credentials: images::Credentials) -> Credentials {
    match credentials {
        images::Credentials::Anonymous => Credentials::Anonymous,
        images::Credentials::Basic { username, password } => Credentials::Basic { username, password },
        images::Credentials::IdentityToken(token) => Credentials::IdentityToken(token),
        images::Credentials::RegistryToken(token) => Credentials::RegistryToken(token),
    }
}

impl Transfer for Images {
    type Pulling = Running<PullEvent>;
    type Pushing = Running<PushEvent>;

    async fn pull_image(&self, namespace: &Namespace, spec: PullSpec) -> Result<Self::Pulling, Error> {
        let order = pull::Order {
            reference: spec.reference,
            platform: spec.platform,
            credentials: credentials(spec.credentials),
            all_tags: spec.all_tags,
            snapshotter: spec.snapshotter,
        };
        let (progress, events) = progress::Progress::channel();
        let (puller, namespace) = (self.puller.clone(), namespace.clone());
        Ok(Running::begin(async move { puller.pull(&namespace, order, progress).await }, events))
    }

    async fn push_image(&self, namespace: &Namespace, spec: PushSpec) -> Result<Self::Pushing, Error> {
        let order = push::Order {
            reference: spec.reference,
            platform: spec.platform,
            credentials: credentials(spec.credentials),
        };
        let (sender, events) = mpsc::channel(QUEUE);
        let (pusher, namespace) = (self.pusher.clone(), namespace.clone());
        Ok(Running::begin(async move { pusher.push(&namespace, order, sender).await }, events))
    }
}
