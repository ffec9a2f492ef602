//! Pushes: what is here under a name goes to a registry.
//!
//! Blobs first (found there, mounted from another repository, or uploaded), then manifests from the inside out, the
//! tag last: at no moment does the registry name something that it does not have.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{FuturesUnordered, TryStreamExt};
pub use gantry_api::images::{PushEvent as Event, PushProgress, PushState as State};
use gantry_failpoint::failpoint;
use gantry_types::{Descriptor, Digest, Labels, Namespace, Platform, Reference, media_type};
use tokio::sync::{Semaphore, mpsc};

use crate::catalog::Catalog;
use crate::content::Content;
use crate::error::Error;
use crate::graph::{Document, Gaps, Graph};
use crate::pull::origin_label;
use crate::store::Store;
use gantry_distribution::{Access, Client, Credentials, Mounted, Repository};

/// Of which blobs a push tells how they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Of those that people have progress bars for.
    Layers,
    /// Configs too.
    Everything,
}

/// Pushes images. A cheap clone.
#[derive(Clone)]
pub struct Pusher {
    remote: Client,
    store: Store,
    catalog: Catalog,
    content: Content,
}

/// What is to be pushed.
#[derive(Clone, Debug)]
pub struct Order {
    /// One tag or digest; without either, all tags of the repository that are here.
    pub reference: Reference,
    /// Only this platform's manifest.
    pub platform: Option<Platform>,
    /// The caller's credentials.
    pub credentials: Credentials,
}

impl Pusher {
    /// A pusher of what these know.
    pub fn new(remote: Client, store: Store, catalog: Catalog) -> Self {
        let content = catalog.content().clone();
        Self { remote, store, catalog, content }
    }

    /// Pushes, and tells how it goes. Dropping the future stops it.
    pub async fn push(
        &self,
        namespace: &Namespace,
        order: Order,
        events: mpsc::Sender<Event>,
    ) -> Result<(), Error> {
        let reference = &order.reference;
        let tags = self.tags(namespace, reference)?;
        let repository = self.remote.repository(
            reference.domain(),
            reference.path(),
            order.credentials.clone(),
            Access::Push,
        )?;
        let mut prepared = Vec::new();
        for (tag, target) in tags {
            prepared.push((tag, self.spread(namespace, &target, order.platform.as_ref()).await?));
        }
        tell(&events, Event::Preparing { repository: reference.name() }).await?;
        for (tag, graph) in prepared {
            self.ship(namespace, &repository, &tag, graph, Told::Layers, &events).await.map_err(|error| {
                error.of_image("push", &reference.without_tag_or_digest().familiar(), &reference.familiar())
            })?;
        }
        Ok(())
    }

    /// The tags (or the digest) to push, with their targets.
    fn tags(&self, namespace: &Namespace, reference: &Reference) -> Result<Vec<(String, Descriptor)>, Error> {
        if reference.tag().is_some() || reference.digest().is_some() {
            let found =
                self.catalog.find(namespace, &reference.to_string()).map_err(|error| match error {
                    Error::NoImage(_) => Error::NoLocalTag(reference.familiar_name()),
                    other => other,
                })?;
            let tag = match (reference.tag(), reference.digest()) {
                (Some(tag), _) => tag.to_owned(),
                (None, _) => found.target.digest.to_string(),
            };
            return Ok(vec![(tag, found.target)]);
        }
        let mut tags = Vec::new();
        for record in self.store.list(namespace)? {
            let Ok(name) = Reference::parse_normalized(&record.name) else { continue };
            if name.name() == reference.name()
                && let Some(tag) = name.tag()
            {
                tags.push((tag.to_owned(), record.target.clone()));
            }
        }
        match tags.is_empty() {
            true => Err(Error::NoLocalTag(reference.familiar_name())),
            false => Ok(tags),
        }
    }

    /// All that belongs to `target`. An index of which not everything is here shrinks to one platform's manifest.
    async fn spread(
        &self,
        namespace: &Namespace,
        target: &Descriptor,
        wanted: Option<&Platform>,
    ) -> Result<Graph, Error> {
        if wanted.is_none()
            && let Some(graph) = Graph::gather(&self.content, namespace, target, Gaps::Refuse).await?
        {
            return Ok(graph);
        }
        let manifest = self.catalog.details(namespace, target, wanted).await?.manifest.clone();
        let graph = Graph::gather(&self.content, namespace, &manifest, Gaps::Refuse).await?;
        graph.ok_or_else(|| Error::Missing {
            digest: manifest.digest.clone(),
            image: target.digest.to_string(),
        })
    }

    /// The registry client.
    pub fn remote(&self) -> &Client {
        &self.remote
    }

    /// Ships an image's blobs and then its documents, the last of them under `tag`.
    pub async fn ship(
        &self,
        namespace: &Namespace,
        repository: &Repository,
        tag: &str,
        graph: Graph,
        told: Told,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), Error> {
        let layers: HashSet<&Digest> = graph
            .blobs
            .iter()
            .filter(|blob| told == Told::Everything || media_type::is_layer(&blob.media_type))
            .map(|blob| &blob.digest)
            .collect();
        let voice =
            |digest: &Digest| Voice { events, digest: digest.clone(), silent: !layers.contains(digest) };
        for blob in &graph.blobs {
            voice(&blob.digest).say(State::Preparing, 0, blob.size, "").await?;
        }
        let slots = Semaphore::new(repository_connections(&self.remote));
        let shipped: FuturesUnordered<_> = graph
            .blobs
            .iter()
            .map(|blob| self.ship_blob(namespace, repository, blob, &slots, voice(&blob.digest)))
            .collect();
        shipped.try_collect::<()>().await?;
        failpoint!("images.push.shipped");
        let last = graph.documents.len().saturating_sub(1);
        for (at, document) in graph.documents.into_iter().enumerate() {
            let Document { descriptor, bytes } = document;
            let name = if at == last { tag.to_owned() } else { descriptor.digest.to_string() };
            repository.put_manifest(&name, &descriptor.media_type, bytes).await?;
            failpoint!("images.push.named");
            self.remember(namespace, repository, &descriptor.digest).await;
            if at == last {
                let (digest, size) = (descriptor.digest, descriptor.size);
                tell(events, Event::Pushed { tag: tag.to_owned(), digest, size }).await?;
            }
        }
        Ok(())
    }

    async fn ship_blob(
        &self,
        namespace: &Namespace,
        repository: &Repository,
        blob: &Descriptor,
        slots: &Semaphore,
        voice: Voice<'_>,
    ) -> Result<(), Error> {
        if slots.available_permits() == 0 {
            voice.say(State::Waiting, 0, blob.size, "").await?;
        }
        let _slot = slots.acquire().await.map_err(|_| Error::Cancelled)?;
        let (digest, size) = (&blob.digest, blob.size);
        if repository.has_blob(digest).await? {
            return voice.say(State::Exists, size, size, "").await;
        }
        let missing = || Error::Missing { digest: digest.clone(), image: repository.path().to_owned() };
        let info = self.content.info(namespace, digest).await?.ok_or_else(missing)?;
        let (label, _) = origin_label(repository);
        for source in info.labels.get(&label).map(String::as_str).unwrap_or_default().split(',') {
            if !source.is_empty()
                && source != repository.path()
                && repository.mount(digest, source).await? == Mounted::Yes
            {
                self.remember(namespace, repository, digest).await;
                return voice.say(State::Mounted, size, size, source).await;
            }
        }
        let (file, length) = self.content.open(namespace, digest).await?.ok_or_else(missing)?;
        if length != size {
            return Err(Error::WrongSize { digest: digest.clone(), expected: size, found: length });
        }
        voice.say(State::Pushing, 0, size, "").await?;
        let sent = Arc::new(AtomicU64::new(0));
        let upload = repository.upload(digest, Arc::new(file), size, Arc::clone(&sent));
        tokio::pin!(upload);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tokio::select! {
                result = &mut upload => break result?,
                _ = tick.tick() => voice.say(State::Pushing, sent.load(Ordering::Relaxed), size, "").await?,
            }
        }
        failpoint!("images.push.uploaded");
        self.remember(namespace, repository, digest).await;
        voice.say(State::Pushed, size, size, "").await
    }

    /// Notes that the registry has a blob, so that other repositories can mount it. A hint only: it may fail.
    async fn remember(&self, namespace: &Namespace, repository: &Repository, digest: &Digest) {
        let Ok(Some(info)) = self.content.info(namespace, digest).await else { return };
        let (label, path) = origin_label(repository);
        let known = info.labels.get(&label).map(String::as_str).unwrap_or_default();
        if known.split(',').any(|known| known == path) {
            return;
        }
        let value = if known.is_empty() { path } else { format!("{known},{path}") };
        if let Err(error) = self.content.label(namespace, digest, Labels::from([(label, value)])).await {
            tracing::debug!(%digest, %error, "a blob's origin was not noted");
        }
    }
}

fn repository_connections(remote: &Client) -> usize {
    remote.settings().connections.max(1)
}

/// Reports the progress of one blob; configs are not reported, because clients show no progress bar for them.
struct Voice<'a> {
    events: &'a mpsc::Sender<Event>,
    digest: Digest,
    silent: bool,
}

impl Voice<'_> {
    async fn say(&self, state: State, current: u64, total: u64, from: &str) -> Result<(), Error> {
        if self.silent {
            return Ok(());
        }
        let (digest, mounted_from) = (self.digest.clone(), from.to_owned());
        let layer = PushProgress { digest, state, current, total, mounted_from };
        tell(self.events, Event::Layer(layer)).await
    }
}

async fn tell(events: &mpsc::Sender<Event>, event: Event) -> Result<(), Error> {
    events.send(event).await.map_err(|_| Error::Cancelled)
}
