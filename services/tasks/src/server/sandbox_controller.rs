//! `containerd.services.sandbox.v1.Controller`.

use std::sync::Arc;

use gantry_proto::containerd::services::sandbox::v1 as pb;
use gantry_proto::containerd::services::sandbox::v1::controller_server::Controller as Api;
use gantry_rpc::{context, status};
use gantry_types::Namespace;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::sandboxes::controller::Controller;

/// The name of the only controller.
const SHIM: &str = "shim";

/// The server.
pub struct Server {
    controller: Arc<Controller>,
}

impl Server {
    /// A server of these sandboxes.
    pub fn new(controller: Arc<Controller>) -> Server {
        Server { controller }
    }
}

/// The namespace and the message of a request, if it names the only controller or none.
fn read<T>(request: Request<T>, sandboxer: impl Fn(&T) -> &str) -> Result<(Namespace, T), Status> {
    let namespace = context::namespace(&request)?;
    let message = request.into_inner();
    match sandboxer(&message) {
        "" | SHIM => Ok((namespace, message)),
        other => Err(Status::not_found(format!("sandbox controller {other:?} not found"))),
    }
}

fn answered<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(status)
}

#[tonic::async_trait]
impl Api for Server {
    async fn create(
        &self,
        request: Request<pb::ControllerCreateRequest>,
    ) -> Result<Response<pb::ControllerCreateResponse>, Status> {
        let (namespace, request) = read(request, |request| &request.sandboxer)?;
        let (controller, sandbox_id) = (self.controller.clone(), request.sandbox_id.clone());
        let created = async move { controller.create(&namespace, request).await };
        let created = self.controller.to_the_end(created).await;
        answered(created.map(|()| pb::ControllerCreateResponse { sandbox_id }))
    }

    async fn start(
        &self,
        request: Request<pb::ControllerStartRequest>,
    ) -> Result<Response<pb::ControllerStartResponse>, Status> {
        let (namespace, request) = read(request, |request| &request.sandboxer)?;
        let controller = self.controller.clone();
        let started = async move { controller.start(&namespace, &request.sandbox_id).await };
        answered(self.controller.to_the_end(started).await)
    }

    async fn platform(
        &self,
        request: Request<pb::ControllerPlatformRequest>,
    ) -> Result<Response<pb::ControllerPlatformResponse>, Status> {
        let (namespace, request) = read(request, |request| &request.sandboxer)?;
        answered(self.controller.platform(&namespace, &request.sandbox_id).await)
    }

    async fn stop(
        &self,
        request: Request<pb::ControllerStopRequest>,
    ) -> Result<Response<pb::ControllerStopResponse>, Status> {
        let (namespace, request) = read(request, |request| &request.sandboxer)?;
        let stopped = self.controller.stop(&namespace, &request.sandbox_id, request.timeout_secs).await;
        answered(stopped.map(|()| pb::ControllerStopResponse {}))
    }

    async fn wait(
        &self,
        request: Request<pb::ControllerWaitRequest>,
    ) -> Result<Response<pb::ControllerWaitResponse>, Status> {
        let (namespace, request) = read(request, |request| &request.sandboxer)?;
        answered(self.controller.wait(&namespace, &request.sandbox_id).await)
    }

    async fn status(
        &self,
        request: Request<pb::ControllerStatusRequest>,
    ) -> Result<Response<pb::ControllerStatusResponse>, Status> {
        let (namespace, request) = read(request, |request| &request.sandboxer)?;
        answered(self.controller.status(&namespace, &request.sandbox_id, request.verbose).await)
    }

    async fn shutdown(
        &self,
        request: Request<pb::ControllerShutdownRequest>,
    ) -> Result<Response<pb::ControllerShutdownResponse>, Status> {
        let (namespace, request) = read(request, |request| &request.sandboxer)?;
        let controller = self.controller.clone();
        let shut = async move { controller.shutdown(&namespace, &request.sandbox_id).await };
        answered(self.controller.to_the_end(shut).await.map(|()| pb::ControllerShutdownResponse {}))
    }

    async fn metrics(
        &self,
        request: Request<pb::ControllerMetricsRequest>,
    ) -> Result<Response<pb::ControllerMetricsResponse>, Status> {
        let (namespace, request) = read(request, |request| &request.sandboxer)?;
        answered(self.controller.metrics(&namespace, &request.sandbox_id).await)
    }

    async fn update(
        &self,
        request: Request<pb::ControllerUpdateRequest>,
    ) -> Result<Response<pb::ControllerUpdateResponse>, Status> {
        read(request, |request| &request.sandboxer)?;
        Err(status(Error::Unsupported("changing a sandbox that runs")))
    }
}
