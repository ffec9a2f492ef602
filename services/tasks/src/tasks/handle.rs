//! The tasks trait of `gantry-api`, served by the live tasks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gantry_api::tasks::{
    Control, CreateTask, Deleted, Exec, ExecProcess, ExitStatus, Inspect, Io, Manage, Metric, Process,
    ProcessInfo, Status, Stdio, Wait, Whom,
};
use gantry_api::{Promise, time};
use gantry_proto::containerd::task::v3 as pb;
use gantry_proto::containerd::v1::types as wire;
use gantry_types::filter::{Fields, FilterSet};
use gantry_types::{ContainerId, ExecId, Namespace, ProcessId, Signal};
use prost_types::{Any, Timestamp};

use super::Tasks;
use crate::error::Error;
use crate::task::Task;
use crate::task::process::{Exit, Phase};

/// How long a listing waits for one shim.
const GLANCE: Duration = Duration::from_secs(2);

/// Serves the tasks trait. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Tasks>);

impl Handle {
    /// Serves these tasks.
    pub fn new(tasks: Arc<Tasks>) -> Self {
        Self(tasks)
    }

    /// A task; waits for one that is being created.
    async fn task(&self, namespace: &Namespace, container: &ContainerId) -> Result<Arc<Task>, Error> {
        self.0.get_made(namespace, container.as_str()).await
    }
}

impl Promise for Handle {
    type Error = Error;
}

impl Inspect for Handle {
    async fn get(&self, namespace: &Namespace, id: &ProcessId) -> Result<Process, Error> {
        process(&*self.task(namespace, &id.container).await?, id).await
    }

    async fn list(&self, namespace: &Namespace) -> Result<Vec<Process>, Error> {
        let all = self.0.list(namespace.as_str());
        futures::future::join_all(all.iter().map(|task| glance(task))).await.into_iter().collect()
    }

    async fn list_pids(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
    ) -> Result<Vec<ProcessInfo>, Error> {
        let answer = self.task(namespace, container).await?.client().pids().await?;
        let info = |process: wire::ProcessInfo| ProcessInfo { pid: process.pid, info: process.info };
        Ok(answer.processes.into_iter().map(info).collect())
    }

    async fn metrics(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Metric>, Error> {
        let mut chosen = self.0.list(namespace.as_str());
        chosen.retain(|task| {
            filters.matches(&ById(task.id())) && !matches!(task.init().phase(), Phase::Exited(_))
        });
        let metrics = futures::future::join_all(chosen.iter().map(|task| metric(task))).await;
        Ok(metrics.into_iter().flatten().collect())
    }
}

impl Wait for Handle {
    async fn wait(&self, namespace: &Namespace, id: &ProcessId) -> Result<ExitStatus, Error> {
        let process = self.task(namespace, &id.container).await?.process(id.exec_text())?;
        let gone =
            || Error::ProcessNotFound { task: id.container.to_string(), exec: id.exec_text().to_owned() };
        process.ended().await.map(ended).ok_or_else(gone)
    }
}

impl Manage for Handle {
    async fn create(&self, namespace: &Namespace, task: CreateTask) -> Result<u32, Error> {
        self.0.create(namespace, task).await
    }

    async fn start(&self, namespace: &Namespace, id: &ProcessId) -> Result<u32, Error> {
        let task = self.task(namespace, &id.container).await?;
        self.0.start(task, id.exec_text()).await
    }

    async fn kill(
        &self,
        namespace: &Namespace,
        id: &ProcessId,
        signal: Signal,
        whom: Whom,
    ) -> Result<(), Error> {
        let task = self.task(namespace, &id.container).await?;
        let all = whom == Whom::All;
        let killed = task.client().kill(id.exec_text(), signal.number(), all).await;
        if signal != Signal::KILL || !matches!(killed, Err(Error::ShimAway { .. })) {
            return killed;
        }
        // A shim that hangs cannot refuse KILL to init: the service kills the shim with its container. The end of a
        // dead shim's task is the end of all its processes.
        let dead = match &id.exec {
            None => self.0.end_silent(&task).await,
            Some(_) => task.client().is_dead().await,
        };
        if !dead {
            return killed;
        }
        self.0.bury(&task).await;
        Ok(())
    }

    async fn delete(&self, namespace: &Namespace, container: &ContainerId) -> Result<Deleted, Error> {
        self.0.delete(namespace, container.as_str()).await.map(deleted)
    }
}

impl Exec for Handle {
    async fn exec(&self, namespace: &Namespace, process: ExecProcess) -> Result<(), Error> {
        let task = self.task(namespace, &process.container).await?;
        let Stdio { stdin, stdout, stderr, terminal } = process.stdio;
        let (id, exec_id) = (process.container.to_string(), process.exec.to_string());
        let spec = process.spec;
        task.exec(pb::ExecProcessRequest { id, exec_id, terminal, stdin, stdout, stderr, spec }).await
    }

    async fn delete_process(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        exec: &ExecId,
    ) -> Result<Deleted, Error> {
        self.task(namespace, container).await?.delete_exec(exec.as_str()).await.map(deleted)
    }
}

impl Io for Handle {
    async fn resize_pty(
        &self,
        namespace: &Namespace,
        id: &ProcessId,
        width: u32,
        height: u32,
    ) -> Result<(), Error> {
        let task = self.task(namespace, &id.container).await?;
        task.client().resize_pty(id.exec_text(), width, height).await
    }

    async fn close_io(&self, namespace: &Namespace, id: &ProcessId) -> Result<(), Error> {
        self.task(namespace, &id.container).await?.client().close_io(id.exec_text(), true).await
    }
}

impl Control for Handle {
    async fn pause(&self, namespace: &Namespace, container: &ContainerId) -> Result<(), Error> {
        self.task(namespace, container).await?.pause().await
    }

    async fn resume(&self, namespace: &Namespace, container: &ContainerId) -> Result<(), Error> {
        self.task(namespace, container).await?.resume().await
    }

    async fn update(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        resources: Option<Any>,
        annotations: HashMap<String, String>,
    ) -> Result<(), Error> {
        let task = self.task(namespace, container).await?;
        let id = container.to_string();
        task.client().update(pb::UpdateTaskRequest { id, resources, annotations }).await
    }
}

/// A process as its shim reports it, or, when the shim is dead, as it was last seen.
async fn process(task: &Task, id: &ProcessId) -> Result<Process, Error> {
    let known = task.process(id.exec_text())?;
    match task.client().state(id.exec_text()).await {
        Ok(state) => Ok(seen(id, state)),
        Err(error @ Error::ShimAway { .. }) => match known.phase() {
            Phase::Exited(exit) => Ok(Process {
                id: id.clone(),
                pid: known.pid(),
                status: Status::Stopped(ended(exit)),
                stdio: Stdio::default(),
            }),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

fn seen(id: &ProcessId, state: pb::StateResponse) -> Process {
    let status = match state.status() {
        wire::Status::Created => Status::Created,
        wire::Status::Running => Status::Running,
        wire::Status::Pausing => Status::Pausing,
        wire::Status::Paused => Status::Paused,
        wire::Status::Stopped => Status::Stopped(exit(state.exit_status, state.exited_at)),
        wire::Status::Unknown => Status::Unknown,
    };
    let pb::StateResponse { pid, stdin, stdout, stderr, terminal, .. } = state;
    Process { id: id.clone(), pid, status, stdio: Stdio { stdin, stdout, stderr, terminal } }
}

/// A task's init for a listing: a shim that does not answer makes the status unknown, and does not fail the listing.
async fn glance(task: &Task) -> Result<Process, Error> {
    let id = ProcessId::init(&task.id().parse()?);
    Ok(match tokio::time::timeout(GLANCE, process(task, &id)).await {
        Ok(Ok(process)) => process,
        _ => Process { id, pid: task.init().pid(), status: Status::Unknown, stdio: Stdio::default() },
    })
}

async fn metric(task: &Task) -> Option<Metric> {
    let container = task.id().parse().ok()?;
    let stats = tokio::time::timeout(GLANCE, task.client().stats()).await.ok()?.ok()?.stats?;
    Some(Metric { container, at: SystemTime::now(), data: Some(stats) })
}

/// A task as the filters of metrics see it.
struct ById<'a>(&'a str);

impl Fields for ById<'_> {
    fn field(&self, path: &[String]) -> Option<std::borrow::Cow<'_, str>> {
        (path == ["id"]).then_some(self.0.into())
    }
}

fn ended(end: Exit) -> ExitStatus {
    exit(end.status, end.at)
}

/// Some shims report Go's zero time for an exit that they have not seen.
fn exit(code: u32, at: Option<Timestamp>) -> ExitStatus {
    ExitStatus { code, at: at.filter(|at| at.seconds >= 0).map(|at| time::system_time(&at)) }
}

fn deleted(answer: pb::DeleteResponse) -> Deleted {
    Deleted { pid: answer.pid, exit: exit(answer.exit_status, answer.exited_at) }
}
