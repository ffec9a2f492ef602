//! containerd's Leases service, over an implementation of the promise.

use gantry_proto::containerd::services::leases::v1 as pb;
use gantry_proto::containerd::services::leases::v1::leases_server::{Leases, LeasesServer};
use gantry_rpc::{context, status};
use tonic::{Request, Response, Status};

use super::{Collect, Resource, Store, convert};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;
use crate::wire::{self, Invalid};

/// The service over a store.
pub fn service<S: Store + Clone + 'static>(store: S) -> LeasesServer<Server<S>> {
    LeasesServer::new(Server(store)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts. An addition runs to its end even if its caller cancels: half an addition would leave a
/// record of a deleted lease.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

fn resource(resource: Option<pb::Resource>) -> Result<Resource, Status> {
    let resource = resource.ok_or(Invalid::Missing { field: "resource" }).map_err(status)?;
    convert::parse_resource(&resource).map_err(status)
}

#[tonic::async_trait]
impl<S: Store + Clone + 'static> Leases for Server<S> {
    async fn create(
        &self,
        request: Request<pb::CreateRequest>,
    ) -> Result<Response<pb::CreateResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let pb::CreateRequest { id, labels } = request.into_inner();
        let id = Some(id.as_str()).filter(|id| !id.is_empty());
        let lease = self.0.create(&namespace, id, labels.into()).await.map_err(status)?;
        Ok(Response::new(pb::CreateResponse { lease: Some(convert::lease(lease)) }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let pb::DeleteRequest { id, sync } = request.into_inner();
        let collect = if sync { Collect::Now } else { Collect::Later };
        self.0.delete(&namespace, &id, collect).await.map(Response::new).map_err(status)
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Result<Response<pb::ListResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let filters = wire::filters(&request.get_ref().filters).map_err(status)?;
        let leases = self.0.list(&namespace, &filters).await.map_err(status)?;
        Ok(Response::new(pb::ListResponse { leases: leases.into_iter().map(convert::lease).collect() }))
    }

    async fn add_resource(&self, request: Request<pb::AddResourceRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let resource = resource(request.resource)?;
        let store = self.0.clone();
        let adding = async move { store.add(&namespace, &request.id, &resource).await };
        to_the_end(adding).await.map(Response::new)
    }

    async fn delete_resource(
        &self,
        request: Request<pb::DeleteResourceRequest>,
    ) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let resource = resource(request.resource)?;
        self.0.remove(&namespace, &request.id, &resource).await.map(Response::new).map_err(status)
    }

    async fn list_resources(
        &self,
        request: Request<pb::ListResourcesRequest>,
    ) -> Result<Response<pb::ListResourcesResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let resources = self.0.resources(&namespace, &request.get_ref().id).await.map_err(status)?;
        let resources = resources.iter().map(convert::resource).collect();
        Ok(Response::new(pb::ListResourcesResponse { resources }))
    }
}
