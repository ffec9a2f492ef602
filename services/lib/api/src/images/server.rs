//! `gantry.images.v1.ImageStore`, served by any implementation of the images' interface.

mod records;

use std::pin::Pin;

use futures::stream::{self, Stream};
use gantry_proto::gantry::images::v1 as pb;
use gantry_proto::gantry::images::v1::image_store_server::{ImageStore, ImageStoreServer};
use gantry_rpc::{context, status};
use gantry_types::Reference;
use tonic::{Request, Response, Status};

pub use records::records;

use super::{Look, Progress, Service, convert};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;
use crate::wire::Invalid;

/// The service over an implementation.
pub fn images<S: Service + Clone + 'static>(service: S) -> ImageStoreServer<Server<S>> {
    ImageStoreServer::new(Server(service))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

/// Parses requests, calls the implementation, converts answers. A change of names continues if its client
/// disconnects, because half of one would leave an image that has lost its name and got no other.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The events of an operation as a stream; dropping the stream cancels the operation.
fn events<P: Progress + 'static, T: Send + 'static>(progress: P, convert: fn(P::Event) -> T) -> Events<T> {
    Box::pin(stream::try_unfold(progress, move |mut progress| async move {
        let event = progress.next().await.map_err(status)?;
        Ok(event.map(|event| (convert(event), progress)))
    }))
}

fn reference(text: &str) -> Result<Reference, Status> {
    Reference::parse_normalized(text).map_err(|error| status(Invalid::from(error)))
}

#[tonic::async_trait]
impl<S: Service + Clone + 'static> ImageStore for Server<S> {
    type PullStream = Events<pb::PullProgress>;
    type PushStream = Events<pb::PushProgress>;

    async fn pull(&self, request: Request<pb::PullRequest>) -> Result<Response<Self::PullStream>, Status> {
        let namespace = context::namespace(&request)?;
        let spec = convert::parse_pull_spec(request.into_inner()).map_err(status)?;
        let pulling = self.0.pull_image(&namespace, spec).await.map_err(status)?;
        Ok(Response::new(events(pulling, convert::pull)))
    }

    async fn push(&self, request: Request<pb::PushRequest>) -> Result<Response<Self::PushStream>, Status> {
        let namespace = context::namespace(&request)?;
        let spec = convert::parse_push_spec(request.into_inner()).map_err(status)?;
        let pushing = self.0.push_image(&namespace, spec).await.map_err(status)?;
        Ok(Response::new(events(pushing, convert::push)))
    }

    async fn resolve(&self, request: Request<pb::ResolveRequest>) -> Result<Response<pb::Image>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let platform = convert::parse_platform_text(&request.platform).map_err(status)?;
        let look = if request.documents_only { Look::Documents } else { Look::Everything };
        let image = self.0.image(&namespace, &request.reference, platform.as_ref(), look).await;
        Ok(Response::new(convert::image(image.map_err(status)?)))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Result<Response<pb::ListResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = convert::parse_filters(request.into_inner().filters);
        let images = self.0.images(&namespace, &filters).await.map_err(status)?;
        Ok(Response::new(pb::ListResponse { images: images.into_iter().map(convert::image).collect() }))
    }

    async fn tag(&self, request: Request<pb::TagRequest>) -> Result<Response<pb::TagResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let pb::TagRequest { source, target } = request.into_inner();
        let (service, name) = (self.0.clone(), reference(&target)?);
        let image = to_the_end(async move { service.tag_image(&namespace, &source, &name).await }).await?;
        Ok(Response::new(pb::TagResponse { image: Some(convert::image(image)) }))
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveRequest>,
    ) -> Result<Response<pb::RemoveResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let removal = convert::parse_removal(request.into_inner()).map_err(status)?;
        let service = self.0.clone();
        let removed = to_the_end(async move { service.remove_image(&namespace, removal).await }).await?;
        Ok(Response::new(convert::removed(removed)))
    }

    async fn prune(
        &self,
        request: Request<pb::PruneRequest>,
    ) -> Result<Response<pb::RemoveResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let (filters, uses) = (convert::parse_filters(request.filters), convert::parse_uses(request.in_use));
        let service = self.0.clone();
        let pruning = async move { service.prune_images(&namespace, &filters, &uses).await };
        Ok(Response::new(convert::removed(to_the_end(pruning).await?)))
    }

    async fn ensure_unpacked(
        &self,
        request: Request<pb::EnsureUnpackedRequest>,
    ) -> Result<Response<pb::EnsureUnpackedResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let platform = convert::parse_platform_text(&request.platform).map_err(status)?;
        let snapshotter = convert::said(request.snapshotter);
        let (platform, snapshotter) = (platform.as_ref(), snapshotter.as_deref());
        let image = self.0.unpack_image(&namespace, &request.reference, platform, snapshotter).await;
        let image = Some(convert::image(image.map_err(status)?));
        Ok(Response::new(pb::EnsureUnpackedResponse { image }))
    }

    async fn commit(
        &self,
        request: Request<pb::CommitRequest>,
    ) -> Result<Response<pb::CommitResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let spec = convert::parse_commit(request.into_inner()).map_err(status)?;
        let id = self.0.commit_image(&namespace, spec).await.map_err(status)?;
        Ok(Response::new(pb::CommitResponse { id: id.to_string() }))
    }

    async fn distribution(
        &self,
        request: Request<pb::DistributionRequest>,
    ) -> Result<Response<pb::DistributionResponse>, Status> {
        let request = request.into_inner();
        let (name, credentials) = (reference(&request.reference)?, convert::parse_auth(request.auth));
        let found = self.0.distribution(&name, &credentials).await.map_err(status)?;
        Ok(Response::new(convert::distribution(found)))
    }

    async fn login(&self, request: Request<pb::LoginRequest>) -> Result<Response<pb::LoginResponse>, Status> {
        let auth = request.into_inner().auth.unwrap_or_default();
        let address = auth.server_address.clone();
        self.0.login(&address, &convert::parse_auth(Some(auth))).await.map_err(status)?;
        Ok(Response::new(pb::LoginResponse::default()))
    }

    async fn registries(
        &self,
        _: Request<pb::RegistriesRequest>,
    ) -> Result<Response<pb::RegistriesResponse>, Status> {
        let registries = self.0.registries().await.map_err(status)?;
        let registries = registries.into_iter().map(convert::registry).collect();
        Ok(Response::new(pb::RegistriesResponse { registries }))
    }
}
