//! `gantry.images.v1.ImageStore`.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::SystemTime;

use futures::{Stream, StreamExt};
use gantry_proto::gantry::images::v1 as pb;
use gantry_proto::gantry::images::v1::image_store_server;
use gantry_rpc::{context, status};
use gantry_types::{Namespace, Reference, media_type};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::catalog::{Catalog, Details, Found, Unpacked};
use crate::commit::{Committer, Order};
use crate::document;
use crate::error::Error;
use crate::filters::{Filters, Subject};
use crate::lease::{Leases, Purpose};
use crate::names::Names;
use crate::progress::Progress;
use crate::pull::{self, Puller};
use crate::push::{self, Pusher};
use crate::record::{self, Record};
use crate::remove::{Force, Removed, Remover, Use};
use crate::wire;
use crate::{moments, snapshots};
use gantry_distribution::{Access, Client};

/// Serves images to those who know them as Docker's users do.
pub struct ImageStore {
    /// Pulls.
    pub puller: Puller,
    /// Pushes.
    pub pusher: Pusher,
    /// Removals.
    pub remover: Remover,
    /// Names.
    pub names: Names,
    /// Look-ups.
    pub catalog: Catalog,
    /// What keeps layers while they are unpacked.
    pub leases: Leases,
}

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Runs `work` while its events are read; dropping the stream drops the work.
fn stream<E: Send + 'static, T: Send + 'static>(
    work: impl Future<Output = Result<(), Error>> + Send + 'static,
    events: mpsc::Receiver<E>,
    convert: fn(E) -> T,
) -> Events<T> {
    let mut task = tokio::task::JoinSet::new();
    task.spawn(work.in_current_span());
    let events = ReceiverStream::new(events).map(move |event| Ok(convert(event)));
    let end = futures::stream::once(async move {
        match task.join_next().await {
            Some(Ok(Err(error))) => Some(Err(status(error))),
            Some(Err(error)) => Some(Err(Status::internal(error.to_string()))),
            Some(Ok(Ok(()))) | None => None,
        }
    });
    Box::pin(events.chain(end.filter_map(std::future::ready)))
}

impl ImageStore {
    /// All that is known of an image for one platform.
    async fn describe(
        &self,
        namespace: &Namespace,
        found: &Found,
        details: &Details,
    ) -> Result<pb::Image, Error> {
        let unpacked = self.catalog.unpacked(namespace, details).await?;
        Ok(wire::image(found, details, &unpacked))
    }

    async fn resolve_one(
        &self,
        namespace: &Namespace,
        request: &pb::ResolveRequest,
    ) -> Result<pb::Image, Error> {
        let found = self.catalog.find(namespace, &request.reference)?;
        let wanted = wire::platform(&request.platform)?;
        let details = self.catalog.details(namespace, &found.target, wanted.as_ref()).await;
        let details = details.map_err(|error| named(error, &request.reference))?;
        if request.documents_only {
            return Ok(wire::image(&found, &details, &Unpacked::default()));
        }
        self.describe(namespace, &found, &details).await
    }

    async fn list_all(
        &self,
        namespace: &Namespace,
        request: pb::ListRequest,
    ) -> Result<Vec<pb::Image>, Error> {
        let filters = parse(
            &request.filters,
            &["dangling", "label", "label!", "before", "since", "reference", "until"],
        )?;
        let created_of = |text: String| async move {
            let found = self.catalog.find(namespace, &text)?;
            let details = self.catalog.details(namespace, &found.target, None).await?;
            Ok::<_, Error>(created(&details, &found))
        };
        let (mut before, mut since) = (None::<SystemTime>, None::<SystemTime>);
        for text in filters.before.clone() {
            let moment = created_of(text).await?;
            before = Some(before.map_or(moment, |known| known.min(moment)));
        }
        for text in filters.since.clone() {
            let moment = created_of(text).await?;
            since = Some(since.map_or(moment, |known| known.max(moment)));
        }
        let mut images = Vec::new();
        for found in self.catalog.all(namespace)? {
            let details = match self.catalog.details(namespace, &found.target, None).await {
                Ok(details) => details,
                // An image of which something is missing is not an image of Docker's.
                Err(error @ (Error::Missing { .. } | Error::Document { .. } | Error::NoPlatform { .. })) => {
                    tracing::debug!(digest = %found.target.digest, %error, "an incomplete image is not listed");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let moment = created(&details, &found);
            let labels = details.config.labels();
            let subject = Subject { found: &found, labels: &labels, created: Some(moment) };
            if before.is_some_and(|before| moment >= before)
                || since.is_some_and(|since| moment <= since)
                || !filters.pass(&subject)
            {
                continue;
            }
            images.push(self.describe(namespace, &filters.shown(found), &details).await?);
        }
        images.sort_by_key(|image| std::cmp::Reverse(record::moment(image.created_at)));
        Ok(images)
    }

    async fn tag_one(&self, namespace: &Namespace, request: &pb::TagRequest) -> Result<pb::Image, Error> {
        let target = Reference::parse_normalized(&request.target)?;
        if target.digest().is_some() {
            return Err(Error::Request("refusing to create a tag with a digest reference".into()));
        }
        let found = self.catalog.find(namespace, &request.source)?;
        let name = target.with_default_tag().to_string();
        self.names.point(namespace, Record::new(name.clone(), found.target)).await?;
        self.resolve_one(namespace, &pb::ResolveRequest { reference: name, ..Default::default() }).await
    }

    async fn unpack_one(
        &self,
        namespace: &Namespace,
        request: &pb::EnsureUnpackedRequest,
    ) -> Result<pb::Image, Error> {
        let found = self.catalog.find(namespace, &request.reference)?;
        let wanted = wire::platform(&request.platform)?;
        let details = self.catalog.details(namespace, &found.target, wanted.as_ref()).await;
        let details = details.map_err(|error| named(error, &request.reference))?;
        let snapshotter = match request.snapshotter.as_str() {
            "" => self.catalog.snapshotter(),
            other => other,
        };
        let complete = snapshotter == self.catalog.snapshotter()
            && self.catalog.unpacked(namespace, &details).await?.complete;
        if !complete {
            // Until the config keeps them, nothing else keeps the layers from a collection.
            let lease = self.leases.begin(namespace, Purpose::Once("unpack")).await?;
            let content = self.catalog.content();
            let (owner, document, config) = (lease.owner(), &details.document, &details.config);
            let diff_ids = &config.rootfs.diff_ids;
            let unpacked = async {
                let snapshots = self.catalog.snapshots();
                snapshots.unpack(owner, snapshotter, &document.layers, diff_ids, None).await?;
                snapshots::keep(content, namespace, snapshotter, document, config).await
            };
            let unpacked = unpacked.await;
            if let Err(error) = lease.finish().await {
                tracing::warn!(image = request.reference, %error, "an unpacking's lease stays until it expires");
            }
            unpacked?;
        }
        self.describe(namespace, &found, &details).await
    }

    async fn ask_registry(
        &self,
        request: pb::DistributionRequest,
    ) -> Result<pb::DistributionResponse, Error> {
        let reference = Reference::parse_normalized(&request.reference)?.with_default_tag();
        let remote: &Client = self.puller.remote();
        let credentials = wire::credentials(request.auth);
        let repository =
            remote.repository(reference.domain(), reference.path(), credentials, Access::Pull)?;
        let about = |error: gantry_distribution::Error| {
            Error::from(error).of_image(
                "pull",
                &reference.without_tag_or_digest().familiar(),
                &reference.familiar(),
            )
        };
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or_default().to_owned(),
        };
        let manifest = repository.manifest(&wanted, reference.digest()).await.map_err(about)?;
        let platforms = match media_type::is_index(&manifest.descriptor.media_type) {
            true => document::index(&manifest.descriptor, &manifest.bytes)?
                .manifests
                .iter()
                .filter_map(document::Entry::platform)
                .collect(),
            false => {
                let document = document::manifest(&manifest.descriptor, &manifest.bytes)?;
                let mut body = repository.blob(&document.config.digest, document.config.size, 0);
                let mut bytes = Vec::new();
                while let Some(piece) = body.next().await.map_err(about)? {
                    bytes.extend_from_slice(&piece);
                }
                vec![document::config(&document, &bytes)?.platform()]
            }
        };
        Ok(pb::DistributionResponse {
            descriptor: Some(record::descriptor(&manifest.descriptor)),
            platforms: platforms.iter().map(wire::platform_message).collect(),
        })
    }

    async fn check_login(&self, request: pb::LoginRequest) -> Result<pb::LoginResponse, Error> {
        let auth = request.auth.unwrap_or_default();
        let address = auth.server_address.trim_start_matches("https://").trim_start_matches("http://");
        let host = address.split('/').next().unwrap_or_default();
        let host = if host.is_empty() { "docker.io" } else { host };
        let credentials = wire::credentials(Some(auth.clone()));
        self.puller.remote().repository(host, "", credentials, Access::Login)?.ping().await?;
        Ok(pb::LoginResponse::default())
    }
}

/// When an image was made; when its config does not say, when it came.
fn created(details: &Details, found: &Found) -> SystemTime {
    let stated = moments::created(details.config.created.as_deref());
    stated
        .or_else(|| found.records.iter().map(|record| record.created).min())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Says of a missing platform which image lacks it, in the words of whoever asked.
fn named(error: Error, text: &str) -> Error {
    match error {
        Error::OtherPlatform { found, wanted, .. } => {
            Error::OtherPlatform { reference: text.to_owned(), found, wanted }
        }
        Error::NoPlatform { wanted, .. } => Error::NoPlatform { reference: text.to_owned(), wanted },
        other => other,
    }
}

fn parse(filters: &[pb::Filter], allowed: &[&str]) -> Result<Filters, Error> {
    Filters::parse(filters.iter().map(|filter| (filter.key.as_str(), filter.values.as_slice())), allowed)
}

fn uses(uses: Vec<pb::remove_request::Use>) -> Vec<Use> {
    uses.into_iter()
        .map(|used| Use {
            container: used.container_id,
            reference: used.reference,
            image: used.image_id,
            running: used.running,
        })
        .collect()
}

fn removed(removed: Removed) -> pb::RemoveResponse {
    pb::RemoveResponse {
        untagged: removed.untagged,
        untagged_from: removed.untagged_from.iter().map(ToString::to_string).collect(),
        deleted: removed.deleted.iter().map(ToString::to_string).collect(),
        freed_bytes: removed.freed,
    }
}

#[tonic::async_trait]
impl image_store_server::ImageStore for ImageStore {
    type PullStream = Events<pb::PullProgress>;

    async fn pull(&self, request: Request<pb::PullRequest>) -> Result<Response<Self::PullStream>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let order = (|| {
            Ok(pull::Order {
                reference: Reference::parse_normalized(&request.reference)?,
                platform: wire::platform(&request.platform)?,
                credentials: wire::credentials(request.auth),
                all_tags: request.all_tags,
                snapshotter: Some(request.snapshotter).filter(|name| !name.is_empty()),
            })
        })()
        .map_err(|error: Error| status(error))?;
        let (progress, events) = Progress::channel();
        let puller = self.puller.clone();
        let work = async move { puller.pull(&namespace, order, progress).await };
        Ok(Response::new(stream(work, events, wire::pull_progress)))
    }

    type PushStream = Events<pb::PushProgress>;

    async fn push(&self, request: Request<pb::PushRequest>) -> Result<Response<Self::PushStream>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let order = (|| {
            Ok(push::Order {
                reference: Reference::parse_normalized(&request.reference)?,
                platform: wire::platform(&request.platform)?,
                credentials: wire::credentials(request.auth),
            })
        })()
        .map_err(|error: Error| status(error))?;
        let (sender, events) = mpsc::channel(256);
        let pusher = self.pusher.clone();
        let work = async move { pusher.push(&namespace, order, sender).await };
        Ok(Response::new(stream(work, events, wire::push_progress)))
    }

    async fn resolve(&self, request: Request<pb::ResolveRequest>) -> Result<Response<pb::Image>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.get_ref();
        let image = self.resolve_one(&namespace, request).await.map_err(status)?;
        Ok(Response::new(image))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Result<Response<pb::ListResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let images = self.list_all(&namespace, request.into_inner()).await.map_err(status)?;
        Ok(Response::new(pb::ListResponse { images }))
    }

    async fn tag(&self, request: Request<pb::TagRequest>) -> Result<Response<pb::TagResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let image = self.tag_one(&namespace, request.get_ref()).await.map_err(status)?;
        Ok(Response::new(pb::TagResponse { image: Some(image) }))
    }

    async fn commit(
        &self,
        request: Request<pb::CommitRequest>,
    ) -> Result<Response<pb::CommitResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let order = Order::parse(request.into_inner()).map_err(status)?;
        let committer = Committer {
            names: self.names.clone(),
            catalog: self.catalog.clone(),
            leases: self.leases.clone(),
        };
        // It is cleared away after, also when this future is dropped because the caller is gone.
        let (caller, gone) = oneshot::channel::<()>();
        let work = async move { committer.commit(&namespace, &order, async { drop(gone.await) }).await };
        let made = tokio::spawn(work.in_current_span()).await;
        drop(caller);
        let id = made.unwrap_or(Err(Error::Cancelled)).map_err(status)?;
        Ok(Response::new(pb::CommitResponse { id: id.to_string() }))
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveRequest>,
    ) -> Result<Response<pb::RemoveResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let force = if request.force { Force::Yes } else { Force::No };
        let (reference, uses) = (request.reference, uses(request.in_use));
        let result = match wire::platform(&request.platform).map_err(status)? {
            None => self.remover.remove(&namespace, &reference, force, &uses).await,
            Some(platform) => {
                self.remover.remove_platform(&namespace, &reference, &platform, force, &uses).await
            }
        };
        Ok(Response::new(removed(result.map_err(status)?)))
    }

    async fn prune(
        &self,
        request: Request<pb::PruneRequest>,
    ) -> Result<Response<pb::RemoveResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let filters = parse(&request.filters, &["dangling", "label", "label!", "until"]).map_err(status)?;
        let result = self.remover.prune(&namespace, filters, &uses(request.in_use)).await;
        Ok(Response::new(removed(result.map_err(status)?)))
    }

    async fn ensure_unpacked(
        &self,
        request: Request<pb::EnsureUnpackedRequest>,
    ) -> Result<Response<pb::EnsureUnpackedResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let image = self.unpack_one(&namespace, request.get_ref()).await.map_err(status)?;
        Ok(Response::new(pb::EnsureUnpackedResponse { image: Some(image) }))
    }

    async fn distribution(
        &self,
        request: Request<pb::DistributionRequest>,
    ) -> Result<Response<pb::DistributionResponse>, Status> {
        self.ask_registry(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn login(&self, request: Request<pb::LoginRequest>) -> Result<Response<pb::LoginResponse>, Status> {
        self.check_login(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn registries(
        &self,
        _: Request<pb::RegistriesRequest>,
    ) -> Result<Response<pb::RegistriesResponse>, Status> {
        let settings = self.puller.remote().settings();
        let mut hosts: BTreeSet<&String> = settings.mirrors.keys().collect();
        hosts.extend(&settings.insecure);
        let registries = hosts.into_iter().map(|host| pb::registries_response::Registry {
            host: host.clone(),
            mirrors: settings.mirrors.get(host).cloned().unwrap_or_default(),
            insecure: settings.insecure.contains(host),
        });
        Ok(Response::new(pb::RegistriesResponse { registries: registries.collect() }))
    }
}
