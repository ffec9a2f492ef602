//! `containerd.services.introspection.v1.Introspection`.

use gantry_api::Peers;
use gantry_descriptor::RUNTIME;
use gantry_proto::containerd::services::introspection::v1 as pb;
use gantry_proto::containerd::services::introspection::v1::introspection_server::Introspection as Api;
use gantry_rpc::status;
use tonic::{Request, Response, Status};

use crate::introspection::{self, Plugins};

/// The server.
pub struct Server {
    plugins: Plugins,
    uuid: String,
    peers: Peers,
}

impl Server {
    /// Serves this list; what a runtime says of itself is asked of `tasks`, which may run it.
    pub fn new(plugins: Plugins, uuid: String, peers: Peers) -> Server {
        Server { plugins, uuid, peers }
    }
}

#[tonic::async_trait]
impl Api for Server {
    async fn plugins(
        &self,
        request: Request<pb::PluginsRequest>,
    ) -> Result<Response<pb::PluginsResponse>, Status> {
        let plugins = self.plugins.list(&request.get_ref().filters).await.map_err(status)?;
        Ok(Response::new(pb::PluginsResponse { plugins }))
    }

    async fn server(&self, _request: Request<()>) -> Result<Response<pb::ServerResponse>, Status> {
        Ok(Response::new(pb::ServerResponse {
            uuid: self.uuid.clone(),
            pid: u64::from(std::process::id()),
            pidns: introspection::pid_namespace(),
            deprecations: Vec::new(),
        }))
    }

    async fn plugin_info(
        &self,
        request: Request<pb::PluginInfoRequest>,
    ) -> Result<Response<pb::PluginInfoResponse>, Status> {
        let request = request.into_inner();
        let plugin = self.plugins.get(&request.r#type, &request.id).await.map_err(status)?;
        let is_runtime = (RUNTIME.kind, RUNTIME.id) == (request.r#type.as_str(), request.id.as_str());
        let extra = match (is_runtime, &request.options) {
            (true, Some(_)) => self.peers.runtimes().plugin_info(request).await?.into_inner().extra,
            _ => None,
        };
        Ok(Response::new(pb::PluginInfoResponse { plugin: Some(plugin), extra }))
    }
}
