//! `containerd.services.version.v1.Version`: the version of containerd's API that
//! is spoken, and as its build metadata the version of Gantry.

use gantry_proto::containerd::services::version::v1 as pb;
use gantry_proto::containerd::services::version::v1::version_server::Version as Api;
use tonic::{Request, Response, Status};

const VERSION: &str = concat!("v2.1.0+gantry.", env!("CARGO_PKG_VERSION"));

/// The server.
#[derive(Debug, Clone, Copy)]
pub struct Server;

#[tonic::async_trait]
impl Api for Server {
    async fn version(&self, _request: Request<()>) -> Result<Response<pb::VersionResponse>, Status> {
        let revision = option_env!("GANTRY_REVISION").unwrap_or_default().to_owned();
        Ok(Response::new(pb::VersionResponse { version: VERSION.to_owned(), revision }))
    }
}
