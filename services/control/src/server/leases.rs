//! `containerd.services.leases.v1.Leases`.

use gantry_proto::containerd::services::leases::v1 as pb;
use gantry_proto::containerd::services::leases::v1::leases_server::Leases as Api;
use gantry_rpc::{context, status};
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::gc::Collector;
use crate::gc::graph::Resource;
use crate::gc::schedule::Scheduler;
use crate::gc::store::Store;
use crate::leases::Leases;

/// The server.
pub struct Server<S> {
    leases: Leases,
    collector: Collector<S>,
    scheduler: Scheduler<S>,
}

impl<S: Store> Server<S> {
    /// Serves these leases.
    pub fn new(leases: Leases, collector: Collector<S>, scheduler: Scheduler<S>) -> Server<S> {
        Server { leases, collector, scheduler }
    }
}

fn resource(resource: Option<pb::Resource>) -> Result<pb::Resource, Status> {
    resource.ok_or_else(|| Status::invalid_argument("resource is required"))
}

#[tonic::async_trait]
impl<S: Store> Api for Server<S> {
    async fn create(
        &self,
        request: Request<pb::CreateRequest>,
    ) -> Result<Response<pb::CreateResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let pb::CreateRequest { id, labels } = request.into_inner();
        let lease = self.leases.create(&namespace, id, labels.into()).await.map_err(status)?;
        Ok(Response::new(pb::CreateResponse { lease: Some(lease) }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        self.leases.delete(namespace.as_str(), &request.id).await.map_err(status)?;
        if request.sync {
            self.scheduler.collect(namespace.as_str()).await.map_err(status)?;
        } else {
            self.scheduler.trigger(namespace.as_str());
        }
        Ok(Response::new(()))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Result<Response<pb::ListResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let leases = self.leases.list(namespace.as_str(), &request.get_ref().filters).map_err(status)?;
        Ok(Response::new(pb::ListResponse { leases }))
    }

    async fn add_resource(&self, request: Request<pb::AddResourceRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let resource = resource(request.resource)?;
        let held = Resource::new(&resource.r#type, &resource.id);
        // To its end, also when the caller goes away: it would leave a record of a lease that is gone.
        let (leases, owner) = (self.leases.clone(), namespace.clone());
        let work = async move { leases.add(&owner, &request.id, resource).await };
        let added = tokio::spawn(work.in_current_span()).await;
        added.map_err(|_| Status::unavailable("service control is ending"))?.map_err(status)?;
        // The record is there for the next collection; this tells the one under way.
        self.collector.protect(namespace.as_str(), &[held]).await;
        Ok(Response::new(()))
    }

    async fn delete_resource(
        &self,
        request: Request<pb::DeleteResourceRequest>,
    ) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let resource = resource(request.resource)?;
        self.leases.remove(&namespace, &request.id, &resource).await.map_err(status)?;
        self.scheduler.trigger(namespace.as_str());
        Ok(Response::new(()))
    }

    async fn list_resources(
        &self,
        request: Request<pb::ListResourcesRequest>,
    ) -> Result<Response<pb::ListResourcesResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let resources = self.leases.resources(namespace.as_str(), &request.get_ref().id).map_err(status)?;
        Ok(Response::new(pb::ListResourcesResponse { resources }))
    }
}
