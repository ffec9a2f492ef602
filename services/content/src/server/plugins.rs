//! The content stores of other programs, in the words of containerd's plugins: `control` asks, for its clients.

use gantry_proto::containerd::services::introspection::v1 as pb;
use gantry_proto::containerd::types;
use gantry_types::Platform;
use tonic::{Request, Response, Status};

use crate::settings::Settings;

const CONTENT: &str = "io.containerd.content.v1";

/// The list. It does not change while the process lives.
#[derive(Debug, Clone)]
pub(crate) struct Plugins(Vec<pb::Plugin>);

impl Plugins {
    /// Those that settings name.
    pub(crate) fn new(settings: &Settings) -> Self {
        let stores = settings.stores.iter().map(|(name, plugin)| pb::Plugin {
            r#type: CONTENT.to_owned(),
            id: name.clone(),
            capabilities: plugin.capabilities.clone(),
            exports: plugin.exports.clone().into_iter().collect(),
            platforms: vec![platform(plugin.platform.as_deref())],
            ..Default::default()
        });
        Self(stores.collect())
    }
}

/// The platform of a name; this machine's where there is none.
fn platform(named: Option<&str>) -> types::Platform {
    let platform = named.and_then(|text| text.parse().ok()).unwrap_or_else(Platform::host);
    types::Platform {
        os: platform.os().to_owned(),
        architecture: platform.architecture().to_owned(),
        variant: platform.variant().unwrap_or_default().to_owned(),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl pb::introspection_server::Introspection for Plugins {
    /// All of them: the caller chooses.
    async fn plugins(&self, _: Request<pb::PluginsRequest>) -> Result<Response<pb::PluginsResponse>, Status> {
        Ok(Response::new(pb::PluginsResponse { plugins: self.0.clone() }))
    }

    async fn server(&self, _: Request<()>) -> Result<Response<pb::ServerResponse>, Status> {
        Err(Status::unimplemented("a server that is not the whole Gantry"))
    }

    async fn plugin_info(
        &self,
        _: Request<pb::PluginInfoRequest>,
    ) -> Result<Response<pb::PluginInfoResponse>, Status> {
        Err(Status::unimplemented("more of a plugin than its entry"))
    }
}
