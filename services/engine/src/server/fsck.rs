//! `gantry.gc.v1.Fsck`.

use gantry_proto::gantry::gc::v1 as gc;
use gantry_rpc::status;
use gc::fsck_server::Fsck;
use tonic::{Request, Response, Status};

use super::Server;
use crate::fsck::Told;

#[tonic::async_trait]
impl Fsck for Server {
    async fn check(&self, request: Request<gc::FsckRequest>) -> Result<Response<gc::FsckResponse>, Status> {
        let strays = self.engine.check(request.get_ref().repair).await.map_err(status)?;
        let wire = |told: Told| gc::Stray {
            kind: told.kind,
            name: told.name,
            detail: told.detail,
            repaired: told.repaired,
        };
        Ok(Response::new(gc::FsckResponse { strays: strays.into_iter().map(wire).collect() }))
    }
}
