//! `gantry.engine.v1.Volumes`.

use gantry_proto::gantry::engine::v1 as pb;
use gantry_rpc::status;
use pb::volumes_server::Volumes;
use tonic::{Request, Response, Status};

use super::{Server, whole};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Volumes for Server {
    async fn create(&self, request: Request<pb::CreateVolumeRequest>) -> Reply<pb::Volume> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.create_volume(request).await }).await.map(Response::new)
    }

    async fn get(&self, request: Request<pb::VolumeRequest>) -> Reply<pb::Volume> {
        self.engine.get_volume(&request.get_ref().name).map(Response::new).map_err(status)
    }

    async fn list(&self, request: Request<pb::ListVolumesRequest>) -> Reply<pb::ListVolumesResponse> {
        let volumes = self.engine.list_volumes(request.get_ref()).await.map_err(status)?;
        Ok(Response::new(pb::ListVolumesResponse { volumes, warnings: Vec::new() }))
    }

    async fn remove(&self, request: Request<pb::RemoveVolumeRequest>) -> Reply<pb::ContainerResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.remove_volume(&request.name, request.force).await }).await?;
        Ok(Response::new(pb::ContainerResponse {}))
    }

    async fn prune(&self, request: Request<pb::PruneRequest>) -> Reply<pb::PruneResponse> {
        let (engine, request) = (self.engine.clone(), request.into_inner());
        whole(async move { engine.prune_volumes(&request).await }).await.map(Response::new)
    }
}
