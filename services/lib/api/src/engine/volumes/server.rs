//! `gantry.engine.v1.Volumes`, served by any implementation of the volumes' interface.

use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::status;
use pb::volumes_server::{Volumes, VolumesServer};
use tonic::{Request, Response, Status};

use super::{Force, Service, Usage};
use crate::engine::Filter;
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;

/// The service over an implementation.
pub fn service<S: Service + Clone + 'static>(service: S) -> VolumesServer<Server<S>> {
    VolumesServer::new(Server(service)).max_decoding_message_size(MESSAGE_LIMIT)
}

/// Parses requests, calls the implementation, converts answers. A change continues if its client disconnects, because
/// an interrupted change would have to be undone.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

fn filters(asked: Vec<pb::Filter>) -> Vec<Filter> {
    asked.into_iter().map(Into::into).collect()
}

#[tonic::async_trait]
impl<S: Service + Clone + 'static> Volumes for Server<S> {
    async fn create(
        &self,
        request: Request<pb::CreateVolumeRequest>,
    ) -> Result<Response<pb::Volume>, Status> {
        let (service, spec) = (self.0.clone(), request.into_inner().into());
        let made = to_the_end(async move { service.create_volume(spec).await }).await?;
        Ok(Response::new(made.into()))
    }

    async fn get(&self, request: Request<pb::VolumeRequest>) -> Result<Response<pb::Volume>, Status> {
        let found = self.0.volume(&request.get_ref().name).await.map_err(status)?;
        Ok(Response::new(found.into()))
    }

    async fn list(
        &self,
        request: Request<pb::ListVolumesRequest>,
    ) -> Result<Response<pb::ListVolumesResponse>, Status> {
        let request = request.into_inner();
        let usage = if request.usage { Usage::Measured } else { Usage::Untold };
        let volumes = self.0.volumes(&filters(request.filters), usage).await.map_err(status)?;
        let volumes = volumes.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListVolumesResponse { volumes, warnings: Vec::new() }))
    }

    async fn remove(
        &self,
        request: Request<pb::RemoveVolumeRequest>,
    ) -> Result<Response<pb::ContainerResponse>, Status> {
        let (service, request) = (self.0.clone(), request.into_inner());
        let force = if request.force { Force::Yes } else { Force::No };
        to_the_end(async move { service.remove_volume(&request.name, force).await }).await?;
        Ok(Response::new(pb::ContainerResponse {}))
    }

    async fn prune(&self, request: Request<pb::PruneRequest>) -> Result<Response<pb::PruneResponse>, Status> {
        let (service, filters) = (self.0.clone(), filters(request.into_inner().filters));
        let pruned = to_the_end(async move { service.prune_volumes(&filters).await }).await?;
        Ok(Response::new(pruned.into()))
    }
}
