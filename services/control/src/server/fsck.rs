//! `gantry.gc.v1.Fsck`: records of what leases keep, whose lease does not exist.

use gantry_proto::gantry::gc::v1::fsck_server::Fsck as Api;
use gantry_proto::gantry::gc::v1::{FsckRequest, FsckResponse, Stray};
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use crate::leases::Leases;

/// The server.
pub struct Server {
    leases: Leases,
}

impl Server {
    /// Checks these leases.
    pub fn new(leases: Leases) -> Server {
        Server { leases }
    }
}

#[tonic::async_trait]
impl Api for Server {
    async fn check(&self, request: Request<FsckRequest>) -> Result<Response<FsckResponse>, Status> {
        let repair = request.get_ref().repair;
        let orphans = self.leases.orphans().map_err(status)?;
        if repair {
            self.leases.remove_orphans(&orphans).await.map_err(status)?;
        }
        let strays = orphans.into_iter().map(|(namespace, lease, resource)| Stray {
            kind: "record".to_owned(),
            name: format!("{namespace}/{lease}"),
            detail: format!("a lease that does not exist keeps {resource}"),
            repaired: repair,
        });
        Ok(Response::new(FsckResponse { strays: strays.collect() }))
    }
}
