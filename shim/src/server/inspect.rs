//! `gantry.shim.v1.Shim`: facts that the task service has no field for.

use gantry_proto::gantry::shim::v1 as pb;
use tonic::{Request, Response, Status};

use super::Shim;

#[tonic::async_trait]
impl pb::shim_server::Shim for Shim {
    async fn inspect(
        &self,
        request: Request<pb::InspectRequest>,
    ) -> Result<Response<pb::InspectResponse>, Status> {
        let container = self.container(&request.get_ref().id)?;
        Ok(Response::new(pb::InspectResponse {
            shim_pid: std::process::id(),
            init_pid: container.init().phase().pid().cast_unsigned(),
            oom_killed: container.oom_killed(),
            execs: container.exec_ids(),
            attached: container.init().stdio.hub().attached() as u32,
        }))
    }
}
