//! `gantry.gc.v1.Fsck`.

use std::sync::Arc;

use gantry_proto::gantry::gc::v1::fsck_server::Fsck as Api;
use gantry_proto::gantry::gc::v1::{FsckRequest, FsckResponse};
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use crate::strays;
use crate::tasks::Tasks;

/// The server.
#[derive(Clone)]
pub struct Server {
    tasks: Arc<Tasks>,
}

impl Server {
    /// A server that checks these tasks.
    pub fn new(tasks: Arc<Tasks>) -> Server {
        Server { tasks }
    }
}

#[tonic::async_trait]
impl Api for Server {
    async fn check(&self, request: Request<FsckRequest>) -> Result<Response<FsckResponse>, Status> {
        let strays = strays::check(&self.tasks, request.get_ref().repair).await.map_err(status)?;
        Ok(Response::new(FsckResponse { strays }))
    }
}
