//! The engine's neighbours, as they behave: images, snapshots and tasks of a small world in memory, and the fake of network.
//!
//! A process "runs" until the test ends it. What the engine leaves behind can be counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use containers::containers_server::{Containers, ContainersServer};
use gantry_fakes::Network;
use gantry_proto::containerd::services::{
    containers::v1 as containers, snapshots::v1 as snapshots, tasks::v1 as tasks,
};
use gantry_proto::containerd::types::Mount;
use gantry_proto::containerd::v1::types as task;
use gantry_proto::gantry::images::v1 as images;
use gantry_proto::gantry::shim::v1::{StartFailure, start_failure::Cause};
use images::image_store_server::{ImageStore, ImageStoreServer};
use snapshots::snapshots_server::{Snapshots, SnapshotsServer};
use tasks::tasks_server::{Tasks, TasksServer};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

type Reply<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The world. Cheap to clone.
#[derive(Clone)]
pub struct World {
    root: std::path::PathBuf,
    /// Networks and network namespaces.
    pub network: Network,
    things: Arc<Mutex<Things>>,
}

/// What there is.
#[derive(Default)]
pub struct Things {
    /// Container records by id.
    pub records: BTreeMap<String, containers::Container>,
    /// Snapshot keys.
    pub snapshots: BTreeSet<String>,
    /// Processes by container and exec id.
    pub processes: BTreeMap<(String, String), Process>,
    /// Starts that were asked for.
    pub starts: u32,
    /// What the next start answers instead.
    pub refuse_start: Option<String>,
    /// What the next preparation of a root answers instead.
    pub refuse_prepare: Option<String>,
    /// Roots cannot be removed.
    pub keep_snapshots: bool,
}

/// A process that does nothing.
pub struct Process {
    status: task::Status,
    ended: watch::Sender<Option<u32>>,
    /// Ends at SIGTERM; else only at SIGKILL.
    polite: bool,
}

impl World {
    /// Serves all neighbours on their sockets in `run`.
    pub fn serve(root: &Path, run: &Path) -> World {
        let world = World { root: root.to_owned(), network: Network::default(), things: Arc::default() };
        let routes = |name: &str, routes: Routes| {
            let listener = UnixListener::bind(run.join(format!("{name}.sock"))).expect("a free path");
            let incoming = UnixListenerStream::new(listener);
            tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
        };
        routes("images", Routes::new(ImageStoreServer::new(world.clone())));
        routes("snapshots", Routes::new(SnapshotsServer::new(world.clone())));
        let tasks = Routes::new(TasksServer::new(world.clone()));
        routes("tasks", tasks.add_service(ContainersServer::new(world.clone())));
        routes("network", world.network.routes());
        world
    }

    /// What there is now.
    pub fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().expect("no test panics while it looks")
    }

    /// Whether nothing of any container is left.
    pub fn is_empty(&self) -> bool {
        let things = self.things();
        things.records.is_empty()
            && things.snapshots.is_empty()
            && things.processes.is_empty()
            && self.network.attached().is_empty()
    }

    /// Ends a container's process.
    pub fn end(&self, id: &str, code: u32) {
        let mut things = self.things();
        let process = things.processes.get_mut(&(id.to_owned(), String::new())).expect("a process");
        process.end(code);
    }

    /// Ends a further process of a container.
    pub fn end_exec(&self, id: &str, exec: &str, code: u32) {
        let mut things = self.things();
        let process = things.processes.get_mut(&(id.to_owned(), exec.to_owned())).expect("a process");
        process.end(code);
    }

    fn mounts(&self) -> Vec<Mount> {
        let mount = Mount {
            r#type: "bind".to_owned(),
            source: self.root.display().to_string(),
            options: vec!["rw".to_owned(), "rbind".to_owned()],
            ..Default::default()
        };
        vec![mount]
    }
}

impl Process {
    fn end(&mut self, code: u32) {
        self.status = task::Status::Stopped;
        self.ended.send_replace(Some(code));
    }
}

fn unused() -> Status {
    Status::unimplemented("not part of this world")
}

fn missing(what: &str) -> Status {
    Status::not_found(format!("{what} not found"))
}

/// The image that there is.
fn image() -> images::Image {
    images::Image {
        id: format!("sha256:{}", "1".repeat(64)),
        names: vec!["docker.io/library/busybox:latest".to_owned()],
        config_json:
            br#"{"config":{"Cmd":["sh"],"Env":["FROM=image"],"ExposedPorts":{"80/tcp":{}}}}"#.to_vec().into(),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl ImageStore for World {
    type PullStream = Answers<images::PullProgress>;

    type PushStream = Answers<images::PushProgress>;

    async fn pull(&self, _: Request<images::PullRequest>) -> Reply<Self::PullStream> {
        Err(unused())
    }

    async fn registries(&self, _: Request<images::RegistriesRequest>) -> Reply<images::RegistriesResponse> {
        Err(unused())
    }

    async fn push(&self, _: Request<images::PushRequest>) -> Reply<Self::PushStream> {
        Err(unused())
    }

    async fn resolve(&self, request: Request<images::ResolveRequest>) -> Reply<images::Image> {
        match request.get_ref().reference.as_str() {
            "busybox" | "busybox:latest" => Ok(Response::new(image())),
            other => Err(missing(other)),
        }
    }

    async fn list(&self, _: Request<images::ListRequest>) -> Reply<images::ListResponse> {
        Err(unused())
    }

    async fn tag(&self, _: Request<images::TagRequest>) -> Reply<images::TagResponse> {
        Err(unused())
    }

    async fn remove(&self, _: Request<images::RemoveRequest>) -> Reply<images::RemoveResponse> {
        Err(unused())
    }

    async fn prune(&self, _: Request<images::PruneRequest>) -> Reply<images::RemoveResponse> {
        Err(unused())
    }

    async fn ensure_unpacked(
        &self,
        _: Request<images::EnsureUnpackedRequest>,
    ) -> Reply<images::EnsureUnpackedResponse> {
        Err(unused())
    }

    async fn commit(&self, _: Request<images::CommitRequest>) -> Reply<images::CommitResponse> {
        Err(unused())
    }

    async fn distribution(
        &self,
        _: Request<images::DistributionRequest>,
    ) -> Reply<images::DistributionResponse> {
        Err(unused())
    }

    async fn login(&self, _: Request<images::LoginRequest>) -> Reply<images::LoginResponse> {
        Err(unused())
    }
}

#[tonic::async_trait]
impl Snapshots for World {
    type ListStream = Answers<snapshots::ListSnapshotsResponse>;

    async fn prepare(
        &self,
        request: Request<snapshots::PrepareSnapshotRequest>,
    ) -> Reply<snapshots::PrepareSnapshotResponse> {
        if let Some(reason) = self.things().refuse_prepare.take() {
            return Err(Status::internal(reason));
        }
        if !self.things().snapshots.insert(request.into_inner().key) {
            return Err(Status::already_exists("snapshot exists"));
        }
        Ok(Response::new(snapshots::PrepareSnapshotResponse { mounts: self.mounts() }))
    }

    async fn view(
        &self,
        _: Request<snapshots::ViewSnapshotRequest>,
    ) -> Reply<snapshots::ViewSnapshotResponse> {
        Err(unused())
    }

    async fn mounts(&self, request: Request<snapshots::MountsRequest>) -> Reply<snapshots::MountsResponse> {
        if !self.things().snapshots.contains(&request.get_ref().key) {
            return Err(missing("snapshot"));
        }
        Ok(Response::new(snapshots::MountsResponse { mounts: self.mounts() }))
    }

    async fn commit(&self, _: Request<snapshots::CommitSnapshotRequest>) -> Reply<()> {
        Err(unused())
    }

    async fn remove(&self, request: Request<snapshots::RemoveSnapshotRequest>) -> Reply<()> {
        if self.things().keep_snapshots {
            return Err(Status::internal("device or resource busy"));
        }
        if self.things().snapshots.remove(&request.get_ref().key) {
            Ok(Response::new(()))
        } else {
            Err(missing("snapshot"))
        }
    }

    async fn stat(
        &self,
        _: Request<snapshots::StatSnapshotRequest>,
    ) -> Reply<snapshots::StatSnapshotResponse> {
        Err(unused())
    }

    async fn update(
        &self,
        _: Request<snapshots::UpdateSnapshotRequest>,
    ) -> Reply<snapshots::UpdateSnapshotResponse> {
        Err(unused())
    }

    async fn list(&self, _: Request<snapshots::ListSnapshotsRequest>) -> Reply<Self::ListStream> {
        Err(unused())
    }

    async fn usage(&self, request: Request<snapshots::UsageRequest>) -> Reply<snapshots::UsageResponse> {
        let _ = request;
        Ok(Response::new(snapshots::UsageResponse { size: 42, inodes: 1 }))
    }

    async fn cleanup(&self, _: Request<snapshots::CleanupRequest>) -> Reply<()> {
        Err(unused())
    }
}

#[tonic::async_trait]
impl Containers for World {
    type ListStreamStream = Answers<containers::ListContainerMessage>;

    async fn get(
        &self,
        _: Request<containers::GetContainerRequest>,
    ) -> Reply<containers::GetContainerResponse> {
        Err(unused())
    }

    async fn list(
        &self,
        request: Request<containers::ListContainersRequest>,
    ) -> Reply<containers::ListContainersResponse> {
        let _ = request;
        let containers = self.things().records.values().cloned().collect();
        Ok(Response::new(containers::ListContainersResponse { containers }))
    }

    async fn list_stream(
        &self,
        _: Request<containers::ListContainersRequest>,
    ) -> Reply<Self::ListStreamStream> {
        Err(unused())
    }

    async fn create(
        &self,
        request: Request<containers::CreateContainerRequest>,
    ) -> Reply<containers::CreateContainerResponse> {
        let container = request.into_inner().container.unwrap_or_default();
        self.things().records.insert(container.id.clone(), container.clone());
        Ok(Response::new(containers::CreateContainerResponse { container: Some(container) }))
    }

    async fn update(
        &self,
        request: Request<containers::UpdateContainerRequest>,
    ) -> Reply<containers::UpdateContainerResponse> {
        let container = request.into_inner().container.unwrap_or_default();
        let mut things = self.things();
        let record = things.records.get_mut(&container.id).ok_or_else(|| missing("container"))?;
        record.spec = container.spec;
        Ok(Response::new(containers::UpdateContainerResponse { container: Some(record.clone()) }))
    }

    async fn delete(&self, request: Request<containers::DeleteContainerRequest>) -> Reply<()> {
        match self.things().records.remove(&request.get_ref().id) {
            Some(_) => Ok(Response::new(())),
            None => Err(missing("container")),
        }
    }
}

#[tonic::async_trait]
impl Tasks for World {
    async fn create(&self, request: Request<tasks::CreateTaskRequest>) -> Reply<tasks::CreateTaskResponse> {
        let id = request.into_inner().container_id;
        let process = Process { status: task::Status::Created, ended: watch::channel(None).0, polite: true };
        self.things().processes.insert((id.clone(), String::new()), process);
        Ok(Response::new(tasks::CreateTaskResponse { container_id: id, pid: 4242 }))
    }

    async fn start(&self, request: Request<tasks::StartRequest>) -> Reply<tasks::StartResponse> {
        let request = request.into_inner();
        let key = (request.container_id.clone(), request.exec_id.clone());
        let mut things = self.things();
        things.starts += 1;
        if let Some(reason) = things.refuse_start.take() {
            let failure = StartFailure { cause: Cause::NotFound.into(), ..StartFailure::default() };
            let details = gantry_proto::details(tonic::Code::Unknown.into(), &reason, &failure);
            return Err(Status::with_details(tonic::Code::Unknown, reason, details.into()));
        }
        let process = things.processes.get_mut(&key).ok_or_else(|| missing("process"))?;
        process.status = task::Status::Running;
        Ok(Response::new(tasks::StartResponse { pid: std::process::id() }))
    }

    async fn delete(&self, request: Request<tasks::DeleteTaskRequest>) -> Reply<tasks::DeleteResponse> {
        let key = (request.into_inner().container_id, String::new());
        let mut things = self.things();
        let process = things.processes.get(&key).ok_or_else(|| missing("task"))?;
        if process.status == task::Status::Running {
            return Err(Status::unknown("cannot delete a running process"));
        }
        things.processes.remove(&key);
        Ok(Response::new(tasks::DeleteResponse::default()))
    }

    async fn delete_process(
        &self,
        request: Request<tasks::DeleteProcessRequest>,
    ) -> Reply<tasks::DeleteResponse> {
        let request = request.into_inner();
        self.things().processes.remove(&(request.container_id, request.exec_id));
        Ok(Response::new(tasks::DeleteResponse::default()))
    }

    async fn get(&self, request: Request<tasks::GetRequest>) -> Reply<tasks::GetResponse> {
        let request = request.into_inner();
        let key = (request.container_id.clone(), request.exec_id.clone());
        let things = self.things();
        let process = things.processes.get(&key).ok_or_else(|| missing("process"))?;
        let process = task::Process {
            container_id: key.0,
            pid: std::process::id(),
            status: process.status.into(),
            exit_status: process.ended.borrow().unwrap_or(0),
            ..Default::default()
        };
        Ok(Response::new(tasks::GetResponse { process: Some(process) }))
    }

    async fn list(&self, request: Request<tasks::ListTasksRequest>) -> Reply<tasks::ListTasksResponse> {
        let _ = request;
        let things = self.things();
        let tasks =
            things.processes.keys().map(|(id, _)| task::Process { id: id.clone(), ..Default::default() });
        Ok(Response::new(tasks::ListTasksResponse { tasks: tasks.collect() }))
    }

    async fn kill(&self, request: Request<tasks::KillRequest>) -> Reply<()> {
        let request = request.into_inner();
        let key = (request.container_id.clone(), request.exec_id.clone());
        let mut things = self.things();
        let process = things.processes.get_mut(&key).ok_or_else(|| missing("process"))?;
        if request.signal == 9 || (process.polite && request.signal == 15) {
            process.end(128 + request.signal);
        }
        Ok(Response::new(()))
    }

    async fn exec(&self, request: Request<tasks::ExecProcessRequest>) -> Reply<()> {
        let request = request.into_inner();
        let process = Process { status: task::Status::Created, ended: watch::channel(None).0, polite: true };
        self.things().processes.insert((request.container_id, request.exec_id), process);
        Ok(Response::new(()))
    }

    async fn resize_pty(&self, _: Request<tasks::ResizePtyRequest>) -> Reply<()> {
        Err(unused())
    }

    async fn close_io(&self, _: Request<tasks::CloseIoRequest>) -> Reply<()> {
        Err(unused())
    }

    async fn pause(&self, _: Request<tasks::PauseTaskRequest>) -> Reply<()> {
        Err(unused())
    }

    async fn resume(&self, _: Request<tasks::ResumeTaskRequest>) -> Reply<()> {
        Err(unused())
    }

    async fn list_pids(&self, _: Request<tasks::ListPidsRequest>) -> Reply<tasks::ListPidsResponse> {
        Err(unused())
    }

    async fn checkpoint(
        &self,
        _: Request<tasks::CheckpointTaskRequest>,
    ) -> Reply<tasks::CheckpointTaskResponse> {
        Err(unused())
    }

    async fn update(&self, _: Request<tasks::UpdateTaskRequest>) -> Reply<()> {
        Err(unused())
    }

    async fn metrics(&self, _: Request<tasks::MetricsRequest>) -> Reply<tasks::MetricsResponse> {
        Err(unused())
    }

    async fn wait(&self, request: Request<tasks::WaitRequest>) -> Reply<tasks::WaitResponse> {
        let request = request.into_inner();
        let key = (request.container_id.clone(), request.exec_id.clone());
        let mut ended = {
            let things = self.things();
            let process = things.processes.get(&key).ok_or_else(|| missing("process"))?;
            process.ended.subscribe()
        };
        let code = ended.wait_for(Option::is_some).await.map_err(|_| missing("process"))?.unwrap_or(0);
        Ok(Response::new(tasks::WaitResponse { exit_status: code, exited_at: None }))
    }
}
