//! The task service over ttrpc, containerd's light form of gRPC. containerd's daemon relies on it: up to 2.2 it takes
//! a gRPC shim for dead as soon as it has connected to it.

use std::io;
use std::sync::Arc;

use gantry_proto::containerd::runtime::sandbox::v1 as api;
use gantry_proto::containerd::runtime::sandbox::v1::sandbox_server::Sandbox;
use gantry_proto::containerd::task::v3 as pb;
use gantry_proto::containerd::task::v3::task_server::Task;
use gantry_ttrpc::{Kind, Request, Response, RpcStatus};
use prost::Message;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tonic::{Code, Status};

use super::Shim;

/// Serves one client until it disconnects.
pub async fn serve(stream: UnixStream, shim: Shim) -> io::Result<()> {
    let (mut input, output) = stream.into_split();
    let output = Arc::new(Mutex::new(output));
    loop {
        let (id, bytes) = gantry_ttrpc::read(&mut input, Kind::Request).await?;
        let (shim, output) = (shim.clone(), output.clone());
        // Requests run in parallel: Wait may take days.
        tokio::spawn(async move {
            let response = match bytes {
                Ok(bytes) => answer(&shim, &bytes).await,
                Err(oversized) => Response::refused(oversized.status()),
            };
            // Held while a frame is written, so that frames do not mix.
            let mut output = output.lock().await;
            // A client that has disconnected needs no answer.
            let _ = gantry_ttrpc::write_answer(&mut *output, id, &response).await;
        });
    }
}

async fn answer(shim: &Shim, bytes: &[u8]) -> Response {
    let answered = match Request::decode(bytes) {
        Ok(request) => respond(shim, &request).await,
        Err(error) => Err(Status::new(Code::InvalidArgument, error.to_string())),
    };
    match answered {
        Ok(payload) => Response::done(payload),
        Err(status) => Response::refused(told(&status)),
    }
}

/// A status for ttrpc. Its details, if any, are an encoded `google.rpc.Status` already.
fn told(status: &Status) -> RpcStatus {
    let details = RpcStatus::decode(status.details()).unwrap_or_default().details;
    RpcStatus { code: status.code() as i32, message: status.message().to_owned(), details }
}

async fn respond(shim: &Shim, request: &Request) -> Result<Vec<u8>, Status> {
    match request.service.as_str() {
        // Versions 2 and 3 have the same messages.
        "containerd.task.v2.Task" | "containerd.task.v3.Task" => task(shim, request).await,
        "containerd.runtime.sandbox.v1.Sandbox" => sandbox(shim, request).await,
        other => Err(Status::unimplemented(format!("service {other}"))),
    }
}

/// Decodes the request, calls the method, encodes the answer.
macro_rules! call {
    ($shim:ident, $request:ident, $service:ident :: $method:ident, $message:ty) => {{
        let message = <$message>::decode($request.payload.as_slice())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let answer = $service::$method($shim, tonic::Request::new(message)).await?;
        Ok(answer.into_inner().encode_to_vec())
    }};
}

async fn sandbox(shim: &Shim, request: &Request) -> Result<Vec<u8>, Status> {
    match request.method.as_str() {
        "CreateSandbox" => call!(shim, request, Sandbox::create_sandbox, api::CreateSandboxRequest),
        "StartSandbox" => call!(shim, request, Sandbox::start_sandbox, api::StartSandboxRequest),
        "Platform" => call!(shim, request, Sandbox::platform, api::PlatformRequest),
        "StopSandbox" => call!(shim, request, Sandbox::stop_sandbox, api::StopSandboxRequest),
        "WaitSandbox" => call!(shim, request, Sandbox::wait_sandbox, api::WaitSandboxRequest),
        "SandboxStatus" => call!(shim, request, Sandbox::sandbox_status, api::SandboxStatusRequest),
        "PingSandbox" => call!(shim, request, Sandbox::ping_sandbox, api::PingRequest),
        "ShutdownSandbox" => call!(shim, request, Sandbox::shutdown_sandbox, api::ShutdownSandboxRequest),
        "SandboxMetrics" => call!(shim, request, Sandbox::sandbox_metrics, api::SandboxMetricsRequest),
        other => Err(Status::unimplemented(format!("method {other}"))),
    }
}

async fn task(shim: &Shim, request: &Request) -> Result<Vec<u8>, Status> {
    match request.method.as_str() {
        "State" => call!(shim, request, Task::state, pb::StateRequest),
        "Create" => call!(shim, request, Task::create, pb::CreateTaskRequest),
        "Start" => call!(shim, request, Task::start, pb::StartRequest),
        "Delete" => call!(shim, request, Task::delete, pb::DeleteRequest),
        "Pids" => call!(shim, request, Task::pids, pb::PidsRequest),
        "Pause" => call!(shim, request, Task::pause, pb::PauseRequest),
        "Resume" => call!(shim, request, Task::resume, pb::ResumeRequest),
        "Checkpoint" => call!(shim, request, Task::checkpoint, pb::CheckpointTaskRequest),
        "Kill" => call!(shim, request, Task::kill, pb::KillRequest),
        "Exec" => call!(shim, request, Task::exec, pb::ExecProcessRequest),
        "ResizePty" => call!(shim, request, Task::resize_pty, pb::ResizePtyRequest),
        "CloseIO" => call!(shim, request, Task::close_io, pb::CloseIoRequest),
        "Update" => call!(shim, request, Task::update, pb::UpdateTaskRequest),
        "Wait" => call!(shim, request, Task::wait, pb::WaitRequest),
        "Stats" => call!(shim, request, Task::stats, pb::StatsRequest),
        "Connect" => call!(shim, request, Task::connect, pb::ConnectRequest),
        "Shutdown" => call!(shim, request, Task::shutdown, pb::ShutdownRequest),
        other => Err(Status::unimplemented(format!("method {other}"))),
    }
}
