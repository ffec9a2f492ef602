//! The tasks service: containers' processes and execs.

use std::collections::HashMap;

use gantry_api::engine::Sample;
use gantry_api::tasks::{
    Cause, Control as _, CreateTask, Exec as _, ExecProcess, ExitStatus, Inspect as _, Io as _, Manage as _,
    StartFailure, Status, Wait as _, Whom,
};
use gantry_api::{Failure, snapshots, tasks};
use gantry_mount::Mount;
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, ExecId, Namespace, ProcessId, Signal};
use oci_spec::runtime::{LinuxResources, Process};

use super::{Exit, Stdio, Task, gone, json, said};
use crate::error::{Error, Result};
use crate::time;

const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const RESOURCES_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

/// A client of the tasks service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tasks {
    client: tasks::Client,
    namespace: Namespace,
}

impl Tasks {
    /// A client of a root directory's tasks service.
    pub fn new(peers: &gantry_api::Peers) -> Tasks {
        Tasks { client: tasks::Client::new(peers), namespace: Namespace::moby() }
    }

    /// Creates a container's task; its process does not run until it is started. If the task exists, the error is the
    /// service's `ALREADY_EXISTS`.
    pub async fn create(&self, id: &ContainerId, rootfs: Vec<Mount>, stdio: &Stdio) -> Result<u32> {
        let task = CreateTask {
            rootfs: rootfs.into_iter().map(shown).collect(),
            stdio: stdio_of(stdio),
            ..CreateTask::of(id)
        };
        let answer = self.client.create(&self.namespace, task).await;
        answer.map_err(|failure| match failure.status.code() {
            tonic::Code::AlreadyExists => Error::peer("start container", said(failure)),
            _ => start_failure("start container", failure),
        })
    }

    /// Starts the process of a container or of an exec. Returns its process id.
    pub async fn start(&self, process: &ProcessId) -> Result<u32> {
        let doing = if process.exec.is_some() { "start process" } else { "start container" };
        let answer = self.client.start(&self.namespace, process).await;
        answer.map_err(|failure| start_failure(doing, failure))
    }

    /// Waits for a process to end, without a limit.
    pub async fn wait(&self, process: &ProcessId) -> Result<Exit> {
        let answer = self.client.wait(&self.namespace, process).await;
        answer.map(exit).map_err(|failure| Error::peer(format!("wait for {process}"), said(failure)))
    }

    /// Sends a signal to a process.
    pub async fn kill(&self, process: &ProcessId, signal: Signal) -> Result<()> {
        let answer = self.client.kill(&self.namespace, process, signal, Whom::Process).await;
        answer.map_err(|failure| {
            Error::peer(format!("cannot kill container {}", process.container), said(failure))
        })
    }

    /// Deletes a container's task after its end; succeeds if there is none.
    pub async fn delete(&self, id: &ContainerId) -> Result<()> {
        let answer = self.client.delete(&self.namespace, id).await.map_err(said);
        gone(answer).map_err(|status| Error::peer(format!("delete task of container {id}"), status))
    }

    /// The state of a process.
    pub async fn get(&self, process: &ProcessId) -> Result<Task> {
        let found = match self.client.get(&self.namespace, process).await.map_err(said) {
            Ok(found) => found,
            Err(status) if status.code() == tonic::Code::NotFound => return Ok(Task::Absent),
            Err(status) => return Err(Error::peer(format!("look at process {process}"), status)),
        };
        Ok(match found.status {
            Status::Created => Task::Created,
            Status::Running => Task::Running(found.pid),
            Status::Paused | Status::Pausing => Task::Paused(found.pid),
            Status::Stopped(status) => Task::Stopped(exit(status)),
            Status::Unknown => Task::Absent,
        })
    }

    /// The ids of all tasks in Docker's namespace.
    pub async fn ids(&self) -> Result<Vec<String>> {
        let answer = self.client.list(&self.namespace).await.map_err(said);
        answer
            .map(|tasks| tasks.into_iter().map(|task| task.id.container.to_string()).collect())
            .map_err(|status| Error::peer("list tasks", status))
    }

    /// Process ids on the host of all processes in a container.
    pub async fn pids(&self, id: &ContainerId) -> Result<Vec<u32>> {
        let answer = self.client.list_pids(&self.namespace, id).await.map_err(said);
        answer
            .map(|processes| processes.into_iter().map(|process| process.pid).collect())
            .map_err(|status| Error::peer(format!("list processes of container {id}"), status))
    }

    /// The resource usage of a running container, from its shim.
    pub async fn figures(&self, id: &ContainerId) -> Result<Option<Sample>> {
        let filters = FilterSet::parse(&[format!("id=={id}")])?;
        let answer = self.client.metrics(&self.namespace, &filters).await.map_err(said);
        let metrics =
            answer.map_err(|status| Error::peer(format!("read the figures of container {id}"), status))?;
        let found = metrics.into_iter().find(|metric| metric.container == *id);
        // Another vendor's shim may answer in an unknown type, which counts as figures of 0.
        let told = found.filter(|metric| metric.data.is_some());
        Ok(told.map(|metric| metric.usage().unwrap_or_default().into()))
    }

    /// Freezes a container.
    pub async fn pause(&self, id: &ContainerId) -> Result<()> {
        let answer = self.client.pause(&self.namespace, id).await.map_err(said);
        answer.map_err(|status| Error::peer(format!("cannot pause container {id}"), status))
    }

    /// Thaws a container.
    pub async fn resume(&self, id: &ContainerId) -> Result<()> {
        let answer = self.client.resume(&self.namespace, id).await.map_err(said);
        answer.map_err(|status| Error::peer(format!("cannot unpause container {id}"), status))
    }

    /// Changes a running container's limits.
    pub async fn update(&self, id: &ContainerId, resources: &LinuxResources) -> Result<()> {
        let resources = Some(json(RESOURCES_TYPE, resources)?);
        let answer = self.client.update(&self.namespace, id, resources, HashMap::new()).await;
        answer.map_err(|failure| Error::peer(format!("cannot update container {id}"), said(failure)))
    }

    /// Changes the size of a terminal.
    pub async fn resize(&self, process: &ProcessId, width: u32, height: u32) -> Result<()> {
        let answer = self.client.resize_pty(&self.namespace, process, width, height).await;
        answer.map_err(|failure| {
            Error::peer(format!("resize terminal of container {}", process.container), said(failure))
        })
    }

    /// Adds an exec to a running container; [`Tasks::start`] starts it.
    pub async fn add_exec(
        &self,
        container: &ContainerId,
        exec: &ExecId,
        process: &Process,
        stdio: &Stdio,
    ) -> Result<()> {
        let process = ExecProcess {
            container: container.clone(),
            exec: exec.clone(),
            stdio: stdio_of(stdio),
            spec: Some(json(PROCESS_TYPE, process)?),
        };
        let answer = self.client.exec(&self.namespace, process).await;
        answer.map_err(|failure| start_failure("start process", failure))
    }

    /// Deletes an exec after its end; succeeds if there is none.
    pub async fn delete_exec(&self, container: &ContainerId, exec: &ExecId) -> Result<()> {
        let answer = self.client.delete_process(&self.namespace, container, exec).await.map_err(said);
        gone(answer).map_err(|status| Error::peer(format!("delete exec {exec}"), status))
    }
}

/// The error for a process that could not be created or started. The shim's answer says the exit code besides its
/// text.
fn start_failure(doing: &str, failure: Failure) -> Error {
    let why = StartFailure::of(&failure);
    let status = said(failure);
    if matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded) {
        return Error::peer(doing, status);
    }
    let message = status.message().to_owned();
    match why {
        // The runtime did not come to try it: the shim, or what `tasks` needs for it, has failed.
        None if status.code() == tonic::Code::Internal => {
            tracing::warn!(error = message, "there is no shim to start a process");
        }
        why => tracing::info!(?why, error = message, "a process could not be started"),
    }
    let exit_code = match why.map_or(Cause::Other, |why| why.cause) {
        Cause::NotFound => 127,
        Cause::NotPermitted => 126,
        Cause::Other => 128,
        // The container's user is looked up in its own files before anything is created.
        Cause::NoSuchUser => return Error::Unstartable(message),
    };
    Error::StartFailed { message, exit_code }
}

fn exit(status: ExitStatus) -> Exit {
    Exit { code: i32::try_from(status.code).unwrap_or(255), at: status.at.map_or(0, time::nanoseconds) }
}

/// Input arrives by the attach socket; this value only says that there is input.
fn stdio_of(stdio: &Stdio) -> tasks::Stdio {
    tasks::Stdio {
        stdin: if stdio.stdin { "attach:".to_owned() } else { String::new() },
        stdout: stdio.log.clone(),
        stderr: String::new(),
        terminal: stdio.terminal,
    }
}

fn shown(mount: Mount) -> snapshots::Mount {
    let Mount { fs_type, source, target, options } = mount;
    snapshots::Mount { fs_type, source, target, options }
}
