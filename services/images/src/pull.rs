//! Pulls: a name at a registry becomes an image here, unpacked.
//!
//! ```text
//! resolve → indexes → manifest → config      small, verified in memory
//!    → per layer, all at once:  registry ──bytes──▶ content's ingest ◀──follows── snapshots
//!    → labels → image record → lease ends
//! ```
//!
//! Invariant: the image's name is written last. Whatever happens before leaves at most a lease, blobs and ingests,
//! from which the next pull goes on.

mod plan;
mod transfer;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::content::Owner;
use gantry_failpoint::failpoint;
use gantry_rpc::{Code, Coded, carry};
use gantry_types::{ChainId, Descriptor, DiffId, Digest, Namespace, Platform, Reference};

use crate::catalog::Catalog;
use crate::content::Content;
use crate::error::Error;
use crate::lease::{Lease, Leases, Purpose};
use crate::names::Names;
use crate::progress::{Event, Progress, State};
use crate::record::Record;
use crate::snapshots;
use gantry_distribution::{Access, Client, Credentials, Repository};

pub use plan::{Sources, origin_label};

use transfer::Transfer;

/// How long a layer that cannot be unpacked waits for its digest.
const VERDICT: Duration = Duration::from_secs(5);

/// Pulls images. A cheap clone.
#[derive(Clone)]
pub struct Puller {
    remote: Client,
    names: Names,
    catalog: Catalog,
    content: Content,
    leases: Leases,
}

/// What is to be pulled.
#[derive(Clone, Debug)]
pub struct Order {
    /// The image; without tag and digest `latest` is meant, or all tags.
    pub reference: Reference,
    /// For another platform than the host's.
    pub platform: Option<Platform>,
    /// The caller's credentials.
    pub credentials: Credentials,
    /// Every tag of the repository.
    pub all_tags: bool,
    /// Where to unpack, if not with the default one.
    pub snapshotter: Option<String>,
}

impl Puller {
    /// A puller that stores with these.
    pub fn new(remote: Client, names: Names, catalog: Catalog, leases: Leases) -> Self {
        let content = catalog.content().clone();
        Self { remote, names, catalog, content, leases }
    }

    /// The registry client.
    pub fn remote(&self) -> &Client {
        &self.remote
    }

    /// Pulls, and tells how it goes. Dropping the future stops it; what arrived is kept.
    pub async fn pull(&self, namespace: &Namespace, order: Order, progress: Progress) -> Result<(), Error> {
        let reference = &order.reference;
        let repository = self.remote.repository(
            reference.domain(),
            reference.path(),
            order.credentials.clone(),
            Access::Pull,
        )?;
        if !order.all_tags {
            let reference = reference.clone().with_default_tag();
            return self.pull_one(namespace, &order, &repository, &reference, &progress).await;
        }
        let tags = repository.tags().await.map_err(|error| about(error.into(), reference))?;
        for tag in tags {
            let reference = reference.with_tag(&tag)?;
            self.pull_one(namespace, &order, &repository, &reference, &progress).await?;
        }
        Ok(())
    }

    async fn pull_one(
        &self,
        namespace: &Namespace,
        order: &Order,
        repository: &Repository,
        reference: &Reference,
        progress: &Progress,
    ) -> Result<(), Error> {
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_owned(),
            (None, None) => return Err(Error::Request(format!("{reference} has neither tag nor digest"))),
        };
        let owner = Owner { namespace: namespace.clone(), lease: None };
        let sources = Sources { content: &self.content, repository, owner: &owner };
        let (target, bytes) = sources.resolve(&wanted).await.map_err(|error| about(error, reference))?;
        progress.tell(Event::Resolving { repository: reference.path().to_owned(), tag: wanted }).await?;

        let name = record_name(reference);
        let digest = target.digest.clone();
        let known = self.names.store().find(namespace, &name)?;
        let up_to_date = known.is_some_and(|record| record.target.digest == digest)
            && self.unpacks_with(order) == self.catalog.snapshotter()
            && self.is_complete(namespace, &target, order.platform.as_ref()).await?;
        let purpose = Purpose::Pull { name: &name, target: &digest };
        if up_to_date {
            // A pull that died right after it had written the name has left one.
            if let Err(error) = self.leases.end_interrupted(namespace, purpose).await {
                tracing::warn!(image = name, %error, "what an earlier pull kept stays until its lease expires");
            }
        } else {
            let lease = self.leases.begin(namespace, purpose).await?;
            let sources = Sources { owner: lease.owner(), ..sources };
            let brought = self.bring(sources, order, reference, (target, bytes), progress).await;
            // To its end, also when the caller goes away now: a name whose lease stays is not freed by its removal.
            let (puller, namespace, name) = (self.clone(), namespace.clone(), name.clone());
            let end = async move { puller.settle(&namespace, &name, lease, brought).await };
            carry::to_its_end(end).await.ok_or(Error::Cancelled)??;
        }
        tracing::info!(image = name, %digest, up_to_date, "pulled");
        progress.tell(Event::Pulled { reference: reference.to_string(), digest, up_to_date }).await
    }

    fn unpacks_with<'a>(&'a self, order: &'a Order) -> &'a str {
        order.snapshotter.as_deref().unwrap_or(self.catalog.snapshotter())
    }

    /// Brings everything; returns what the name is to point at.
    async fn bring(
        &self,
        sources: Sources<'_>,
        order: &Order,
        reference: &Reference,
        (target, bytes): (Descriptor, Option<Bytes>),
        progress: &Progress,
    ) -> Result<Descriptor, Error> {
        failpoint!("images.pull.leased");
        let snapshotter = self.unpacks_with(order);
        let platform = order.platform.clone().unwrap_or_else(Platform::host);
        let plan = sources.plan(target, bytes, &platform, &reference.familiar()).await;
        let plan = plan.map_err(|error| about(error, reference))?;
        if let Some(wanted) = &order.platform
            && wanted.rank(&plan.config.platform()).is_none()
        {
            let (reference, found) = (reference.familiar(), plan.config.platform().to_string());
            return Err(Error::OtherPlatform { reference, found, wanted: wanted.clone() });
        }
        plan.store(sources).await?;
        failpoint!("images.pull.planned");
        let (layers, diff_ids) = (&plan.document.layers, &plan.config.rootfs.diff_ids);
        let brought = self.bring_layers(sources, layers, diff_ids, snapshotter, progress).await;
        if brought.as_ref().is_err_and(|error| !is_interruption(error)) {
            transfer::discard(sources, layers).await;
        }
        brought?;
        failpoint!("images.pull.brought");
        let namespace = &sources.owner.namespace;
        snapshots::keep(&self.content, namespace, snapshotter, &plan.document, &plan.config).await?;
        Ok(plan.target)
    }

    /// Writes the name of what was brought, and ends the lease.
    async fn settle(
        &self,
        namespace: &Namespace,
        name: &str,
        lease: Lease,
        brought: Result<Descriptor, Error>,
    ) -> Result<(), Error> {
        let named = match brought {
            Ok(target) => {
                let digest = target.digest.clone();
                let named = self.names.point(namespace, Record::new(name, target)).await;
                self.catalog.forget(namespace, &digest);
                named.map(drop)
            }
            Err(error) => Err(error),
        };
        failpoint!("images.pull.named", infallible);
        // What was interrupted is kept for the next pull. What is wrong would be wrong again: it may go.
        if !named.as_ref().is_err_and(is_interruption) {
            self.finish(namespace, lease, name, named.is_err()).await;
        }
        named
    }

    /// Ends a pull's lease; after a failure what it kept is freed. Neither can make the pull fail.
    async fn finish(&self, namespace: &Namespace, lease: Lease, name: &str, failed: bool) {
        let finished = match lease.finish().await {
            Ok(()) if failed => self.names.collect(namespace).await.map(drop),
            finished => finished,
        };
        if let Err(error) = finished {
            tracing::warn!(image = name, %error, "what a pull kept stays until its lease expires");
        }
    }

    /// Fetches blobs, and does not look what is in them.
    pub async fn fetch(
        &self,
        sources: Sources<'_>,
        blobs: &[Descriptor],
        progress: &Progress,
    ) -> Result<(), Error> {
        let transfers = blobs.iter().map(|blob| Transfer::open(sources, blob.clone()));
        let transfers = futures::future::try_join_all(transfers).await?;
        for blob in blobs {
            progress.enter(&blob.digest, State::Pulling, 0, blob.size).await?;
        }
        transfer::run_all(sources, transfers, self.remote.settings().connections, progress).await
    }

    /// Fetches and unpacks the layers, both at once.
    pub async fn bring_layers(
        &self,
        sources: Sources<'_>,
        layers: &[Descriptor],
        diff_ids: &[DiffId],
        snapshotter: &str,
        progress: &Progress,
    ) -> Result<(), Error> {
        let chain = ChainId::all(diff_ids);
        let mut seen: HashSet<&Digest> = HashSet::new();
        let distinct: Vec<_> =
            layers.iter().zip(&chain).filter(|(layer, _)| seen.insert(&layer.digest)).collect();
        let transfers = distinct.iter().map(|(layer, _)| Transfer::open(sources, (*layer).clone()));
        let transfers = futures::future::try_join_all(transfers).await?;
        for ((layer, chain_id), transfer) in distinct.into_iter().zip(&transfers) {
            let exists =
                transfer.is_present() && self.catalog.exists(&sources.owner.namespace, chain_id).await?;
            let state = if exists { State::Exists } else { State::Pulling };
            progress.enter(&layer.digest, state, 0, layer.size).await?;
        }
        let fetched = transfer::run_all(sources, transfers, self.remote.settings().connections, progress);
        let snapshots = self.catalog.snapshots();
        let unpack = || snapshots.unpack(sources.owner, snapshotter, layers, diff_ids, Some(progress));
        let unpacking = unpack();
        tokio::pin!(fetched, unpacking);
        let unpacked = tokio::select! {
            biased;
            result = &mut fetched => {
                result?;
                unpacking.await
            }
            // Before the last byte is committed it ends only when it fails.
            result = &mut unpacking => match result {
                Err(error) if !is_aborted(&error) => {
                    // Most often the layer's bytes are wrong. Their digest says so, once all of them are here.
                    let verdict = tokio::time::timeout(VERDICT, fetched).await;
                    return Err(verdict.ok().and_then(Result::err).unwrap_or(error));
                }
                result => {
                    fetched.await?;
                    result
                }
            },
        };
        match unpacked {
            // Bytes that it had followed were thrown away and fetched anew: now they are all here.
            Err(error) if is_aborted(&error) => unpack().await?,
            unpacked => unpacked?,
        }
        failpoint!("images.pull.unpacked");
        transfer::label_diff_ids(sources, layers, diff_ids).await
    }

    /// Whether everything of an image is here and unpacked.
    async fn is_complete(
        &self,
        namespace: &Namespace,
        target: &Descriptor,
        wanted: Option<&Platform>,
    ) -> Result<bool, Error> {
        let details = match self.catalog.details(namespace, target, wanted).await {
            Ok(details) => details,
            Err(Error::Missing { .. } | Error::OtherPlatform { .. } | Error::NoPlatform { .. }) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let platform = wanted.cloned().unwrap_or_else(Platform::host);
        if platform.rank(&details.config.platform()).is_none() {
            return Ok(false);
        }
        for layer in &details.document.layers {
            if self.content.info(namespace, &layer.digest).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(self.catalog.unpacked(namespace, &details).await?.complete)
    }
}

/// The name of a reference's record: without the tag when a digest says which one is meant.
fn record_name(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => reference.with_digest(digest.clone()).to_string(),
        None => reference.to_string(),
    }
}

fn about(error: Error, reference: &Reference) -> Error {
    error.of_image("pull", &reference.without_tag_or_digest().familiar(), &reference.familiar())
}

/// Whether a failure says nothing about the image: a registry or peer that went away, or a caller.
fn is_interruption(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::Unauthenticated
    )
}

fn is_aborted(error: &Error) -> bool {
    matches!(error, Error::Peer(failure) if failure.code() == Code::Aborted)
}
