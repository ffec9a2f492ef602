//! The client of tasks' socket.

use std::collections::HashMap;

use gantry_proto::containerd::services::tasks::v1 as pb;
use gantry_proto::containerd::services::tasks::v1::tasks_client::TasksClient;
use gantry_rpc::{Channel, context};
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, ExecId, Namespace, ProcessId, Signal};
use prost_types::Any;

use super::{
    Control, CreateTask, Deleted, Exec, ExecProcess, ExitStatus, Inspect, Io, Manage, Metric, Process,
    ProcessInfo, Wait, Whom, convert,
};
use crate::Failure;
use crate::wire::{self, Invalid};

client!(
    /// A client of tasks. Cheap to clone.
    "tasks", tasks: TasksClient<Channel>
);

impl Inspect for Client {
    async fn get(&self, namespace: &Namespace, process: &ProcessId) -> Result<Process, Failure> {
        const CALL: &str = "look up a process";
        let (container_id, exec_id) = (process.container.to_string(), process.exec_text().to_owned());
        let request = context::with_namespace(pb::GetRequest { container_id, exec_id }, namespace);
        let answer = self.caller.ask(CALL, self.rpc().get(request)).await?;
        let found = answer.process.ok_or(Invalid::Missing { field: "process" });
        let found = found.map_err(self.caller.garbled(CALL))?;
        Ok(convert::parse_process(process.clone(), found))
    }

    async fn list(&self, namespace: &Namespace) -> Result<Vec<Process>, Failure> {
        const CALL: &str = "list tasks";
        let request = context::with_namespace(pb::ListTasksRequest::default(), namespace);
        let answer = self.caller.ask(CALL, self.rpc().list(request)).await?;
        let all = answer.tasks.into_iter().map(convert::parse_init).collect::<Result<_, _>>();
        all.map_err(self.caller.garbled(CALL))
    }

    async fn list_pids(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
    ) -> Result<Vec<ProcessInfo>, Failure> {
        let request = pb::ListPidsRequest { container_id: container.to_string() };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask("list a task's processes", self.rpc().list_pids(request)).await?;
        Ok(answer.processes.into_iter().map(convert::parse_info).collect())
    }

    async fn metrics(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Metric>, Failure> {
        const CALL: &str = "measure tasks";
        let request = pb::MetricsRequest { filters: wire::filter_texts(filters) };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask(CALL, self.rpc().metrics(request)).await?;
        let all = answer.metrics.into_iter().map(convert::parse_metric).collect::<Result<_, _>>();
        all.map_err(self.caller.garbled(CALL))
    }
}

impl Wait for Client {
    async fn wait(&self, namespace: &Namespace, process: &ProcessId) -> Result<ExitStatus, Failure> {
        let (container_id, exec_id) = (process.container.to_string(), process.exec_text().to_owned());
        let request = context::with_namespace(pb::WaitRequest { container_id, exec_id }, namespace);
        let answer = self.caller.ask("wait for a process", self.rpc().wait(request)).await?;
        Ok(convert::exit(answer.exit_status, answer.exited_at))
    }
}

impl Manage for Client {
    async fn create(&self, namespace: &Namespace, task: CreateTask) -> Result<u32, Failure> {
        let request = context::with_namespace(convert::create(task), namespace);
        let answer = self.caller.ask("create a task", self.rpc().create(request)).await?;
        Ok(answer.pid)
    }

    async fn start(&self, namespace: &Namespace, process: &ProcessId) -> Result<u32, Failure> {
        let (container_id, exec_id) = (process.container.to_string(), process.exec_text().to_owned());
        let request = context::with_namespace(pb::StartRequest { container_id, exec_id }, namespace);
        let answer = self.caller.ask("start a process", self.rpc().start(request)).await?;
        Ok(answer.pid)
    }

    async fn kill(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
        signal: Signal,
        whom: Whom,
    ) -> Result<(), Failure> {
        let request = pb::KillRequest {
            container_id: process.container.to_string(),
            exec_id: process.exec_text().to_owned(),
            signal: signal.number(),
            all: whom == Whom::All,
        };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("send a signal to a process", self.rpc().kill(request)).await
    }

    async fn delete(&self, namespace: &Namespace, container: &ContainerId) -> Result<Deleted, Failure> {
        let request = pb::DeleteTaskRequest { container_id: container.to_string() };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask("delete a task", self.rpc().delete(request)).await?;
        Ok(convert::parse_deleted(answer))
    }
}

impl Exec for Client {
    async fn exec(&self, namespace: &Namespace, process: ExecProcess) -> Result<(), Failure> {
        let request = context::with_namespace(convert::exec(process), namespace);
        self.caller.ask("add a process to a task", self.rpc().exec(request)).await
    }

    async fn delete_process(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        exec: &ExecId,
    ) -> Result<Deleted, Failure> {
        let (container_id, exec_id) = (container.to_string(), exec.to_string());
        let request = pb::DeleteProcessRequest { container_id, exec_id };
        let request = context::with_namespace(request, namespace);
        let answer = self.caller.ask("delete a process", self.rpc().delete_process(request)).await?;
        Ok(convert::parse_deleted(answer))
    }
}

impl Io for Client {
    async fn resize_pty(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
        width: u32,
        height: u32,
    ) -> Result<(), Failure> {
        let (container_id, exec_id) = (process.container.to_string(), process.exec_text().to_owned());
        let request = pb::ResizePtyRequest { container_id, exec_id, width, height };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("resize a terminal", self.rpc().resize_pty(request)).await
    }

    async fn close_io(&self, namespace: &Namespace, process: &ProcessId) -> Result<(), Failure> {
        let (container_id, exec_id) = (process.container.to_string(), process.exec_text().to_owned());
        let request = pb::CloseIoRequest { container_id, exec_id, stdin: true };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("close a process's input", self.rpc().close_io(request)).await
    }
}

impl Control for Client {
    async fn pause(&self, namespace: &Namespace, container: &ContainerId) -> Result<(), Failure> {
        let request = pb::PauseTaskRequest { container_id: container.to_string() };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("pause a task", self.rpc().pause(request)).await
    }

    async fn resume(&self, namespace: &Namespace, container: &ContainerId) -> Result<(), Failure> {
        let request = pb::ResumeTaskRequest { container_id: container.to_string() };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("resume a task", self.rpc().resume(request)).await
    }

    async fn update(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        resources: Option<Any>,
        annotations: HashMap<String, String>,
    ) -> Result<(), Failure> {
        let request = pb::UpdateTaskRequest { container_id: container.to_string(), resources, annotations };
        let request = context::with_namespace(request, namespace);
        self.caller.ask("change a task's limits", self.rpc().update(request)).await
    }
}
