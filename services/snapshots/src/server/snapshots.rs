//! containerd's Snapshots.

use std::pin::Pin;

use gantry_proto::containerd::services::snapshots::v1 as pb;
use gantry_rpc::status;
use gantry_types::filter::FilterSet;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::convert::{self, owner, scope};
use super::{Events, Leases, whole};
use crate::record::Kind;
use crate::store::Store;
use crate::{Error, recover};

/// Records in one message of a list.
const PAGE: usize = 100;

pub struct Snapshots {
    store: Store,
    leases: Leases,
    events: Events,
}

impl Snapshots {
    pub fn new(store: Store, leases: Leases, events: Events) -> Self {
        Self { store, leases, events }
    }

    async fn make<T>(
        &self,
        request: &Request<T>,
        kind: Kind,
        message: pb::PrepareSnapshotRequest,
    ) -> Result<Vec<gantry_proto::containerd::types::Mount>, Status> {
        let owner = owner(request)?;
        let scope = scope(&owner, &message.snapshotter);
        let (store, leases, events) = (self.store.clone(), self.leases.clone(), self.events.clone());
        whole(async move {
            store.driver(&scope.snapshotter).map_err(status)?;
            leases.add(&owner, &scope, &message.key).await.map_err(status)?;
            if let Some(there) = store.target_of(&scope, &message.parent, &message.labels).map_err(status)? {
                // The caller goes on with that one instead.
                leases.add(&owner, &scope, &there).await.map_err(status)?;
            }
            let made =
                store.prepare(&scope, kind, &message.key, &message.parent, message.labels.into()).await;
            let mounts = made.map_err(status)?;
            // containerd tells nobody of a view.
            if kind == Kind::Active {
                events.prepared(&scope, &message.key, &message.parent);
            }
            Ok(convert::mounts(mounts))
        })
        .await
    }
}

type Listing = Pin<Box<dyn Stream<Item = Result<pb::ListSnapshotsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl pb::snapshots_server::Snapshots for Snapshots {
    async fn prepare(
        &self,
        mut request: Request<pb::PrepareSnapshotRequest>,
    ) -> Result<Response<pb::PrepareSnapshotResponse>, Status> {
        let message = std::mem::take(request.get_mut());
        let mounts = self.make(&request, Kind::Active, message).await?;
        Ok(Response::new(pb::PrepareSnapshotResponse { mounts }))
    }

    async fn view(
        &self,
        mut request: Request<pb::ViewSnapshotRequest>,
    ) -> Result<Response<pb::ViewSnapshotResponse>, Status> {
        let pb::ViewSnapshotRequest { snapshotter, key, parent, labels } = std::mem::take(request.get_mut());
        let message = pb::PrepareSnapshotRequest { snapshotter, key, parent, labels };
        let mounts = self.make(&request, Kind::View, message).await?;
        Ok(Response::new(pb::ViewSnapshotResponse { mounts }))
    }

    async fn mounts(
        &self,
        request: Request<pb::MountsRequest>,
    ) -> Result<Response<pb::MountsResponse>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let mounts = self.store.mounts(&scope(&owner, &message.snapshotter), &message.key).map_err(status)?;
        Ok(Response::new(pb::MountsResponse { mounts: convert::mounts(mounts) }))
    }

    async fn commit(&self, request: Request<pb::CommitSnapshotRequest>) -> Result<Response<()>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let scope = scope(&owner, &message.snapshotter);
        let (store, leases, events) = (self.store.clone(), self.leases.clone(), self.events.clone());
        whole(async move {
            let pb::CommitSnapshotRequest { name, key, labels, parent, .. } = message;
            store.driver(&scope.snapshotter).map_err(status)?;
            leases.add(&owner, &scope, &name).await.map_err(status)?;
            store.commit(&scope, &name, &key, labels.into(), &parent).await.map_err(status)?;
            events.committed(&scope, &key, &name);
            leases.remove(&owner, &scope, &key).await;
            Ok(Response::new(()))
        })
        .await
    }

    async fn remove(&self, request: Request<pb::RemoveSnapshotRequest>) -> Result<Response<()>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let scope = scope(&owner, &message.snapshotter);
        let (store, leases, events) = (self.store.clone(), self.leases.clone(), self.events.clone());
        whole(async move {
            store.remove(&scope, &message.key).await.map_err(status)?;
            events.removed(&scope, &message.key);
            leases.remove(&owner, &scope, &message.key).await;
            Ok(Response::new(()))
        })
        .await
    }

    async fn stat(
        &self,
        request: Request<pb::StatSnapshotRequest>,
    ) -> Result<Response<pb::StatSnapshotResponse>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let record = self.store.stat(&scope(&owner, &message.snapshotter), &message.key).map_err(status)?;
        Ok(Response::new(pb::StatSnapshotResponse { info: Some(convert::info(message.key, record)) }))
    }

    async fn update(
        &self,
        request: Request<pb::UpdateSnapshotRequest>,
    ) -> Result<Response<pb::UpdateSnapshotResponse>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let scope = scope(&owner, &message.snapshotter);
        let info = message.info.ok_or_else(|| Status::invalid_argument("info is missing"))?;
        let mask = message.update_mask.map(|mask| mask.paths).unwrap_or_default();
        let store = self.store.clone();
        whole(async move {
            let record =
                store.update(&scope, &info.name, &info.labels.into(), &mask).await.map_err(status)?;
            Ok(Response::new(pb::UpdateSnapshotResponse { info: Some(convert::info(info.name, record)) }))
        })
        .await
    }

    type ListStream = Listing;

    async fn list(&self, request: Request<pb::ListSnapshotsRequest>) -> Result<Response<Listing>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let filters = FilterSet::parse(&message.filters).map_err(|error| status(Error::from(error)))?;
        let found = self.store.list(&scope(&owner, &message.snapshotter), &filters).map_err(status)?;
        let mut infos = found.into_iter().map(|(name, record)| convert::info(name, record));
        let pages = std::iter::from_fn(move || {
            let info: Vec<pb::Info> = infos.by_ref().take(PAGE).collect();
            (!info.is_empty()).then_some(Ok(pb::ListSnapshotsResponse { info }))
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(pages))))
    }

    async fn usage(&self, request: Request<pb::UsageRequest>) -> Result<Response<pb::UsageResponse>, Status> {
        let owner = owner(&request)?;
        let message = request.into_inner();
        let usage =
            self.store.usage(&scope(&owner, &message.snapshotter), &message.key).await.map_err(status)?;
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Ok(Response::new(pb::UsageResponse { size: number(usage.size), inodes: number(usage.inodes) }))
    }

    /// Returns when what was removed before is deleted.
    async fn cleanup(&self, request: Request<pb::CleanupRequest>) -> Result<Response<()>, Status> {
        owner(&request)?;
        self.store.driver(&request.get_ref().snapshotter).map_err(status)?;
        recover::check(&self.store, recover::Repair::Yes).await.map_err(status)?;
        self.store.trash().flush().await;
        Ok(Response::new(()))
    }
}
