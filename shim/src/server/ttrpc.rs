//! The task service over ttrpc, containerd's light form of gRPC: all that containerd's own
//! daemon can rely on (up to 2.2 it takes a gRPC shim for dead as soon as it has met it);
//! and a client, for events.
//!
//! A frame is a header of ten bytes, big endian (length, stream, type, flags), and a
//! message; one request frame, one response frame. Clients' streams are odd.

use std::io;
use std::sync::Arc;

use gantry_proto::containerd::runtime::sandbox::v1 as api;
use gantry_proto::containerd::runtime::sandbox::v1::sandbox_server::Sandbox;
use gantry_proto::containerd::task::v3 as pb;
use gantry_proto::containerd::task::v3::task_server::Task;
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Mutex;
use tonic::{Code, Status};

use super::Shim;

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
/// The largest message, as in containerd's own code.
const LIMIT: u32 = 4 << 20;

/// A call.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(string, tag = "2")]
    pub method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    status: Option<RpcStatus>,
    #[prost(bytes = "vec", tag = "2")]
    payload: Vec<u8>,
}

/// `google.rpc.Status` without details.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Serves one client until it is gone.
pub async fn serve(stream: UnixStream, shim: Shim) -> io::Result<()> {
    let (mut input, output) = stream.into_split();
    let output = Arc::new(Mutex::new(output));
    loop {
        let (id, kind, bytes) = receive(&mut input).await?;
        // Streams of data are none of the task service's business.
        if kind != REQUEST {
            continue;
        }
        let (shim, output) = (shim.clone(), output.clone());
        // Requests do not wait for each other: Wait may take days.
        tokio::spawn(async move {
            let response = match Request::decode(bytes.as_slice()) {
                Ok(request) => respond(&shim, &request).await,
                Err(error) => Err(Status::new(Code::InvalidArgument, error.to_string())),
            };
            // A client that is gone needs no answer.
            let _ = write(&output, id, response).await;
        });
    }
}

async fn write(output: &Mutex<OwnedWriteHalf>, id: u32, response: Result<Vec<u8>, Status>) -> io::Result<()> {
    let response = match response {
        Ok(payload) => Response { status: None, payload },
        Err(status) => {
            let status = RpcStatus { code: status.code() as i32, message: status.message().to_string() };
            Response { status: Some(status), payload: Vec::new() }
        }
    };
    let frame = frame(id, RESPONSE, &response);
    // Held over the write, so that frames do not mix.
    output.lock().await.write_all(&frame).await
}

fn frame(id: u32, kind: u8, message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let mut frame = Vec::with_capacity(10 + message.len());
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&[kind, 0]);
    frame.extend_from_slice(&message);
    frame
}

/// A frame's stream, type and message.
async fn receive(input: &mut (impl AsyncRead + Unpin)) -> io::Result<(u32, u8, Vec<u8>)> {
    let length = input.read_u32().await?;
    let id = input.read_u32().await?;
    let kind = input.read_u8().await?;
    let _flags = input.read_u8().await?;
    if length > LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    input.read_exact(&mut bytes).await?;
    Ok((id, kind, bytes))
}

/// A client that makes one call at a time, whose answer says nothing.
pub struct Client {
    stream: UnixStream,
    next: u32,
}

impl Client {
    /// Speaks over `stream`.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, next: 1 }
    }

    /// Makes a call. After an error, the connection is of no use.
    pub async fn call(&mut self, request: &Request) -> io::Result<()> {
        let id = self.next;
        self.next = self.next.wrapping_add(2);
        self.stream.write_all(&frame(id, REQUEST, request)).await?;
        loop {
            let (answered, kind, bytes) = receive(&mut self.stream).await?;
            if answered != id || kind != RESPONSE {
                continue;
            }
            let response = Response::decode(bytes.as_slice()).map_err(io::Error::other)?;
            return match response.status.filter(|status| status.code != 0) {
                Some(status) => Err(io::Error::other(status.message)),
                None => Ok(()),
            };
        }
    }
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
