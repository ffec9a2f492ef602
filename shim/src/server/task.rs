//! `containerd.task.v3.Task`: parses, calls, converts.

use std::path::PathBuf;

use gantry_proto::containerd::runc::v1::ProcessDetails;
use gantry_proto::containerd::task::v3 as pb;
use gantry_proto::containerd::v1::types::ProcessInfo;
use tonic::{Request, Response, Status};

use super::{Shim, convert, metrics};
use crate::container;
use crate::error::Error;
use crate::process::Phase;
use crate::stdio::Wanted;

type Answer<T> = Result<Response<T>, Status>;

fn deleted(pid: i32, exit: crate::reaper::Exit) -> pb::DeleteResponse {
    pb::DeleteResponse {
        pid: pid.cast_unsigned(),
        exit_status: exit.status,
        exited_at: Some(convert::timestamp(exit.at)),
    }
}

/// Runs `work` to its end even when the client cancels. Otherwise a half-made container would stay, or a program
/// would run whose start no client has seen.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Exec ids become file names.
pub(super) fn check_id(id: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let valid = !id.is_empty() && id.len() <= 128 && id.bytes().all(allowed) && !id.starts_with('.');
    if valid { Ok(()) } else { Err(Error::InvalidArgument(format!("id {id:?} is not valid"))) }
}

#[tonic::async_trait]
impl pb::task_server::Task for Shim {
    async fn state(&self, request: Request<pb::StateRequest>) -> Answer<pb::StateResponse> {
        let request = request.into_inner();
        let container = self.container(&request.id)?;
        let process = container.process(&request.exec_id)?;
        let phase = process.phase();
        let exit = match phase {
            Phase::Stopped { exit, .. } => Some(exit),
            _ => None,
        };
        let paused = request.exec_id.is_empty() && container.is_paused().await;
        let wanted = process.wanted.clone();
        Ok(Response::new(pb::StateResponse {
            id: request.id,
            bundle: container.bundle.to_string_lossy().into_owned(),
            pid: phase.pid().cast_unsigned(),
            status: convert::status(phase, paused).into(),
            stdin: wanted.stdin,
            stdout: wanted.stdout,
            stderr: wanted.stderr,
            terminal: wanted.terminal,
            exit_status: exit.map_or(0, |exit| exit.status),
            exited_at: exit.map(|exit| convert::timestamp(exit.at)),
            exec_id: request.exec_id,
        }))
    }

    async fn create(&self, request: Request<pb::CreateTaskRequest>) -> Answer<pb::CreateTaskResponse> {
        let request = request.into_inner();
        if !request.checkpoint.is_empty() {
            return Err(Error::Unsupported("restoring a checkpoint").into());
        }
        check_id(&request.id)?;
        let choice = convert::choice(request.options.as_ref())?;
        {
            let mut containers = self.containers();
            if containers.contains_key(&request.id) {
                return Err(Error::ContainerExists(request.id).into());
            }
            containers.insert(request.id.clone(), None);
        }
        let request = container::Request {
            id: request.id,
            bundle: PathBuf::from(request.bundle),
            rootfs: request.rootfs,
            wanted: Wanted {
                terminal: request.terminal,
                stdin: request.stdin,
                stdout: request.stdout,
                stderr: request.stderr,
            },
            choice,
        };
        let shim = self.clone();
        let pid = to_the_end(async move { shim.make(request).await }).await?;
        Ok(Response::new(pb::CreateTaskResponse { pid: pid.cast_unsigned() }))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Answer<pb::StartResponse> {
        let request = request.into_inner();
        let container = self.container(&request.id)?;
        let started = to_the_end(async move {
            match request.exec_id.as_str() {
                "" => container.start().await,
                exec => container.start_exec(exec).await,
            }
        });
        let pid = started.await?;
        Ok(Response::new(pb::StartResponse { pid: pid.cast_unsigned() }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer<pb::DeleteResponse> {
        let request = request.into_inner();
        let container = self.container(&request.id)?;
        let shim = self.clone();
        let outcome = to_the_end(async move {
            if !request.exec_id.is_empty() {
                return container.delete_exec(&request.exec_id).await;
            }
            let outcome = container.delete().await?;
            shim.containers().remove(&request.id);
            Ok(outcome)
        });
        let (pid, exit) = outcome.await?;
        Ok(Response::new(deleted(pid, exit)))
    }

    async fn pids(&self, request: Request<pb::PidsRequest>) -> Answer<pb::PidsResponse> {
        let container = self.container(&request.get_ref().id)?;
        let mut execs = std::collections::HashMap::new();
        for id in container.exec_ids() {
            if let Ok(process) = container.process(&id) {
                execs.insert(process.phase().pid(), id);
            }
        }
        let describe = |pid: i32| ProcessInfo {
            pid: pid.cast_unsigned(),
            info: execs.get(&pid).map(|exec| gantry_proto::pack(&ProcessDetails { exec_id: exec.clone() })),
        };
        let processes = container.cgroup()?.pids().into_iter().map(describe).collect();
        Ok(Response::new(pb::PidsResponse { processes }))
    }

    async fn pause(&self, request: Request<pb::PauseRequest>) -> Answer<()> {
        self.container(&request.get_ref().id)?.pause().await?;
        Ok(Response::new(()))
    }

    async fn resume(&self, request: Request<pb::ResumeRequest>) -> Answer<()> {
        self.container(&request.get_ref().id)?.resume().await?;
        Ok(Response::new(()))
    }

    async fn checkpoint(&self, _: Request<pb::CheckpointTaskRequest>) -> Answer<()> {
        Err(Error::Unsupported("checkpointing").into())
    }

    async fn kill(&self, request: Request<pb::KillRequest>) -> Answer<()> {
        let request = request.into_inner();
        let container = self.container(&request.id)?;
        container.kill(&request.exec_id, convert::signal(request.signal)?, request.all)?;
        Ok(Response::new(()))
    }

    async fn exec(&self, request: Request<pb::ExecProcessRequest>) -> Answer<()> {
        let request = request.into_inner();
        let container = self.container(&request.id)?;
        check_id(&request.exec_id)?;
        let wanted = Wanted {
            terminal: request.terminal,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
        };
        let description = request.spec.unwrap_or_default().value;
        container.add_exec(&request.exec_id, wanted, &description).await?;
        Ok(Response::new(()))
    }

    async fn resize_pty(&self, request: Request<pb::ResizePtyRequest>) -> Answer<()> {
        let request = request.into_inner();
        let process = self.container(&request.id)?.process(&request.exec_id)?;
        process.stdio.resize(request.width as u16, request.height as u16)?;
        Ok(Response::new(()))
    }

    async fn close_io(&self, request: Request<pb::CloseIoRequest>) -> Answer<()> {
        let request = request.into_inner();
        let process = self.container(&request.id)?.process(&request.exec_id)?;
        if request.stdin {
            process.stdio.close_stdin();
        }
        Ok(Response::new(()))
    }

    async fn update(&self, request: Request<pb::UpdateTaskRequest>) -> Answer<()> {
        let request = request.into_inner();
        let container = self.container(&request.id)?;
        container.update(&request.resources.unwrap_or_default().value).await?;
        Ok(Response::new(()))
    }

    async fn wait(&self, request: Request<pb::WaitRequest>) -> Answer<pb::WaitResponse> {
        let request = request.into_inner();
        // The container may be removed while its exit is awaited.
        let process = self.container(&request.id)?.process(&request.exec_id)?;
        let exit = process.wait().await;
        Ok(Response::new(pb::WaitResponse {
            exit_status: exit.status,
            exited_at: Some(convert::timestamp(exit.at)),
        }))
    }

    async fn stats(&self, request: Request<pb::StatsRequest>) -> Answer<pb::StatsResponse> {
        let container = self.container(&request.get_ref().id)?;
        let stats = metrics::read(container.cgroup()?);
        Ok(Response::new(pb::StatsResponse { stats: Some(stats) }))
    }

    async fn connect(&self, request: Request<pb::ConnectRequest>) -> Answer<pb::ConnectResponse> {
        let container = self.container(&request.get_ref().id).ok();
        let task_pid = container.map_or(0, |container| container.init().phase().pid());
        Ok(Response::new(pb::ConnectResponse {
            shim_pid: std::process::id(),
            task_pid: task_pid.cast_unsigned(),
            version: "3".into(),
        }))
    }

    async fn shutdown(&self, request: Request<pb::ShutdownRequest>) -> Answer<()> {
        if request.get_ref().now || self.is_unused() {
            self.stop();
        }
        Ok(Response::new(()))
    }
}
