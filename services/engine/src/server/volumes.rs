//! `gantry.engine.v1.Volumes`.

use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::status;
use pb::volumes_server::Volumes;
use tonic::{Request, Response, Status};

use super::{Server, filters, whole};
use crate::volumes::serve::Usage;

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Volumes for Server {
    async fn create(&self, request: Request<pb::CreateVolumeRequest>) -> Reply<pb::Volume> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        let made = whole(async move { engine.create_volume(request.into()).await }).await?;
        Ok(Response::new(made.into()))
    }

    async fn get(&self, request: Request<pb::VolumeRequest>) -> Reply<pb::Volume> {
        let found = self.engine.get_volume(&request.get_ref().name).map_err(status)?;
        Ok(Response::new(found.into()))
    }

    async fn list(&self, request: Request<pb::ListVolumesRequest>) -> Reply<pb::ListVolumesResponse> {
        let request = request.into_inner();
        let usage = if request.usage { Usage::Measured } else { Usage::Untold };
        let volumes = self.engine.list_volumes(&filters(request.filters), usage).await.map_err(status)?;
        let volumes = volumes.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListVolumesResponse { volumes, warnings: Vec::new() }))
    }

    async fn remove(&self, request: Request<pb::RemoveVolumeRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.remove_volume(&request.name, request.force).await }).await?;
        Ok(Response::new(pb::ContainerResponse {}))
    }

    async fn prune(&self, request: Request<pb::PruneRequest>) -> Reply<pb::PruneResponse> {
        let (engine, filters) = (self.engine.clone(), filters(request.into_inner().filters));
        let pruned = whole(async move { engine.prune_volumes(&filters).await }).await?;
        Ok(Response::new(pruned.into()))
    }
}
