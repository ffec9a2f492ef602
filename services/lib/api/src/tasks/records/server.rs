//! containerd's Containers service, over an implementation of the promise.

use std::pin::Pin;

use futures::stream::{self, Stream};
use gantry_proto::containerd::services::containers::v1 as pb;
use gantry_proto::containerd::services::containers::v1::containers_server::{Containers, ContainersServer};
use gantry_rpc::{context, status};
use gantry_types::ContainerId;
use tonic::{Request, Response, Status};

use super::{Container, Record, Store, convert};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;
use crate::wire::{self, Invalid};

/// The service over an implementation.
pub fn service<S: Store + Clone + 'static>(store: S) -> ContainersServer<Server<S>> {
    ContainersServer::new(Server(store))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts. Creations and updates run to their end even if their callers cancel: a record may be written
/// whose snapshot is not held yet.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

/// An invalid id names no container.
fn existing(id: &str) -> Result<ContainerId, Status> {
    id.parse().map_err(|_| Status::not_found(format!("container {id:?} not found")))
}

fn required(container: Option<pb::Container>) -> Result<pb::Container, Status> {
    container.ok_or(Invalid::Missing { field: "container" }).map_err(status)
}

impl<S: Store> Server<S> {
    async fn matching(&self, request: Request<pb::ListContainersRequest>) -> Result<Vec<Record>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = wire::filters(&request.get_ref().filters).map_err(status)?;
        self.0.records(&namespace, &filters).await.map_err(status)
    }
}

#[tonic::async_trait]
impl<S: Store + Clone + 'static> Containers for Server<S> {
    type ListStreamStream = Pin<Box<dyn Stream<Item = Result<pb::ListContainerMessage, Status>> + Send>>;

    async fn get(
        &self,
        request: Request<pb::GetContainerRequest>,
    ) -> Result<Response<pb::GetContainerResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let record = self.0.record(&namespace, &existing(&request.get_ref().id)?).await.map_err(status)?;
        Ok(Response::new(pb::GetContainerResponse { container: Some(record.into()) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListContainersRequest>,
    ) -> Result<Response<pb::ListContainersResponse>, Status> {
        let records = self.matching(request).await?;
        let containers = records.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListContainersResponse { containers }))
    }

    async fn list_stream(
        &self,
        request: Request<pb::ListContainersRequest>,
    ) -> Result<Response<Self::ListStreamStream>, Status> {
        let records = self.matching(request).await?;
        let message = |record: Record| Ok(pb::ListContainerMessage { container: Some(record.into()) });
        Ok(Response::new(Box::pin(stream::iter(records.into_iter().map(message)))))
    }

    async fn create(
        &self,
        request: Request<pb::CreateContainerRequest>,
    ) -> Result<Response<pb::CreateContainerResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let container: Container = required(request.into_inner().container)?.try_into().map_err(status)?;
        let store = self.0.clone();
        let record = to_the_end(async move { store.create_record(&namespace, container).await }).await?;
        Ok(Response::new(pb::CreateContainerResponse { container: Some(record.into()) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateContainerRequest>,
    ) -> Result<Response<pb::UpdateContainerResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let container = required(request.container)?;
        let id = existing(&container.id)?;
        let mask = request.update_mask.unwrap_or_default().paths;
        let update = convert::parse_update(container, &mask).map_err(status)?;
        let store = self.0.clone();
        let record = to_the_end(async move { store.update_record(&namespace, &id, update).await }).await?;
        Ok(Response::new(pb::UpdateContainerResponse { container: Some(record.into()) }))
    }

    async fn delete(&self, request: Request<pb::DeleteContainerRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let id = existing(&request.get_ref().id)?;
        self.0.delete_record(&namespace, &id).await.map(Response::new).map_err(status)
    }
}
