//! `containerd.services.tasks.v1.Tasks`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gantry_proto::containerd::services::tasks::v1 as pb;
use gantry_proto::containerd::services::tasks::v1::tasks_server::Tasks as Api;
use gantry_proto::containerd::task::v3 as api;
use gantry_proto::containerd::types::Metric;
use gantry_proto::containerd::v1::types::{Process, ProcessInfo, Status as State};
use gantry_rpc::context;
use gantry_types::filter::{Fields, FilterSet};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use crate::error::Error;
use crate::task::Task;
use crate::task::process::Phase;
use crate::tasks::Tasks;

/// The signal that cannot be refused, not even by a shim that hangs.
const SIGKILL: u32 = 9;
/// What a listing waits for one shim.
const GLANCE: Duration = Duration::from_secs(2);

/// When a process ended that has not: Go's zero time, as containerd says it.
const NEVER: Timestamp = Timestamp { seconds: -62_135_596_800, nanos: 0 };

/// The server.
#[derive(Clone)]
pub struct Server {
    tasks: Arc<Tasks>,
}

impl Server {
    /// Serves these tasks.
    pub fn new(tasks: Arc<Tasks>) -> Server {
        Server { tasks }
    }

    /// The task that a request is about, and the rest of the request.
    async fn task<T>(&self, request: Request<T>, id: impl Fn(&T) -> &str) -> Result<(Arc<Task>, T), Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let task = self.tasks.get_made(&namespace, id(&request)).await.map_err(Error::into_status)?;
        Ok((task, request))
    }
}

fn answered<T>(result: Result<T, Error>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Error::into_status)
}

/// A process as its shim sees it; one whose shim is dead, as it was last seen.
async fn process(task: &Task, exec: &str) -> Result<Process, Error> {
    let known = task.process(exec)?;
    match task.client().state(exec).await {
        Ok(state) => Ok(from_state(task.id(), state)),
        Err(error @ Error::ShimAway { .. }) => match known.phase() {
            Phase::Exited(exit) => Ok(Process {
                container_id: task.id().to_owned(),
                id: if exec.is_empty() { task.id().to_owned() } else { exec.to_owned() },
                pid: known.pid(),
                status: State::Stopped.into(),
                exit_status: exit.status,
                exited_at: exit.at,
                ..Default::default()
            }),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

fn from_state(task: &str, state: api::StateResponse) -> Process {
    Process {
        container_id: task.to_owned(),
        id: if state.exec_id.is_empty() { task.to_owned() } else { state.exec_id },
        pid: state.pid,
        status: state.status,
        stdin: state.stdin,
        stdout: state.stdout,
        stderr: state.stderr,
        terminal: state.terminal,
        exit_status: state.exit_status,
        exited_at: state.exited_at.or(Some(NEVER)),
    }
}

/// A process for a listing: an unreachable shim makes it unknown, not the listing fail.
async fn glance(task: Arc<Task>) -> Process {
    match tokio::time::timeout(GLANCE, process(&task, "")).await {
        Ok(Ok(process)) => process,
        _ => Process {
            container_id: task.id().to_owned(),
            id: task.id().to_owned(),
            pid: task.init().pid(),
            status: State::Unknown.into(),
            ..Default::default()
        },
    }
}

async fn metric(task: Arc<Task>) -> Option<Metric> {
    let stats = tokio::time::timeout(GLANCE, task.client().stats()).await.ok()?.ok()?.stats?;
    Some(Metric { timestamp: Some(SystemTime::now().into()), id: task.id().to_owned(), data: Some(stats) })
}

/// What metrics can be filtered by.
struct ById<'a>(&'a str);

impl Fields for ById<'_> {
    fn field(&self, path: &[String]) -> Option<std::borrow::Cow<'_, str>> {
        (path == ["id"]).then_some(self.0.into())
    }
}

#[tonic::async_trait]
impl Api for Server {
    async fn create(
        &self,
        request: Request<pb::CreateTaskRequest>,
    ) -> Result<Response<pb::CreateTaskResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let container_id = request.container_id.clone();
        let tasks = self.tasks.clone();
        let created = self.tasks.to_the_end(async move { tasks.create(&namespace, request).await }).await;
        answered(created.map(|pid| pb::CreateTaskResponse { container_id, pid }))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Result<Response<pb::StartResponse>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        let tasks = self.tasks.clone();
        let started = self.tasks.to_the_end(async move { tasks.start(task, &request.exec_id).await }).await;
        answered(started.map(|pid| pb::StartResponse { pid }))
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteTaskRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let id = request.into_inner().container_id;
        let tasks = self.tasks.clone();
        let name = id.clone();
        let deleted = self.tasks.to_the_end(async move { tasks.delete(&namespace, &name).await }).await;
        answered(deleted.map(|answer| ended(id, answer)))
    }

    async fn delete_process(
        &self,
        request: Request<pb::DeleteProcessRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        if request.exec_id.is_empty() {
            return Err(Status::invalid_argument("exec id is required; a task is removed by Delete"));
        }
        let exec = request.exec_id.clone();
        let deleted = self.tasks.to_the_end(async move { task.delete_exec(&request.exec_id).await }).await;
        answered(deleted.map(|answer| ended(exec, answer)))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Result<Response<pb::GetResponse>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        let process = process(&task, &request.exec_id).await;
        answered(process.map(|process| pb::GetResponse { process: Some(process) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let all = self.tasks.list(namespace.as_str());
        let tasks = futures::future::join_all(all.into_iter().map(glance)).await;
        Ok(Response::new(pb::ListTasksResponse { tasks }))
    }

    async fn kill(&self, request: Request<pb::KillRequest>) -> Result<Response<()>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        let killed = task.client().kill(&request.exec_id, request.signal, request.all).await;
        let hangs = matches!(killed, Err(Error::ShimAway { .. })) && task.client().is_there().await;
        if hangs && request.signal == SIGKILL && request.exec_id.is_empty() {
            let tasks = self.tasks.clone();
            let hung = task.clone();
            self.tasks.to_the_end(async move { tasks.end_hung(&hung).await }).await;
            if !task.client().is_there().await {
                return Ok(Response::new(()));
            }
        }
        answered(killed)
    }

    async fn exec(&self, request: Request<pb::ExecProcessRequest>) -> Result<Response<()>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        if request.exec_id.is_empty() {
            return Err(Status::invalid_argument("exec id is required"));
        }
        let exec = api::ExecProcessRequest {
            id: request.container_id,
            exec_id: request.exec_id,
            terminal: request.terminal,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            spec: request.spec,
        };
        answered(self.tasks.to_the_end(async move { task.exec(exec).await }).await)
    }

    async fn resize_pty(&self, request: Request<pb::ResizePtyRequest>) -> Result<Response<()>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        answered(task.client().resize_pty(&request.exec_id, request.width, request.height).await)
    }

    async fn close_io(&self, request: Request<pb::CloseIoRequest>) -> Result<Response<()>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        answered(task.client().close_io(&request.exec_id, request.stdin).await)
    }

    async fn pause(&self, request: Request<pb::PauseTaskRequest>) -> Result<Response<()>, Status> {
        let (task, _) = self.task(request, |request| &request.container_id).await?;
        answered(self.tasks.to_the_end(async move { task.pause().await }).await)
    }

    async fn resume(&self, request: Request<pb::ResumeTaskRequest>) -> Result<Response<()>, Status> {
        let (task, _) = self.task(request, |request| &request.container_id).await?;
        answered(self.tasks.to_the_end(async move { task.resume().await }).await)
    }

    async fn list_pids(
        &self,
        request: Request<pb::ListPidsRequest>,
    ) -> Result<Response<pb::ListPidsResponse>, Status> {
        let (task, _) = self.task(request, |request| &request.container_id).await?;
        let pids = task.client().pids().await;
        let info = |process: ProcessInfo| ProcessInfo { pid: process.pid, info: process.info };
        answered(
            pids.map(|pids| pb::ListPidsResponse {
                processes: pids.processes.into_iter().map(info).collect(),
            }),
        )
    }

    async fn checkpoint(
        &self,
        _request: Request<pb::CheckpointTaskRequest>,
    ) -> Result<Response<pb::CheckpointTaskResponse>, Status> {
        Err(Error::Unsupported("checkpointing a task").into_status())
    }

    async fn update(&self, request: Request<pb::UpdateTaskRequest>) -> Result<Response<()>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        let update = api::UpdateTaskRequest {
            id: request.container_id,
            resources: request.resources,
            annotations: request.annotations,
        };
        answered(task.client().update(update).await)
    }

    async fn metrics(
        &self,
        request: Request<pb::MetricsRequest>,
    ) -> Result<Response<pb::MetricsResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let filters =
            FilterSet::parse(&request.get_ref().filters).map_err(|error| Error::from(error).into_status())?;
        let mut chosen = self.tasks.list(namespace.as_str());
        chosen.retain(|task| {
            filters.matches(&ById(task.id())) && !matches!(task.init().phase(), Phase::Exited(_))
        });
        let metrics = futures::future::join_all(chosen.into_iter().map(metric)).await;
        Ok(Response::new(pb::MetricsResponse { metrics: metrics.into_iter().flatten().collect() }))
    }

    async fn wait(&self, request: Request<pb::WaitRequest>) -> Result<Response<pb::WaitResponse>, Status> {
        let (task, request) = self.task(request, |request| &request.container_id).await?;
        let process = task.process(&request.exec_id).map_err(Error::into_status)?;
        let exit = process.ended().await.ok_or_else(|| {
            Error::ProcessNotFound { task: request.container_id, exec: request.exec_id }.into_status()
        })?;
        Ok(Response::new(pb::WaitResponse { exit_status: exit.status, exited_at: exit.at }))
    }
}

fn ended(id: String, answer: api::DeleteResponse) -> pb::DeleteResponse {
    pb::DeleteResponse { id, pid: answer.pid, exit_status: answer.exit_status, exited_at: answer.exited_at }
}
