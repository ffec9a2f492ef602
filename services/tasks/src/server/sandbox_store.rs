//! `containerd.services.sandbox.v1.Store`.

use gantry_proto::containerd::services::sandbox::v1 as pb;
use gantry_proto::containerd::services::sandbox::v1::store_server::Store as Api;
use gantry_rpc::{context, status};
use tonic::{Request, Response, Status};

use crate::sandboxes::Sandboxes;

/// The server.
pub struct Server {
    sandboxes: Sandboxes,
}

impl Server {
    /// A server of these records.
    pub fn new(sandboxes: Sandboxes) -> Server {
        Server { sandboxes }
    }
}

fn required<T>(sandbox: Option<T>) -> Result<T, Status> {
    sandbox.ok_or_else(|| Status::invalid_argument("sandbox is required"))
}

#[tonic::async_trait]
impl Api for Server {
    async fn create(
        &self,
        request: Request<pb::StoreCreateRequest>,
    ) -> Result<Response<pb::StoreCreateResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let sandbox = required(request.into_inner().sandbox)?;
        let sandbox = self.sandboxes.create(&namespace, sandbox).await.map_err(status)?;
        Ok(Response::new(pb::StoreCreateResponse { sandbox: Some(sandbox) }))
    }

    async fn update(
        &self,
        request: Request<pb::StoreUpdateRequest>,
    ) -> Result<Response<pb::StoreUpdateResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let pb::StoreUpdateRequest { sandbox, fields } = request.into_inner();
        let update = self.sandboxes.update(&namespace, required(sandbox)?, &fields);
        let sandbox = update.await.map_err(status)?;
        Ok(Response::new(pb::StoreUpdateResponse { sandbox: Some(sandbox) }))
    }

    async fn delete(
        &self,
        request: Request<pb::StoreDeleteRequest>,
    ) -> Result<Response<pb::StoreDeleteResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let id = request.into_inner().sandbox_id;
        self.sandboxes.delete(&namespace, &id).await.map_err(status)?;
        Ok(Response::new(pb::StoreDeleteResponse {}))
    }

    async fn list(
        &self,
        request: Request<pb::StoreListRequest>,
    ) -> Result<Response<pb::StoreListResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let list = self.sandboxes.list(namespace.as_str(), &request.get_ref().filters);
        Ok(Response::new(pb::StoreListResponse { list: list.map_err(status)? }))
    }

    async fn get(
        &self,
        request: Request<pb::StoreGetRequest>,
    ) -> Result<Response<pb::StoreGetResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let sandbox = self.sandboxes.get(&namespace, &request.get_ref().sandbox_id);
        Ok(Response::new(pb::StoreGetResponse { sandbox: Some(sandbox.map_err(status)?) }))
    }
}
