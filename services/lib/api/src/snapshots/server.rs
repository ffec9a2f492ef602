//! containerd's Snapshots service, over an implementation of the promise.

mod unpacker;

use std::pin::Pin;

use futures::stream::{self, Stream};
use gantry_proto::containerd::services::snapshots::v1 as pb;
use gantry_proto::containerd::services::snapshots::v1::snapshots_server::{Snapshots, SnapshotsServer};
use gantry_rpc::{context, status};
use gantry_types::{Namespace, Relabel};
use tonic::{Request, Response, Status};

use super::{
    Commit, Inspect, Manage, Owner, Prepare, Service, SnapshotKey, SnapshotName, SnapshotRef, convert,
};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;
use crate::wire::{self, Invalid};

pub use unpacker::unpacker;

/// How many snapshots a message of a listing has.
const LIST_CHUNK: usize = 100;

/// The service over snapshotters.
pub fn service<S: Service + Clone + 'static>(service: S) -> SnapshotsServer<Server<S>> {
    SnapshotsServer::new(Server(service))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts. Changes run to their end even if their callers cancel.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

impl<S: Service> Server<S> {
    fn namespace<T>(&self, request: &Request<T>, snapshotter: &str) -> Result<Namespace, Status> {
        self.0.backend_namespace(snapshotter).map_or_else(|| context::namespace(request), Ok)
    }

    fn owner<T>(&self, request: &Request<T>, snapshotter: &str) -> Result<Owner, Status> {
        match self.0.backend_namespace(snapshotter) {
            Some(namespace) => Ok(Owner { namespace, lease: context::lease(request)? }),
            None => Owner::of_request(request),
        }
    }
}

fn key(text: String) -> Result<SnapshotKey, Status> {
    SnapshotKey::try_from(text).map_err(status)
}

fn either(text: String) -> Result<SnapshotRef, Status> {
    SnapshotRef::try_from(text).map_err(status)
}

#[tonic::async_trait]
impl<S: Service + Clone + 'static> Snapshots for Server<S> {
    type ListStream = Pin<Box<dyn Stream<Item = Result<pb::ListSnapshotsResponse, Status>> + Send>>;

    async fn prepare(
        &self,
        request: Request<pb::PrepareSnapshotRequest>,
    ) -> Result<Response<pb::PrepareSnapshotResponse>, Status> {
        let owner = self.owner(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let (key, parent) = (key(request.key)?, convert::parse_parent(request.parent));
        let snapshotter = self.0.snapshotter(&request.snapshotter);
        let labels = request.labels.into();
        let work = async move { snapshotter.prepare(&owner, &key, parent.as_ref(), labels).await };
        let mounts = convert::mounts(to_the_end(work).await?);
        Ok(Response::new(pb::PrepareSnapshotResponse { mounts }))
    }

    async fn view(
        &self,
        request: Request<pb::ViewSnapshotRequest>,
    ) -> Result<Response<pb::ViewSnapshotResponse>, Status> {
        let owner = self.owner(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let (key, parent) = (key(request.key)?, convert::parse_parent(request.parent));
        let snapshotter = self.0.snapshotter(&request.snapshotter);
        let labels = request.labels.into();
        let work = async move { snapshotter.view(&owner, &key, parent.as_ref(), labels).await };
        let mounts = convert::mounts(to_the_end(work).await?);
        Ok(Response::new(pb::ViewSnapshotResponse { mounts }))
    }

    async fn mounts(
        &self,
        request: Request<pb::MountsRequest>,
    ) -> Result<Response<pb::MountsResponse>, Status> {
        let namespace = self.namespace(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let snapshotter = self.0.snapshotter(&request.snapshotter);
        let mounts = snapshotter.mounts(&namespace, &key(request.key)?).await.map_err(status)?;
        Ok(Response::new(pb::MountsResponse { mounts: convert::mounts(mounts) }))
    }

    async fn commit(&self, request: Request<pb::CommitSnapshotRequest>) -> Result<Response<()>, Status> {
        let owner = self.owner(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let (key, rebase) = (key(request.key)?, convert::parse_parent(request.parent));
        let name = SnapshotName::try_from(request.name).map_err(status)?;
        let snapshotter = self.0.snapshotter(&request.snapshotter);
        let labels = request.labels.into();
        let work = async move { snapshotter.commit(&owner, &name, &key, labels, rebase.as_ref()).await };
        to_the_end(work).await.map(Response::new)
    }

    async fn remove(&self, request: Request<pb::RemoveSnapshotRequest>) -> Result<Response<()>, Status> {
        let owner = self.owner(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let (snapshotter, key) = (self.0.snapshotter(&request.snapshotter), either(request.key)?);
        to_the_end(async move { snapshotter.remove(&owner, &key).await }).await.map(Response::new)
    }

    async fn stat(
        &self,
        request: Request<pb::StatSnapshotRequest>,
    ) -> Result<Response<pb::StatSnapshotResponse>, Status> {
        let namespace = self.namespace(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let snapshotter = self.0.snapshotter(&request.snapshotter);
        let info = snapshotter.stat(&namespace, &either(request.key)?).await.map_err(status)?;
        Ok(Response::new(pb::StatSnapshotResponse { info: Some(convert::info(info)) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateSnapshotRequest>,
    ) -> Result<Response<pb::UpdateSnapshotResponse>, Status> {
        let namespace = self.namespace(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let info = request.info.ok_or(Invalid::Missing { field: "info" }).map_err(status)?;
        let name = either(info.name)?;
        let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let labels = Relabel::parse(info.labels.into(), &mask).map_err(|e| status(Invalid::from(e)))?;
        let snapshotter = self.0.snapshotter(&request.snapshotter);
        let info = to_the_end(async move { snapshotter.update(&namespace, &name, &labels).await }).await?;
        Ok(Response::new(pb::UpdateSnapshotResponse { info: Some(convert::info(info)) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListSnapshotsRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let namespace = self.namespace(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let filters = wire::filters(&request.filters).map_err(status)?;
        let snapshotter = self.0.snapshotter(&request.snapshotter);
        let snapshots = snapshotter.list(&namespace, &filters).await.map_err(status)?;
        let mut snapshots = snapshots.into_iter().map(convert::info).peekable();
        let messages = std::iter::from_fn(move || {
            snapshots.peek()?;
            Some(Ok(pb::ListSnapshotsResponse { info: snapshots.by_ref().take(LIST_CHUNK).collect() }))
        });
        Ok(Response::new(Box::pin(stream::iter(messages))))
    }

    async fn usage(&self, request: Request<pb::UsageRequest>) -> Result<Response<pb::UsageResponse>, Status> {
        let namespace = self.namespace(&request, &request.get_ref().snapshotter)?;
        let request = request.into_inner();
        let snapshotter = self.0.snapshotter(&request.snapshotter);
        let usage = snapshotter.usage(&namespace, &either(request.key)?).await.map_err(status)?;
        Ok(Response::new(convert::usage(usage)))
    }

    async fn cleanup(&self, request: Request<pb::CleanupRequest>) -> Result<Response<()>, Status> {
        let namespace = self.namespace(&request, &request.get_ref().snapshotter)?;
        let snapshotter = self.0.snapshotter(&request.get_ref().snapshotter);
        to_the_end(async move { snapshotter.cleanup(&namespace).await }).await.map(Response::new)
    }
}
