//! Information about runtimes: the part of `containerd.services.introspection.v1.Introspection` that `control` asks
//! this service for, because `control` starts no programs.

use std::sync::Arc;

use gantry_proto::containerd::services::introspection::v1 as pb;
use gantry_proto::containerd::services::introspection::v1::introspection_server::Introspection as Api;
use gantry_proto::containerd::types::RuntimeRequest;
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use crate::tasks::Tasks;

/// The server.
pub struct Server {
    tasks: Arc<Tasks>,
}

impl Server {
    /// A server for the runtimes of these tasks.
    pub fn new(tasks: Arc<Tasks>) -> Server {
        Server { tasks }
    }
}

#[tonic::async_trait]
impl Api for Server {
    async fn plugins(
        &self,
        _request: Request<pb::PluginsRequest>,
    ) -> Result<Response<pb::PluginsResponse>, Status> {
        Err(Status::unimplemented("plugins are listed by service control"))
    }

    async fn server(&self, _request: Request<()>) -> Result<Response<pb::ServerResponse>, Status> {
        Err(Status::unimplemented("the server is described by service control"))
    }

    async fn plugin_info(
        &self,
        request: Request<pb::PluginInfoRequest>,
    ) -> Result<Response<pb::PluginInfoResponse>, Status> {
        let options = request.into_inner().options.unwrap_or_default();
        let asked = match gantry_proto::unpack::<RuntimeRequest>(&options) {
            Some(Ok(asked)) => asked,
            Some(Err(error)) => return Err(Status::invalid_argument(format!("runtime request: {error}"))),
            None => {
                let kind = options.type_url;
                return Err(Status::unimplemented(format!("a runtime is not asked about by a {kind:?}")));
            }
        };
        let info = self.tasks.runtime_info(&asked).await.map_err(status)?;
        Ok(Response::new(pb::PluginInfoResponse { plugin: None, extra: Some(gantry_proto::pack(&info)) }))
    }
}
