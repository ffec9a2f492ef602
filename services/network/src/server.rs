//! The gRPC server over the controller.

use gantry_api::network;
use gantry_proto::gantry::gc::v1 as gc;
use gc::fsck_server::{Fsck, FsckServer};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::controller::{Controller, blocking};

/// The services.
pub fn routes(controller: &Controller) -> Routes {
    network::server::routes(controller.clone())
        .add_service(FsckServer::new(Server(controller.clone())))
        .add_service(gantry_records::server(controller.0.store.database.clone()))
}

struct Server(Controller);

#[tonic::async_trait]
impl Fsck for Server {
    async fn check(
        &self,
        request: Request<gc::FsckRequest>,
    ) -> std::result::Result<Response<gc::FsckResponse>, Status> {
        let (controller, repair) = (self.0.clone(), request.get_ref().repair);
        // A link that is being deleted is no stray.
        controller.0.host.deleter.catch_up().await;
        let found = blocking(move || controller.check(repair)).await.map_err(gantry_rpc::status)?;
        let stray = |stray: crate::fsck::Stray| gc::Stray {
            kind: stray.kind.to_owned(),
            repaired: stray.repaired,
            name: stray.name,
            detail: stray.detail,
        };
        Ok(Response::new(gc::FsckResponse { strays: found.into_iter().map(stray).collect() }))
    }
}
