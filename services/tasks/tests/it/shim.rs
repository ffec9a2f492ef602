//! A fake shim: it keeps states as the contract says, and runs nothing.

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use gantry_fakes::Serving;
use gantry_proto::containerd::runtime::sandbox::v1 as sandbox;
use gantry_proto::containerd::runtime::sandbox::v1::sandbox_server::{Sandbox, SandboxServer};
use gantry_proto::containerd::task::v3 as pb;
use gantry_proto::containerd::task::v3::task_server::{Task, TaskServer};
use gantry_proto::containerd::v1::types::{ProcessInfo, Status as State};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Created,
    Running,
    Stopped(u32),
}

#[derive(Debug, Clone)]
struct Process {
    pid: u32,
    life: watch::Sender<Life>,
}

/// An entry of the model under this name, in place of an exec id, makes the shim unwell.
const UNWELL: &str = "unwell";
/// An entry under this name makes the shim answer no removal and no signal.
const SILENT: &str = "silent";
/// An entry under this name says that a silent shim was asked.
const ASKED: &str = "asked";

#[derive(Debug, Default, Clone)]
struct Model(Arc<Mutex<BTreeMap<String, Process>>>, watch::Sender<Shared>);

/// Whether the shim is a sandbox's, and the sandbox's health.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Shared {
    #[default]
    No,
    Created,
    Ready,
    Stopped,
}

/// A running fake shim. Dropping it kills it.
pub struct FakeShim {
    model: Model,
    socket: PathBuf,
    server: Option<Serving>,
}

impl FakeShim {
    /// Starts the shim of container `id` on the socket that the start helper prints.
    pub fn start(folder: &Path, id: &str) -> FakeShim {
        let socket = folder.join(format!("{id}.sock"));
        let model = Model::default();
        FakeShim { server: Some(serve(&socket, model.clone())), model, socket }
    }

    /// Ends a process with a status.
    pub fn end(&self, exec: &str, status: u32) {
        self.model.process(exec).expect("the process").life.send_replace(Life::Stopped(status));
    }

    /// Forgets a process, as after a removal whose answer was lost.
    pub fn forget(&self, exec: &str) {
        self.model.0.lock().remove(exec);
    }

    /// Whether the shim has a container.
    pub fn has_container(&self) -> bool {
        self.model.0.lock().contains_key("")
    }

    /// Makes the shim answer State with an error, or normally again.
    pub fn set_unwell(&self, unwell: bool) {
        if unwell {
            self.model.mark(UNWELL);
        } else {
            self.model.0.lock().remove(UNWELL);
        }
    }

    /// Lets the shim answer no removal and no signal any more.
    pub fn be_silent(&self) {
        self.model.mark(SILENT);
    }

    /// Whether the shim was asked for something since it is silent.
    pub fn is_asked(&self) -> bool {
        self.model.0.lock().contains_key(ASKED)
    }

    /// Kills the shim.
    pub fn die(self) {}

    /// Kills the shim; this long after its connections its listening socket is closed, which nobody serves meanwhile.
    pub async fn die_slowly(mut self, long: std::time::Duration) {
        let new = self.socket.with_extension("new");
        let listener = UnixListener::bind(&new).expect("a socket");
        std::fs::rename(new, &self.socket).expect("in place of the other one");
        drop(self.server.take());
        tokio::time::sleep(long).await;
        drop(listener);
    }
}

impl Drop for FakeShim {
    fn drop(&mut self) {
        // The island is dropped after this; by then no client can connect.
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn serve(socket: &Path, model: Model) -> Serving {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket).expect("the shim's socket");
    listener.set_nonblocking(true).expect("a socket that does not block");
    Serving::run(async move {
        let listener = tokio::net::UnixListener::from_std(listener).expect("a runtime");
        let service = TaskServer::new(model.clone());
        let gone = async {
            loop {
                if model.0.lock().contains_key("shutdown") {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        let server = tonic::transport::Server::builder()
            .add_service(service)
            .add_service(SandboxServer::new(model.clone()))
            .serve_with_incoming(UnixListenerStream::new(listener));
        tokio::select! {
            result = server => result.expect("serve"),
            () = gone => {}
        }
    })
}

impl Model {
    fn mark(&self, name: &str) {
        let sign = Process { pid: 0, life: watch::Sender::new(Life::Created) };
        self.0.lock().insert(name.into(), sign);
    }

    /// Never returns while the shim is silent.
    async fn speak(&self) {
        if self.0.lock().contains_key(SILENT) {
            self.mark(ASKED);
            std::future::pending::<()>().await;
        }
    }

    fn process(&self, exec: &str) -> Result<Process, Status> {
        self.0
            .lock()
            .get(exec)
            .cloned()
            .ok_or_else(|| Status::not_found(format!("process {exec:?} not found")))
    }
}

fn pid_of(exec: &str) -> u32 {
    1000 + exec.bytes().map(u32::from).sum::<u32>()
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Task for Model {
    async fn state(&self, request: Request<pb::StateRequest>) -> Answer<pb::StateResponse> {
        let request = request.into_inner();
        if self.0.lock().contains_key(UNWELL) {
            return Err(Status::unknown("unwell"));
        }
        let process = self.process(&request.exec_id)?;
        let life = *process.life.borrow();
        let (status, exit_status) = match life {
            Life::Created => (State::Created, 0),
            Life::Running => (State::Running, 0),
            Life::Stopped(status) => (State::Stopped, status),
        };
        Ok(Response::new(pb::StateResponse {
            id: request.id,
            exec_id: request.exec_id,
            pid: process.pid,
            status: status.into(),
            exit_status,
            exited_at: matches!(life, Life::Stopped(_)).then(|| SystemTime::now().into()),
            ..Default::default()
        }))
    }

    async fn create(&self, request: Request<pb::CreateTaskRequest>) -> Answer<pb::CreateTaskResponse> {
        let request = request.into_inner();
        if request.stdout == "refuse" {
            return Err(Status::unknown("runtime create failed: no such file or directory"));
        }
        assert!(Path::new(&request.bundle).join("config.json").exists());
        if request.stdout == "slow" {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        let pid = pid_of("");
        self.0.lock().insert(String::new(), Process { pid, life: watch::Sender::new(Life::Created) });
        Ok(Response::new(pb::CreateTaskResponse { pid }))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Answer<pb::StartResponse> {
        let exec = request.into_inner().exec_id;
        let process = self.process(&exec)?;
        if *process.life.borrow() != Life::Created {
            return Err(Status::unknown("cannot start a process that is not created"));
        }
        if exec == "missing" {
            process.life.send_replace(Life::Stopped(127));
            return Err(Status::unknown("exec failed: no such file or directory"));
        }
        process.life.send_replace(if exec == "short" { Life::Stopped(0) } else { Life::Running });
        Ok(Response::new(pb::StartResponse { pid: process.pid }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer<pb::DeleteResponse> {
        self.speak().await;
        let exec = request.into_inner().exec_id;
        let process = self.process(&exec)?;
        let exit_status = match *process.life.borrow() {
            Life::Running => return Err(Status::unknown("cannot delete a running process")),
            Life::Created => 137,
            Life::Stopped(status) => status,
        };
        process.life.send_replace(Life::Stopped(exit_status));
        self.0.lock().remove(&exec);
        Ok(Response::new(pb::DeleteResponse {
            pid: process.pid,
            exit_status,
            exited_at: Some(SystemTime::now().into()),
        }))
    }

    async fn pids(&self, _request: Request<pb::PidsRequest>) -> Answer<pb::PidsResponse> {
        let processes =
            self.0.lock().values().map(|process| ProcessInfo { pid: process.pid, info: None }).collect();
        Ok(Response::new(pb::PidsResponse { processes }))
    }

    async fn pause(&self, _request: Request<pb::PauseRequest>) -> Answer<()> {
        Ok(Response::new(()))
    }

    async fn resume(&self, _request: Request<pb::ResumeRequest>) -> Answer<()> {
        Ok(Response::new(()))
    }

    async fn checkpoint(&self, _request: Request<pb::CheckpointTaskRequest>) -> Answer<()> {
        Err(Status::unimplemented("checkpoint"))
    }

    async fn kill(&self, request: Request<pb::KillRequest>) -> Answer<()> {
        self.speak().await;
        let request = request.into_inner();
        let process = self.process(&request.exec_id)?;
        if matches!(*process.life.borrow(), Life::Stopped(_)) {
            return Err(Status::not_found("process already finished"));
        }
        process.life.send_replace(Life::Stopped(128 + request.signal));
        if request.exec_id.is_empty() {
            // The kernel kills the execs with init.
            for process in self.0.lock().values() {
                process.life.send_if_modified(|life| {
                    let running = *life == Life::Running;
                    if running {
                        *life = Life::Stopped(137);
                    }
                    running
                });
            }
        }
        Ok(Response::new(()))
    }

    async fn exec(&self, request: Request<pb::ExecProcessRequest>) -> Answer<()> {
        let exec = request.into_inner().exec_id;
        let life = watch::Sender::new(Life::Created);
        // An exec that never starts has no process id.
        let pid = if exec == "missing" { 0 } else { pid_of(&exec) };
        self.0.lock().insert(exec, Process { pid, life });
        Ok(Response::new(()))
    }

    async fn resize_pty(&self, request: Request<pb::ResizePtyRequest>) -> Answer<()> {
        self.process(&request.into_inner().exec_id).map(|_| Response::new(()))
    }

    async fn close_io(&self, request: Request<pb::CloseIoRequest>) -> Answer<()> {
        self.process(&request.into_inner().exec_id).map(|_| Response::new(()))
    }

    async fn update(&self, _request: Request<pb::UpdateTaskRequest>) -> Answer<()> {
        Ok(Response::new(()))
    }

    async fn wait(&self, request: Request<pb::WaitRequest>) -> Answer<pb::WaitResponse> {
        let process = self.process(&request.into_inner().exec_id)?;
        let mut life = process.life.subscribe();
        let ended =
            *life.wait_for(|life| matches!(life, Life::Stopped(_))).await.expect("the sender is alive");
        let Life::Stopped(exit_status) = ended else { unreachable!("waited for it") };
        Ok(Response::new(pb::WaitResponse { exit_status, exited_at: Some(SystemTime::now().into()) }))
    }

    async fn stats(&self, _request: Request<pb::StatsRequest>) -> Answer<pb::StatsResponse> {
        let stats =
            prost_types::Any { type_url: "io.containerd.cgroups.v1.Metrics".into(), value: Vec::new() };
        Ok(Response::new(pb::StatsResponse { stats: Some(stats) }))
    }

    async fn connect(&self, _request: Request<pb::ConnectRequest>) -> Answer<pb::ConnectResponse> {
        Ok(Response::new(pb::ConnectResponse { shim_pid: std::process::id(), ..Default::default() }))
    }

    async fn shutdown(&self, _request: Request<pb::ShutdownRequest>) -> Answer<()> {
        if *self.1.borrow() == Shared::No && self.0.lock().is_empty() {
            self.0
                .lock()
                .insert("shutdown".into(), Process { pid: 0, life: watch::Sender::new(Life::Created) });
        }
        Ok(Response::new(()))
    }
}

fn not_these<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not in these tests"))
}

#[tonic::async_trait]
impl Sandbox for Model {
    async fn create_sandbox(
        &self,
        request: Request<sandbox::CreateSandboxRequest>,
    ) -> Result<Response<sandbox::CreateSandboxResponse>, Status> {
        assert!(request.get_ref().bundle_path.ends_with(&request.get_ref().sandbox_id));
        self.1.send_replace(Shared::Created);
        Ok(Response::new(Default::default()))
    }

    async fn start_sandbox(
        &self,
        _: Request<sandbox::StartSandboxRequest>,
    ) -> Result<Response<sandbox::StartSandboxResponse>, Status> {
        self.1.send_replace(Shared::Ready);
        Ok(Response::new(sandbox::StartSandboxResponse { pid: 77, ..Default::default() }))
    }

    async fn stop_sandbox(
        &self,
        request: Request<sandbox::StopSandboxRequest>,
    ) -> Result<Response<sandbox::StopSandboxResponse>, Status> {
        // What a caller hears of a shim that does not answer.
        if request.get_ref().sandbox_id == "hung" {
            return Err(Status::unavailable("no answer"));
        }
        self.1.send_replace(Shared::Stopped);
        Ok(Response::new(Default::default()))
    }

    async fn wait_sandbox(
        &self,
        _: Request<sandbox::WaitSandboxRequest>,
    ) -> Result<Response<sandbox::WaitSandboxResponse>, Status> {
        let _ = self.1.subscribe().wait_for(|shared| *shared == Shared::Stopped).await;
        Ok(Response::new(Default::default()))
    }

    async fn sandbox_status(
        &self,
        request: Request<sandbox::SandboxStatusRequest>,
    ) -> Result<Response<sandbox::SandboxStatusResponse>, Status> {
        let shared = *self.1.borrow();
        let now = || Some(SystemTime::now().into());
        Ok(Response::new(sandbox::SandboxStatusResponse {
            sandbox_id: request.into_inner().sandbox_id,
            state: if shared == Shared::Ready { "SANDBOX_READY" } else { "SANDBOX_NOTREADY" }.into(),
            created_at: (shared != Shared::Created).then(now).flatten(),
            exited_at: (shared == Shared::Stopped).then(now).flatten(),
            ..Default::default()
        }))
    }

    async fn platform(
        &self,
        _: Request<sandbox::PlatformRequest>,
    ) -> Result<Response<sandbox::PlatformResponse>, Status> {
        not_these()
    }

    async fn ping_sandbox(
        &self,
        _: Request<sandbox::PingRequest>,
    ) -> Result<Response<sandbox::PingResponse>, Status> {
        not_these()
    }

    async fn shutdown_sandbox(
        &self,
        _: Request<sandbox::ShutdownSandboxRequest>,
    ) -> Result<Response<sandbox::ShutdownSandboxResponse>, Status> {
        not_these()
    }

    async fn sandbox_metrics(
        &self,
        _: Request<sandbox::SandboxMetricsRequest>,
    ) -> Result<Response<sandbox::SandboxMetricsResponse>, Status> {
        not_these()
    }
}
