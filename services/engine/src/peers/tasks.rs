//! Running containers and their further processes.

use gantry_api::engine::Sample;
use gantry_mount::Mount;
use gantry_proto::containerd::services::tasks::v1 as tasks;
use gantry_proto::containerd::types;
use gantry_proto::containerd::v1::types as task_types;
use oci_spec::runtime::{LinuxResources, Process};
use tonic::Status;

use super::{
    DEADLINE, Exit, PROCESS_TYPE, Peers, RESOURCES_TYPE, Stdio, Task, call, figures, gone, json,
    start_failure, stdin_of,
};
use crate::container::signal::Signal;
use crate::error::{Error, Result};

impl Peers {
    /// Makes a container's process up to the point where it can be started. One that is there is the peer's
    /// `ALREADY_EXISTS`.
    pub async fn create_task(&self, id: &str, rootfs: Vec<Mount>, stdio: &Stdio) -> Result<u32> {
        let request = tasks::CreateTaskRequest {
            container_id: id.to_owned(),
            rootfs: rootfs.into_iter().map(wire).collect(),
            stdin: stdin_of(stdio),
            stdout: stdio.log.clone(),
            stderr: String::new(),
            terminal: stdio.terminal,
            ..Default::default()
        };
        let answer = call(DEADLINE, self.peers.tasks().create(self.request(request))).await;
        answer.map(|answer| answer.pid).map_err(|status| match status.code() {
            tonic::Code::AlreadyExists => Error::peer("start container", status),
            _ => start_failure(status),
        })
    }

    /// Starts the process of a container (`exec` empty) or a further one.
    pub async fn start_task(&self, id: &str, exec: &str) -> Result<u32> {
        let request = tasks::StartRequest { container_id: id.to_owned(), exec_id: exec.to_owned() };
        let answer = call(DEADLINE, self.peers.tasks().start(self.request(request))).await;
        answer.map(|answer| answer.pid).map_err(start_failure)
    }

    /// Waits, however long, for a process to end.
    pub async fn wait_task(&self, id: &str, exec: &str) -> Result<Exit, Status> {
        let request = tasks::WaitRequest { container_id: id.to_owned(), exec_id: exec.to_owned() };
        let answer = self.peers.tasks().wait(self.request(request)).await?.into_inner();
        Ok(Exit {
            code: i32::try_from(answer.exit_status).unwrap_or(255),
            at: crate::time::from_timestamp(answer.exited_at.as_ref()),
        })
    }

    /// Sends a signal to a process.
    pub async fn kill_task(&self, id: &str, exec: &str, signal: Signal) -> Result<(), Status> {
        let request = tasks::KillRequest {
            container_id: id.to_owned(),
            exec_id: exec.to_owned(),
            signal: signal.number(),
            all: false,
        };
        call(DEADLINE, self.peers.tasks().kill(self.request(request))).await
    }

    /// Forgets an ended process of a container; none is fine.
    pub async fn delete_task(&self, id: &str) -> Result<()> {
        let request = tasks::DeleteTaskRequest { container_id: id.to_owned() };
        let answer = call(DEADLINE, self.peers.tasks().delete(self.request(request))).await;
        gone(answer).map_err(|status| Error::peer(format!("delete task of container {id}"), status))
    }

    /// What tasks knows of a process.
    pub async fn task(&self, id: &str, exec: &str) -> Result<Task> {
        let request = tasks::GetRequest { container_id: id.to_owned(), exec_id: exec.to_owned() };
        let answer = match call(DEADLINE, self.peers.tasks().get(self.request(request))).await {
            Ok(answer) => answer,
            Err(status) if status.code() == tonic::Code::NotFound => return Ok(Task::Absent),
            Err(status) => return Err(Error::peer(format!("look at task {id}"), status)),
        };
        let Some(process) = answer.process else { return Ok(Task::Absent) };
        Ok(match process.status() {
            task_types::Status::Created => Task::Created,
            task_types::Status::Running => Task::Running(process.pid),
            task_types::Status::Paused | task_types::Status::Pausing => Task::Paused(process.pid),
            task_types::Status::Stopped => Task::Stopped(Exit {
                code: i32::try_from(process.exit_status).unwrap_or(255),
                at: crate::time::from_timestamp(process.exited_at.as_ref()),
            }),
            task_types::Status::Unknown => Task::Absent,
        })
    }

    /// The ids of all tasks of Docker's namespace.
    pub async fn task_ids(&self) -> Result<Vec<String>> {
        let request = tasks::ListTasksRequest::default();
        let answer = call(DEADLINE, self.peers.tasks().list(self.request(request))).await;
        answer
            .map(|answer| answer.tasks.into_iter().map(|task| task.id).collect())
            .map_err(|status| Error::peer("list tasks", status))
    }

    /// Host process ids of everything in a container.
    pub async fn pids(&self, id: &str) -> Result<Vec<u32>> {
        let request = tasks::ListPidsRequest { container_id: id.to_owned() };
        let answer = call(DEADLINE, self.peers.tasks().list_pids(self.request(request))).await;
        answer
            .map(|answer| answer.processes.into_iter().map(|process| process.pid).collect())
            .map_err(|status| Error::peer(format!("list processes of container {id}"), status))
    }

    /// A running container's figures, as its shim says them.
    pub async fn figures(&self, id: &str) -> Result<Option<Sample>> {
        let request = tasks::MetricsRequest { filters: vec![format!("id=={id}")] };
        let answer = call(DEADLINE, self.peers.tasks().metrics(self.request(request))).await;
        let answer =
            answer.map_err(|status| Error::peer(format!("read the figures of container {id}"), status))?;
        let found = answer.metrics.into_iter().find(|metric| metric.id == id).and_then(|metric| metric.data);
        // What somebody else's shim says in words that are not known counts as nothing.
        Ok(found.map(|data| figures::read(&data).unwrap_or_default()))
    }

    /// Freezes a container.
    pub async fn pause_task(&self, id: &str) -> Result<()> {
        let request = tasks::PauseTaskRequest { container_id: id.to_owned() };
        let answer = call(DEADLINE, self.peers.tasks().pause(self.request(request))).await;
        answer.map_err(|status| Error::peer(format!("cannot pause container {id}"), status))
    }

    /// Thaws a container.
    pub async fn resume_task(&self, id: &str) -> Result<()> {
        let request = tasks::ResumeTaskRequest { container_id: id.to_owned() };
        let answer = call(DEADLINE, self.peers.tasks().resume(self.request(request))).await;
        answer.map_err(|status| Error::peer(format!("cannot unpause container {id}"), status))
    }

    /// Changes a running container's limits.
    pub async fn update_task(&self, id: &str, resources: &LinuxResources) -> Result<()> {
        let request = tasks::UpdateTaskRequest {
            container_id: id.to_owned(),
            resources: Some(json(RESOURCES_TYPE, resources)?),
            ..Default::default()
        };
        let answer = call(DEADLINE, self.peers.tasks().update(self.request(request))).await;
        answer.map_err(|status| Error::peer(format!("cannot update container {id}"), status))
    }

    /// Changes the size of a terminal.
    pub async fn resize(&self, id: &str, exec: &str, width: u32, height: u32) -> Result<()> {
        let request =
            tasks::ResizePtyRequest { container_id: id.to_owned(), exec_id: exec.to_owned(), width, height };
        let answer = call(DEADLINE, self.peers.tasks().resize_pty(self.request(request))).await;
        answer.map_err(|status| Error::peer(format!("resize terminal of container {id}"), status))
    }

    /// Adds a process to a running container; it is started by [`Peers::start_task`].
    pub async fn add_exec(&self, id: &str, exec: &str, process: &Process, stdio: &Stdio) -> Result<()> {
        let request = tasks::ExecProcessRequest {
            container_id: id.to_owned(),
            exec_id: exec.to_owned(),
            stdin: stdin_of(stdio),
            stdout: stdio.log.clone(),
            stderr: String::new(),
            terminal: stdio.terminal,
            spec: Some(json(PROCESS_TYPE, process)?),
        };
        let answer = call(DEADLINE, self.peers.tasks().exec(self.request(request))).await;
        answer.map_err(start_failure)
    }

    /// Forgets an ended exec; none is fine.
    pub async fn delete_exec(&self, id: &str, exec: &str) -> Result<()> {
        let request = tasks::DeleteProcessRequest { container_id: id.to_owned(), exec_id: exec.to_owned() };
        let answer = call(DEADLINE, self.peers.tasks().delete_process(self.request(request))).await;
        gone(answer).map_err(|status| Error::peer(format!("delete exec {exec}"), status))
    }
}

fn wire(mount: Mount) -> types::Mount {
    types::Mount { r#type: mount.fs_type, source: mount.source, target: mount.target, options: mount.options }
}
