//! A connection to one shim, of any version and protocol.
//!
//! Versions 2 and 3 of the task service differ only in the name of the package, so one set of messages serves both.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_proto::containerd::runtime::sandbox::v1::{WaitSandboxRequest, WaitSandboxResponse};
use gantry_proto::containerd::task::v3 as api;
use gantry_rpc::{Channel, terms};
use prost::Message;
use tokio::io::AsyncReadExt;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

use super::bootstrap::{Bootstrap, Protocol};
use super::ttrpc;
use crate::error::Error;

/// The limit of most calls: long enough for a runtime binary on a loaded machine, short enough to notice a hung shim.
const LIMIT: Duration = Duration::from_secs(60);
/// The limit of calls that a shim answers at once.
const SHORT_LIMIT: Duration = Duration::from_secs(10);
/// The limit of a removal, which waits for output and may run a runtime. It is shorter than the callers' own
/// deadline.
const DELETE_LIMIT: Duration = Duration::from_secs(40);

/// How long the socket of a killed shim may outlive its connections.
const DYING: Duration = Duration::from_secs(1);
/// The pause between two looks at the socket of a dying shim.
const LOOK: Duration = Duration::from_millis(1);

/// The service of a shim that can hold several containers.
const SANDBOX: &str = "containerd.runtime.sandbox.v1.Sandbox";

/// A client of one shim. Cheap to clone; connects when first used.
#[derive(Debug, Clone)]
pub struct Client {
    id: String,
    namespace: String,
    service: String,
    socket: PathBuf,
    transport: Transport,
}

#[derive(Debug, Clone)]
enum Transport {
    Grpc(Channel),
    Ttrpc(ttrpc::Client),
}

/// How a call to a shim failed.
#[derive(Debug)]
pub enum Failure {
    /// The shim answered with an error.
    Answered(Status),
    /// There was no answer.
    Away(String),
}

impl Client {
    /// A client of the shim of container `id`.
    pub fn new(bootstrap: &Bootstrap, namespace: &str, id: &str) -> Client {
        let socket = PathBuf::from(bootstrap.socket());
        let transport = match bootstrap.protocol {
            Protocol::Ttrpc => Transport::Ttrpc(ttrpc::Client::new(socket.clone())),
            Protocol::Grpc => Transport::Grpc(Channel::unix("shim", socket.clone(), terms::open)),
        };
        Client {
            id: id.to_owned(),
            namespace: namespace.to_owned(),
            service: format!("containerd.task.v{}.Task", bootstrap.version),
            socket,
            transport,
        }
    }

    /// The shim's socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether a process listens on the shim's socket. Without a listener the shim is dead.
    pub async fn is_there(&self) -> bool {
        match gantry_rpc::socket::connect(&self.socket).await {
            Ok(_) => true,
            Err(error) => !says_nobody(&error),
        }
    }

    /// Whether the shim is dead, asked after a call that got no answer.
    ///
    /// The kernel closes the connections of a killed process before its listening sockets. A connection made in between
    /// ends with the socket, without a byte; so a connection alone does not tell a hung shim from a dying one. For a
    /// shim that lives and says nothing the answer takes [`DYING`].
    pub async fn is_dead(&self) -> bool {
        let dead = async {
            loop {
                let mut stream = match gantry_rpc::socket::connect(&self.socket).await {
                    Ok(stream) => stream,
                    Err(error) => return says_nobody(&error),
                };
                // An HTTP/2 server speaks first.
                if stream.read_u8().await.is_ok() {
                    return false;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(DYING, dead).await.unwrap_or(false)
    }

    async fn call<Q, R>(
        &self,
        service: &str,
        method: &'static str,
        request: Q,
        limit: Option<Duration>,
    ) -> Result<R, Failure>
    where
        Q: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        let call = async {
            match &self.transport {
                Transport::Grpc(channel) => self.grpc(channel.clone(), service, method, request).await,
                Transport::Ttrpc(client) => client.call(&self.namespace, service, method, &request).await,
            }
        };
        match limit {
            None => call.await,
            Some(limit) => tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
                Err(Failure::Away(format!("{method}: no answer within {} s", limit.as_secs())))
            }),
        }
    }

    async fn grpc<Q, R>(
        &self,
        channel: Channel,
        service: &str,
        method: &str,
        request: Q,
    ) -> Result<R, Failure>
    where
        Q: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        let path = PathAndQuery::try_from(format!("/{service}/{method}"))
            .expect("a service and a method name make a path");
        let mut request = Request::new(request);
        if let Ok(namespace) = self.namespace.parse() {
            request.metadata_mut().insert("containerd-namespace", namespace);
        }
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.map_err(Failure::from_grpc)?;
        let codec = tonic_prost::ProstCodec::<Q, R>::default();
        grpc.unary(request, path, codec).await.map(tonic::Response::into_inner).map_err(Failure::from_grpc)
    }

    async fn task<Q, R>(&self, method: &'static str, request: Q) -> Result<R, Error>
    where
        Q: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        self.task_within(LIMIT, method, request).await
    }

    async fn task_within<Q, R>(&self, limit: Duration, method: &'static str, request: Q) -> Result<R, Error>
    where
        Q: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        let answer = self.call(&self.service, method, request, Some(limit)).await;
        answer.map_err(|failure| failure.of_task(&self.id))
    }

    /// Creates the container.
    pub async fn create(&self, request: api::CreateTaskRequest) -> Result<api::CreateTaskResponse, Error> {
        self.task("Create", request).await
    }

    /// Starts the init process (`exec` empty) or an exec. Returns the pid.
    pub async fn start(&self, exec: &str) -> Result<u32, Error> {
        let request = api::StartRequest { id: self.id.clone(), exec_id: exec.to_owned() };
        let answer: api::StartResponse = self.task("Start", request).await?;
        Ok(answer.pid)
    }

    /// Removes a process that has ended.
    pub async fn delete(&self, exec: &str) -> Result<api::DeleteResponse, Error> {
        let request = api::DeleteRequest { id: self.id.clone(), exec_id: exec.to_owned() };
        self.task_within(DELETE_LIMIT, "Delete", request).await
    }

    /// The state of a process, as the shim knows it.
    pub async fn state(&self, exec: &str) -> Result<api::StateResponse, Error> {
        self.task("State", api::StateRequest { id: self.id.clone(), exec_id: exec.to_owned() }).await
    }

    /// Sends a signal.
    pub async fn kill(&self, exec: &str, signal: u32, all: bool) -> Result<(), Error> {
        let request = api::KillRequest { id: self.id.clone(), exec_id: exec.to_owned(), signal, all };
        self.task_within(SHORT_LIMIT, "Kill", request).await
    }

    /// Adds an exec, which `start` then starts.
    pub async fn exec(&self, request: api::ExecProcessRequest) -> Result<(), Error> {
        self.task("Exec", request).await
    }

    /// Sets a terminal's size.
    pub async fn resize_pty(&self, exec: &str, width: u32, height: u32) -> Result<(), Error> {
        let request = api::ResizePtyRequest { id: self.id.clone(), exec_id: exec.to_owned(), width, height };
        self.task("ResizePty", request).await
    }

    /// Closes a process's stdin.
    pub async fn close_io(&self, exec: &str, stdin: bool) -> Result<(), Error> {
        let request = api::CloseIoRequest { id: self.id.clone(), exec_id: exec.to_owned(), stdin };
        self.task("CloseIO", request).await
    }

    /// Freezes the container.
    pub async fn pause(&self) -> Result<(), Error> {
        self.task("Pause", api::PauseRequest { id: self.id.clone() }).await
    }

    /// Thaws the container.
    pub async fn resume(&self) -> Result<(), Error> {
        self.task("Resume", api::ResumeRequest { id: self.id.clone() }).await
    }

    /// The container's processes.
    pub async fn pids(&self) -> Result<api::PidsResponse, Error> {
        self.task("Pids", api::PidsRequest { id: self.id.clone() }).await
    }

    /// Changes the container's resource limits.
    pub async fn update(&self, request: api::UpdateTaskRequest) -> Result<(), Error> {
        self.task("Update", request).await
    }

    /// The container's counters.
    pub async fn stats(&self) -> Result<api::StatsResponse, Error> {
        self.task("Stats", api::StatsRequest { id: self.id.clone() }).await
    }

    /// The shim's pid and the task's.
    pub async fn connect(&self) -> Result<api::ConnectResponse, Error> {
        self.task("Connect", api::ConnectRequest { id: self.id.clone() }).await
    }

    /// Tells the shim to exit if it has no container.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.task("Shutdown", api::ShutdownRequest { id: self.id.clone(), now: false }).await
    }

    /// Returns when the process has ended. Has no deadline.
    pub async fn wait(&self, exec: &str) -> Result<api::WaitResponse, Failure> {
        let request = api::WaitRequest { id: self.id.clone(), exec_id: exec.to_owned() };
        self.call(&self.service, "Wait", request, None).await
    }

    /// Calls the shim's sandbox service.
    pub async fn sandbox<Q, R>(&self, method: &'static str, request: Q, limit: Duration) -> Result<R, Error>
    where
        Q: Message + Send + Sync + 'static,
        R: Message + Default + Send + Sync + 'static,
    {
        let answer = self.call(SANDBOX, method, request, Some(limit)).await;
        answer.map_err(|failure| failure.of_task(&self.id))
    }

    /// Returns when the sandbox has ended. Has no deadline.
    pub async fn sandbox_ended(&self, request: WaitSandboxRequest) -> Result<WaitSandboxResponse, Error> {
        let answer = self.call(SANDBOX, "WaitSandbox", request, None).await;
        answer.map_err(|failure| failure.of_task(&self.id))
    }
}

/// Whether connect(2) failed because no process listens.
fn says_nobody(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

impl Failure {
    fn from_grpc(status: Status) -> Failure {
        match status.code() {
            Code::Unavailable => Failure::Away(status.message().to_owned()),
            _ => Failure::Answered(status),
        }
    }

    fn of_task(self, id: &str) -> Error {
        match self {
            Failure::Answered(status) => Error::Shim { status: Box::new(status) },
            Failure::Away(reason) => Error::ShimAway { id: id.to_owned(), reason },
        }
    }
}
