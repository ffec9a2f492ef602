//! The snapshotters and differs that there are, in the words of containerd's plugins: `control` asks, for its clients.

use gantry_proto::containerd::services::introspection::v1 as pb;
use gantry_proto::containerd::types;
use gantry_rpc::status;
use gantry_types::Platform;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::backend::Backend;
use crate::settings::{Settings, WALKING};
use crate::store::Store;

const SNAPSHOTTER: &str = "io.containerd.snapshotter.v1";
const DIFFER: &str = "io.containerd.differ.v1";

/// The list. It does not change while the process lives.
#[derive(Debug, Clone)]
pub struct Plugins(Vec<pb::Plugin>);

impl Plugins {
    /// Those of a store, and those that settings name.
    pub fn new(store: &Store, settings: &Settings) -> Self {
        let mut plugins: Vec<pb::Plugin> = store.ours().map(|backend| snapshotter(&backend)).collect();
        plugins.push(pb::Plugin { r#type: DIFFER.to_owned(), id: WALKING.to_owned(), ..Default::default() });
        plugins.extend(settings.differs.iter().map(|(name, plugin)| pb::Plugin {
            r#type: DIFFER.to_owned(),
            id: name.clone(),
            capabilities: plugin.capabilities.clone(),
            exports: plugin.exports.clone().into_iter().collect(),
            platforms: vec![platform(plugin.platform.as_deref())],
            ..Default::default()
        }));
        Self(plugins)
    }
}

fn snapshotter(backend: &Backend) -> pb::Plugin {
    let (capabilities, exports, named) = match backend {
        Backend::Driver(driver) => {
            let root = driver.layout().root().display().to_string();
            let words = driver.capabilities().words().iter().map(|word| (*word).to_owned());
            (words.collect(), [("root".to_owned(), root)].into(), None)
        }
        Backend::Remote(remote) => {
            let exports = remote.exports().clone().into_iter().collect();
            (remote.capabilities().to_vec(), exports, remote.platform())
        }
    };
    pb::Plugin {
        r#type: SNAPSHOTTER.to_owned(),
        id: backend.name().to_owned(),
        capabilities,
        exports,
        platforms: vec![platform(named)],
        ..Default::default()
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
        Err(status(Error::Unsupported("a server that is not the whole Gantry".to_owned())))
    }

    async fn plugin_info(
        &self,
        _: Request<pb::PluginInfoRequest>,
    ) -> Result<Response<pb::PluginInfoResponse>, Status> {
        Err(status(Error::Unsupported("more of a plugin than its entry".to_owned())))
    }
}
