//! `containerd.task.v2.Task`: version 3 under its older name.

use gantry_proto::containerd::task::v2 as pb;
use gantry_proto::containerd::task::v3::task_server::Task;
use tonic::{Request, Response, Status};

use super::Shim;
use super::convert::recode;

/// The shim as clients of version 2 see it.
pub struct Version2(pub Shim);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl pb::task_server::Task for Version2 {
    async fn state(&self, request: Request<pb::StateRequest>) -> Answer<pb::StateResponse> {
        let answer = Task::state(&self.0, Request::new(recode(request.get_ref()))).await?;
        Ok(Response::new(recode(answer.get_ref())))
    }

    async fn create(&self, request: Request<pb::CreateTaskRequest>) -> Answer<pb::CreateTaskResponse> {
        let answer = Task::create(&self.0, Request::new(recode(request.get_ref()))).await?;
        Ok(Response::new(recode(answer.get_ref())))
    }

    async fn start(&self, request: Request<pb::StartRequest>) -> Answer<pb::StartResponse> {
        let answer = Task::start(&self.0, Request::new(recode(request.get_ref()))).await?;
        Ok(Response::new(recode(answer.get_ref())))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Answer<pb::DeleteResponse> {
        let answer = Task::delete(&self.0, Request::new(recode(request.get_ref()))).await?;
        Ok(Response::new(recode(answer.get_ref())))
    }

    async fn pids(&self, request: Request<pb::PidsRequest>) -> Answer<pb::PidsResponse> {
        let answer = Task::pids(&self.0, Request::new(recode(request.get_ref()))).await?;
        Ok(Response::new(recode(answer.get_ref())))
    }

    async fn pause(&self, request: Request<pb::PauseRequest>) -> Answer<()> {
        Task::pause(&self.0, Request::new(recode(request.get_ref()))).await
    }

    async fn resume(&self, request: Request<pb::ResumeRequest>) -> Answer<()> {
        Task::resume(&self.0, Request::new(recode(request.get_ref()))).await
    }

    async fn checkpoint(&self, request: Request<pb::CheckpointTaskRequest>) -> Answer<()> {
        Task::checkpoint(&self.0, Request::new(recode(request.get_ref()))).await
    }

    async fn kill(&self, request: Request<pb::KillRequest>) -> Answer<()> {
        Task::kill(&self.0, Request::new(recode(request.get_ref()))).await
    }

    async fn exec(&self, request: Request<pb::ExecProcessRequest>) -> Answer<()> {
        Task::exec(&self.0, Request::new(recode(request.get_ref()))).await
    }

    async fn resize_pty(&self, request: Request<pb::ResizePtyRequest>) -> Answer<()> {
        Task::resize_pty(&self.0, Request::new(recode(request.get_ref()))).await
    }

    async fn close_io(&self, request: Request<pb::CloseIoRequest>) -> Answer<()> {
        Task::close_io(&self.0, Request::new(recode(request.get_ref()))).await
    }

    async fn update(&self, request: Request<pb::UpdateTaskRequest>) -> Answer<()> {
        Task::update(&self.0, Request::new(recode(request.get_ref()))).await
    }

    async fn wait(&self, request: Request<pb::WaitRequest>) -> Answer<pb::WaitResponse> {
        let answer = Task::wait(&self.0, Request::new(recode(request.get_ref()))).await?;
        Ok(Response::new(recode(answer.get_ref())))
    }

    async fn stats(&self, request: Request<pb::StatsRequest>) -> Answer<pb::StatsResponse> {
        let answer = Task::stats(&self.0, Request::new(recode(request.get_ref()))).await?;
        Ok(Response::new(recode(answer.get_ref())))
    }

    async fn connect(&self, request: Request<pb::ConnectRequest>) -> Answer<pb::ConnectResponse> {
        let answer = Task::connect(&self.0, Request::new(recode(request.get_ref()))).await?;
        Ok(Response::new(recode(answer.get_ref())))
    }

    async fn shutdown(&self, request: Request<pb::ShutdownRequest>) -> Answer<()> {
        Task::shutdown(&self.0, Request::new(recode(request.get_ref()))).await
    }
}
