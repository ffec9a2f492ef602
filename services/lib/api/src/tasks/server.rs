//! containerd's Tasks service, over an implementation of the promise.

use gantry_proto::containerd::services::tasks::v1 as pb;
use gantry_proto::containerd::services::tasks::v1::tasks_server::{Tasks, TasksServer};
use gantry_rpc::{context, status};
use gantry_types::{ContainerId, ExecId, Namespace, ProcessId, Signal};
use tonic::{Request, Response, Status};

use super::{Service, Whom, convert};
use crate::peers::MESSAGE_LIMIT;
use crate::to_the_end;
use crate::wire::{self, Invalid};

/// The service over an implementation.
pub fn service<S: Service + Clone + 'static>(service: S) -> TasksServer<Server<S>> {
    TasksServer::new(Server(service))
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

/// Parses, calls, converts. Changes run to their end even if their callers cancel: no other call would finish a
/// half-done step.
#[derive(Debug, Clone)]
pub struct Server<S>(S);

/// An invalid id names no container.
fn container(id: &str) -> Result<ContainerId, Status> {
    id.parse().map_err(|_| Status::not_found(format!("task {id:?} not found")))
}

fn process(container_id: &str, exec_id: &str) -> Result<ProcessId, Status> {
    let container = container(container_id)?;
    let missing = |_| Status::not_found(format!("process {exec_id:?} of task {container_id:?} not found"));
    let exec = match exec_id {
        "" => None,
        named => Some(named.parse::<ExecId>().map_err(missing)?),
    };
    Ok(ProcessId { container, exec })
}

fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("{what} is not supported"))
}

#[tonic::async_trait]
impl<S: Service + Clone + 'static> Tasks for Server<S> {
    async fn create(
        &self,
        request: Request<pb::CreateTaskRequest>,
    ) -> Result<Response<pb::CreateTaskResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        if request.checkpoint.is_some() {
            return Err(unsupported("restoring a checkpoint"));
        }
        if !request.task_api_address.is_empty() {
            return Err(unsupported("a task in somebody else's sandbox"));
        }
        let container_id = request.container_id.clone();
        let missing = |_| Status::not_found(format!("container {container_id:?} not found"));
        let task = convert::parse_create(container_id.parse().map_err(missing)?, request);
        let service = self.0.clone();
        let pid = to_the_end(async move { service.create(&namespace, task).await }).await?;
        Ok(Response::new(pb::CreateTaskResponse { container_id, pid }))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Result<Response<pb::StartResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let (service, id) = (self.0.clone(), process(&request.container_id, &request.exec_id)?);
        let pid = to_the_end(async move { service.start(&namespace, &id).await }).await?;
        Ok(Response::new(pb::StartResponse { pid }))
    }

    async fn delete(
        &self,
        request: Request<pb::DeleteTaskRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let id = request.into_inner().container_id;
        let (service, named) = (self.0.clone(), container(&id)?);
        let deleted = to_the_end(async move { service.delete(&namespace, &named).await }).await?;
        Ok(Response::new(convert::deleted(id, deleted)))
    }

    async fn delete_process(
        &self,
        request: Request<pb::DeleteProcessRequest>,
    ) -> Result<Response<pb::DeleteResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        let ProcessId { container, exec } = process(&request.container_id, &request.exec_id)?;
        let exec =
            exec.ok_or_else(|| Status::invalid_argument("exec id is required; a task is removed by Delete"))?;
        let service = self.0.clone();
        let work = async move { service.delete_process(&namespace, &container, &exec).await };
        Ok(Response::new(convert::deleted(request.exec_id, to_the_end(work).await?)))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Result<Response<pb::GetResponse>, Status> {
        let (namespace, asked) = (context::namespace(&request)?, request.get_ref());
        let id = process(&asked.container_id, &asked.exec_id)?;
        let found = self.0.get(&namespace, &id).await.map_err(status)?;
        Ok(Response::new(pb::GetResponse { process: Some(convert::process(found)) }))
    }

    async fn list(
        &self,
        request: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        let tasks = self.0.list(&context::namespace(&request)?).await.map_err(status)?;
        Ok(Response::new(pb::ListTasksResponse { tasks: tasks.into_iter().map(convert::process).collect() }))
    }

    async fn kill(&self, request: Request<pb::KillRequest>) -> Result<Response<()>, Status> {
        let (namespace, asked) = (context::namespace(&request)?, request.get_ref());
        let id = process(&asked.container_id, &asked.exec_id)?;
        let number = asked.signal;
        let invalid = Invalid::Number { field: "signal", value: number.into() };
        let signal = Signal::of(number).ok_or(invalid).map_err(status)?;
        let whom = if asked.all { Whom::All } else { Whom::Process };
        let service = self.0.clone();
        let work = async move { service.kill(&namespace, &id, signal, whom).await };
        to_the_end(work).await.map(Response::new)
    }

    async fn exec(&self, request: Request<pb::ExecProcessRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let request = request.into_inner();
        if request.exec_id.is_empty() {
            return Err(Status::invalid_argument("exec id is required"));
        }
        let container = container(&request.container_id)?;
        let process = convert::parse_exec(container, request).map_err(status)?;
        let service = self.0.clone();
        to_the_end(async move { service.exec(&namespace, process).await }).await.map(Response::new)
    }

    async fn resize_pty(&self, request: Request<pb::ResizePtyRequest>) -> Result<Response<()>, Status> {
        let (namespace, asked) = (context::namespace(&request)?, request.get_ref());
        let id = process(&asked.container_id, &asked.exec_id)?;
        let resized = self.0.resize_pty(&namespace, &id, asked.width, asked.height).await;
        resized.map(Response::new).map_err(status)
    }

    async fn close_io(&self, request: Request<pb::CloseIoRequest>) -> Result<Response<()>, Status> {
        let (namespace, asked) = (context::namespace(&request)?, request.get_ref());
        let id = process(&asked.container_id, &asked.exec_id)?;
        if !asked.stdin {
            // The request closes no stream: the answer only says whether the process exists.
            return self.0.get(&namespace, &id).await.map(|_| Response::new(())).map_err(status);
        }
        self.0.close_io(&namespace, &id).await.map(Response::new).map_err(status)
    }

    async fn pause(&self, request: Request<pb::PauseTaskRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let (service, id) = (self.0.clone(), container(&request.get_ref().container_id)?);
        to_the_end(async move { service.pause(&namespace, &id).await }).await.map(Response::new)
    }

    async fn resume(&self, request: Request<pb::ResumeTaskRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let (service, id) = (self.0.clone(), container(&request.get_ref().container_id)?);
        to_the_end(async move { service.resume(&namespace, &id).await }).await.map(Response::new)
    }

    async fn list_pids(
        &self,
        request: Request<pb::ListPidsRequest>,
    ) -> Result<Response<pb::ListPidsResponse>, Status> {
        let namespace = context::namespace(&request)?;
        let id = container(&request.get_ref().container_id)?;
        let processes = self.0.list_pids(&namespace, &id).await.map_err(status)?;
        let processes = processes.into_iter().map(convert::info).collect();
        Ok(Response::new(pb::ListPidsResponse { processes }))
    }

    async fn checkpoint(
        &self,
        _: Request<pb::CheckpointTaskRequest>,
    ) -> Result<Response<pb::CheckpointTaskResponse>, Status> {
        Err(unsupported("checkpointing a task"))
    }

    async fn update(&self, request: Request<pb::UpdateTaskRequest>) -> Result<Response<()>, Status> {
        let namespace = context::namespace(&request)?;
        let pb::UpdateTaskRequest { container_id, resources, annotations } = request.into_inner();
        let (service, id) = (self.0.clone(), container(&container_id)?);
        let work = async move { service.update(&namespace, &id, resources, annotations).await };
        to_the_end(work).await.map(Response::new)
    }

    async fn metrics(
        &self,
        request: Request<pb::MetricsRequest>,
    ) -> Result<Response<pb::MetricsResponse>, Status> {
        let namespace: Namespace = context::namespace(&request)?;
        let filters = wire::filters(&request.get_ref().filters).map_err(status)?;
        let metrics = self.0.metrics(&namespace, &filters).await.map_err(status)?;
        let metrics = metrics.into_iter().map(convert::metric).collect();
        Ok(Response::new(pb::MetricsResponse { metrics }))
    }

    async fn wait(&self, request: Request<pb::WaitRequest>) -> Result<Response<pb::WaitResponse>, Status> {
        let (namespace, asked) = (context::namespace(&request)?, request.get_ref());
        let id = process(&asked.container_id, &asked.exec_id)?;
        let exit = self.0.wait(&namespace, &id).await.map_err(status)?;
        Ok(Response::new(pb::WaitResponse { exit_status: exit.code, exited_at: convert::timestamp(exit.at) }))
    }
}
