//! containerd's Content service, over an implementation of the promise.

mod read;
mod write;

use std::pin::Pin;

use futures::stream::{self, Stream};
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::content_server::{Content, ContentServer};
use gantry_rpc::{context, status};
use gantry_types::Relabel;
use tonic::{Request, Response, Status, Streaming};

use super::{IngestRef, Owner, Range, Store, convert};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;
use crate::wire::{self, Invalid};

/// How many blobs a message of a listing has.
const LIST_CHUNK: usize = 100;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service over a store.
pub fn service<S: Store + Clone + 'static>(store: S) -> ContentServer<Server<S>> {
    ContentServer::new(Server(store))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts. Changes run to their end even if their callers cancel.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

fn reference(text: String) -> Result<IngestRef, Status> {
    IngestRef::try_from(text).map_err(status)
}

#[tonic::async_trait]
impl<S: Store + Clone + 'static> Content for Server<S> {
    type ListStream = Answers<pb::ListContentResponse>;
    type ReadStream = Answers<pb::ReadContentResponse>;
    type WriteStream = Answers<pb::WriteContentResponse>;

    async fn info(&self, request: Request<pb::InfoRequest>) -> Result<Response<pb::InfoResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let digest = wire::digest(&request.get_ref().digest).map_err(status)?;
        let info = self.0.info(&namespace, &digest).await.map_err(status)?;
        Ok(Response::new(pb::InfoResponse { info: Some(convert::info(info)) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let info = request.info.ok_or(Invalid::Missing { field: "info" }).map_err(status)?;
        let digest = wire::digest(&info.digest).map_err(status)?;
        let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let labels = Relabel::parse(info.labels.into(), &mask).map_err(|e| status(Invalid::from(e)))?;
        let store = self.0.clone();
        let info = to_the_end(async move { store.update(&namespace, &digest, &labels).await }).await?;
        Ok(Response::new(pb::UpdateResponse { info: Some(convert::info(info)) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListContentRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = wire::filters(&request.get_ref().filters).map_err(status)?;
        let blobs = self.0.walk(&namespace, &filters).await.map_err(status)?;
        let mut blobs = blobs.into_iter().map(convert::info).peekable();
        let messages = std::iter::from_fn(move || {
            blobs.peek()?;
            Some(Ok(pb::ListContentResponse { info: blobs.by_ref().take(LIST_CHUNK).collect() }))
        });
        Ok(Response::new(Box::pin(stream::iter(messages))))
    }

    async fn delete(&self, request: Request<pb::DeleteContentRequest>) -> Result<Response<()>, Status> {
        let owner = Owner::of_request(&request)?;
        let digest = wire::digest(&request.get_ref().digest).map_err(status)?;
        let store = self.0.clone();
        to_the_end(async move { store.delete(&owner, &digest).await }).await.map(Response::new)
    }

    async fn read(
        &self,
        request: Request<pb::ReadContentRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let digest = wire::digest(&request.digest).map_err(status)?;
        let range = Range::of_request(request.offset, request.size);
        let reader = self.0.read(&namespace, &digest, range).await.map_err(status)?;
        Ok(Response::new(Box::pin(read::pieces(reader, range.start))))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let reference = reference(request.into_inner().r#ref)?;
        let found = self.0.status(&namespace, &reference).await.map_err(status)?;
        Ok(Response::new(pb::StatusResponse { status: Some(convert::status(found)) }))
    }

    async fn list_statuses(
        &self,
        request: Request<pb::ListStatusesRequest>,
    ) -> Result<Response<pb::ListStatusesResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = wire::filters(&request.get_ref().filters).map_err(status)?;
        let statuses = self.0.statuses(&namespace, &filters).await.map_err(status)?;
        let statuses = statuses.into_iter().map(convert::status).collect();
        Ok(Response::new(pb::ListStatusesResponse { statuses }))
    }

    async fn write(
        &self,
        request: Request<Streaming<pb::WriteContentRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let session = write::Session { store: self.0.clone(), owner: Owner::of_request(&request)? };
        Ok(Response::new(Box::pin(session.start(request.into_inner()))))
    }

    async fn abort(&self, request: Request<pb::AbortRequest>) -> Result<Response<()>, Status> {
        let owner = Owner::of_request(&request)?;
        let reference = reference(request.into_inner().r#ref)?;
        let store = self.0.clone();
        to_the_end(async move { store.abort(&owner, &reference).await }).await.map(Response::new)
    }
}
