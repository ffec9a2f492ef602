//! containerd's Content service.

use futures::stream::{self, Stream};
use gantry_proto::containerd::services::content::v1 as pb;
use gantry_proto::containerd::services::content::v1::content_server::Content;
use gantry_rpc::{context, status};
use gantry_types::Labels;
use gantry_types::filter::FilterSet;
use std::pin::Pin;
use tonic::{Request, Response, Status, Streaming};

use super::{convert, read, to_the_end, write};
use crate::Error;
use crate::ingest::IngestKey;
use crate::store::Store;

/// How many blobs one message of a listing has.
const LIST_CHUNK: usize = 100;

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(super) struct Server(pub(super) Store);

#[tonic::async_trait]
impl Content for Server {
    type ListStream = Answers<pb::ListContentResponse>;
    type ReadStream = Answers<pb::ReadContentResponse>;
    type WriteStream = Answers<pb::WriteContentResponse>;

    async fn info(&self, request: Request<pb::InfoRequest>) -> Result<Response<pb::InfoResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let digest = convert::digest(&request.get_ref().digest).map_err(status)?;
        let info = self.0.info(&namespace, &digest).map_err(status)?;
        Ok(Response::new(pb::InfoResponse { info: Some(convert::info(info)) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateRequest>,
    ) -> Result<Response<pb::UpdateResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let info = request.info.ok_or(Error::Missing { field: "info" }).map_err(status)?;
        let digest = convert::digest(&info.digest).map_err(status)?;
        let labels = Labels::from(info.labels);
        let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let store = self.0.clone();
        let info = to_the_end(async move { store.update(&namespace, &digest, &labels, &mask).await }).await?;
        Ok(Response::new(pb::UpdateResponse { info: Some(convert::info(info)) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListContentRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = FilterSet::parse(&request.get_ref().filters).map_err(|e| status(Error::from(e)))?;
        let store = self.0.clone();
        let blobs = crate::store::blocking(move || store.list(&namespace, &filters)).await.map_err(status)?;
        let messages: Vec<_> = blobs
            .chunks(LIST_CHUNK)
            .map(|blobs| {
                Ok(pb::ListContentResponse { info: blobs.iter().cloned().map(convert::info).collect() })
            })
            .collect();
        Ok(Response::new(Box::pin(stream::iter(messages))))
    }

    async fn delete(&self, request: Request<pb::DeleteContentRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let lease = context::lease(&request)?;
        let digest = convert::digest(&request.get_ref().digest).map_err(status)?;
        let store = self.0.clone();
        let deletion = async move {
            store.delete(&namespace, &digest).await?;
            store.unlease_blob(&namespace, lease.as_deref(), &digest).await;
            Ok(())
        };
        to_the_end(deletion).await.map(Response::new)
    }

    async fn read(
        &self,
        request: Request<pb::ReadContentRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let digest = convert::digest(&request.digest).map_err(status)?;
        let (file, info) = self.0.open_blob(&namespace, &digest).map_err(status)?;
        let range = read::Range::of(&info, request.offset, request.size).map_err(status)?;
        Ok(Response::new(Box::pin(read::pieces(file, self.0.layout().blob(&digest), range))))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let key = IngestKey::new(namespace, request.into_inner().r#ref).map_err(status)?;
        let found = self.0.status(&key).map_err(status)?;
        Ok(Response::new(pb::StatusResponse { status: Some(convert::status(found)) }))
    }

    async fn list_statuses(
        &self,
        request: Request<pb::ListStatusesRequest>,
    ) -> Result<Response<pb::ListStatusesResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = FilterSet::parse(&request.get_ref().filters).map_err(|e| status(Error::from(e)))?;
        let statuses = self.0.statuses(&namespace, &filters).into_iter().map(convert::status).collect();
        Ok(Response::new(pb::ListStatusesResponse { statuses }))
    }

    async fn write(
        &self,
        request: Request<Streaming<pb::WriteContentRequest>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let namespace = context::namespace(&request)?;
        let lease = context::lease(&request)?;
        let session = write::Session { store: self.0.clone(), namespace, lease };
        Ok(Response::new(Box::pin(session.start(request.into_inner()))))
    }

    async fn abort(&self, request: Request<pb::AbortRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let lease = context::lease(&request)?;
        let key = IngestKey::new(namespace, request.into_inner().r#ref).map_err(status)?;
        let store = self.0.clone();
        let abort = async move {
            store.abort(&key).await?;
            store.unlease_ingest(&key, lease.as_deref()).await;
            Ok(())
        };
        to_the_end(abort).await.map(Response::new)
    }
}
