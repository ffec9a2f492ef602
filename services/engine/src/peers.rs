//! The other services, as the engine needs them: each method is one call, with a deadline, and an error that says what the
//! engine was about to do.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantry_proto::containerd::services::containers::v1 as records;
use gantry_proto::containerd::services::snapshots::v1 as snapshots;
use gantry_proto::containerd::services::tasks::v1 as tasks;
use gantry_proto::containerd::types::Mount;
use gantry_proto::containerd::v1::types as task_types;
use gantry_proto::gantry::images::v1 as images;
use gantry_proto::gantry::network::v1 as network;
use gantry_rpc::context::with_namespace;
use gantry_types::Namespace;
use oci_spec::runtime::{LinuxResources, Process, Spec};
use tonic::{Request, Response, Status};

use crate::error::{Error, Result};

/// A call that does one thing.
const DEADLINE: Duration = Duration::from_secs(60);
/// A call that may have to unpack an image or stop processes.
const LONG_DEADLINE: Duration = Duration::from_secs(600);
/// Docker's containers live here.
const NAMESPACE: &str = "moby";
const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const RESOURCES_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

/// The other services. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peers {
    peers: gantry_api::Peers,
    namespace: Namespace,
    run: PathBuf,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 128 and the signal's number for one that was killed.
    pub code: i32,
    /// Nanoseconds since 1970.
    pub at: i64,
}

/// What tasks knows of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Made, not started.
    Created,
    /// Running with this process id.
    Running(u32),
    /// Frozen with this process id.
    Paused(u32),
    /// Ended.
    Stopped(Exit),
    /// Tasks knows of none.
    Absent,
}

/// Where a process's output goes and its input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stdio {
    /// The log's URI: `json-file:///path?…` or `none:`.
    pub log: String,
    /// The process can be written to.
    pub stdin: bool,
    /// It has a terminal.
    pub terminal: bool,
}

impl Peers {
    /// The services of one root.
    pub fn new(peers: gantry_api::Peers, run: &Path) -> Peers {
        let namespace = NAMESPACE.parse().expect("the name is a valid identifier");
        Peers { peers, namespace, run: run.to_owned() }
    }

    /// The socket on which a container's shim takes attachments.
    pub fn attach_socket(&self, id: &str) -> PathBuf {
        self.run.join("bundles").join(NAMESPACE).join(id).join("attach.sock")
    }

    /// Where the network service pins a sandbox's namespace.
    pub fn netns_path(&self, id: &str) -> PathBuf {
        self.run.join("netns").join(id)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        with_namespace(message, &self.namespace)
    }

    // images

    /// Finds an image.
    pub async fn resolve_image(&self, reference: &str, platform: &str) -> Result<images::Image> {
        let request = images::ResolveRequest { reference: reference.to_owned(), platform: platform.to_owned() };
        let answer = call(DEADLINE, self.peers.images().resolve(self.request(request))).await;
        answer.map_err(|status| match status.code() {
            tonic::Code::NotFound if platform.is_empty() => Error::NoSuchImage(with_tag(reference)),
            tonic::Code::NotFound => Error::NoSuchPlatform(status.message().to_owned()),
            _ => Error::peer(format!("resolve image {reference}"), status),
        })
    }

    /// Makes sure that an image's layers are unpacked.
    pub async fn ensure_unpacked(
        &self,
        reference: &str,
        platform: &str,
        snapshotter: &str,
    ) -> Result<images::Image> {
        let request = images::EnsureUnpackedRequest {
            reference: reference.to_owned(),
            platform: platform.to_owned(),
            snapshotter: snapshotter.to_owned(),
        };
        let answer = call(LONG_DEADLINE, self.peers.images().ensure_unpacked(self.request(request))).await;
        let answer = answer
            .map_err(|status| Error::peer(format!("unpack image {reference}"), status))?;
        answer.image.ok_or_else(|| empty("unpack image", reference))
    }

    // snapshots

    /// Makes the writable root of a container, or finds it made.
    pub async fn prepare(&self, snapshotter: &str, key: &str, parent: &str) -> Result<Vec<Mount>> {
        let request = snapshots::PrepareSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            ..Default::default()
        };
        match call(DEADLINE, self.peers.snapshots().prepare(self.request(request))).await {
            Ok(answer) => Ok(answer.mounts),
            Err(status) if status.code() == tonic::Code::AlreadyExists => {
                self.mounts(snapshotter, key).await
            }
            Err(status) => Err(Error::peer(format!("prepare root of container {key}"), status)),
        }
    }

    /// How a container's root is mounted.
    pub async fn mounts(&self, snapshotter: &str, key: &str) -> Result<Vec<Mount>> {
        let request =
            snapshots::MountsRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let answer = call(DEADLINE, self.peers.snapshots().mounts(self.request(request))).await;
        answer
            .map(|answer| answer.mounts)
            .map_err(|status| Error::peer(format!("find root of container {key}"), status))
    }

    /// Removes a container's root; none is fine.
    pub async fn remove_snapshot(&self, snapshotter: &str, key: &str) -> Result<()> {
        let request = snapshots::RemoveSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            key: key.to_owned(),
        };
        let answer = call(DEADLINE, self.peers.snapshots().remove(self.request(request))).await;
        gone(answer).map_err(|status| Error::peer(format!("remove root of container {key}"), status))
    }

    /// Bytes that a snapshot takes by itself.
    pub async fn usage(&self, snapshotter: &str, key: &str) -> Result<i64> {
        let request =
            snapshots::UsageRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let answer = call(DEADLINE, self.peers.snapshots().usage(self.request(request))).await;
        answer
            .map(|answer| answer.size)
            .map_err(|status| Error::peer(format!("measure root of container {key}"), status))
    }

    /// A snapshot's parent; empty when it has none.
    pub async fn parent(&self, snapshotter: &str, key: &str) -> Result<String> {
        let request =
            snapshots::StatSnapshotRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let answer = call(DEADLINE, self.peers.snapshots().stat(self.request(request))).await;
        answer
            .map(|answer| answer.info.unwrap_or_default().parent)
            .map_err(|status| Error::peer(format!("look at snapshot {key}"), status))
    }

    // container records

    /// Writes the container record that tasks starts from and that keeps the snapshot; replaces one that is there.
    pub async fn create_record(
        &self,
        id: &str,
        image: &str,
        labels: HashMap<String, String>,
        snapshotter: &str,
        spec: &Spec,
    ) -> Result<()> {
        let container = records::Container {
            id: id.to_owned(),
            labels,
            image: image.to_owned(),
            runtime: Some(records::container::Runtime {
                name: "io.containerd.gantry.v2".to_owned(),
                options: None,
            }),
            spec: Some(json(SPEC_TYPE, spec)?),
            snapshotter: snapshotter.to_owned(),
            snapshot_key: id.to_owned(),
            ..Default::default()
        };
        let request = records::CreateContainerRequest { container: Some(container) };
        let answer = call(DEADLINE, self.peers.container_records().create(self.request(request))).await;
        match answer {
            Ok(_) => Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => {
                self.update_spec(id, spec).await
            }
            Err(status) => Err(Error::peer(format!("record container {id}"), status)),
        }
    }

    /// Replaces the specification in the container record.
    pub async fn update_spec(&self, id: &str, spec: &Spec) -> Result<()> {
        let container = records::Container {
            id: id.to_owned(),
            spec: Some(json(SPEC_TYPE, spec)?),
            ..Default::default()
        };
        let request = records::UpdateContainerRequest {
            container: Some(container),
            update_mask: Some(prost_types::FieldMask { paths: vec!["spec".to_owned()] }),
        };
        let answer = call(DEADLINE, self.peers.container_records().update(self.request(request))).await;
        answer
            .map(drop)
            .map_err(|status| Error::peer(format!("record specification of container {id}"), status))
    }

    /// Deletes the container record; none is fine.
    pub async fn delete_record(&self, id: &str) -> Result<()> {
        let request = records::DeleteContainerRequest { id: id.to_owned() };
        let answer = call(DEADLINE, self.peers.container_records().delete(self.request(request))).await;
        gone(answer).map_err(|status| Error::peer(format!("delete record of container {id}"), status))
    }

    /// The ids of all container records of Docker's namespace.
    pub async fn record_ids(&self) -> Result<Vec<String>> {
        let request = records::ListContainersRequest::default();
        let answer = call(DEADLINE, self.peers.container_records().list(self.request(request))).await;
        answer
            .map(|answer| answer.containers.into_iter().map(|container| container.id).collect())
            .map_err(|status| Error::peer("list container records", status))
    }

    // tasks

    /// Makes a container's process up to the point where it can be started.
    pub async fn create_task(&self, id: &str, rootfs: Vec<Mount>, stdio: &Stdio) -> Result<u32> {
        let request = tasks::CreateTaskRequest {
            container_id: id.to_owned(),
            rootfs,
            stdin: stdin_of(stdio),
            stdout: stdio.log.clone(),
            stderr: String::new(),
            terminal: stdio.terminal,
            ..Default::default()
        };
        let answer = call(DEADLINE, self.peers.tasks().create(self.request(request))).await;
        answer.map(|answer| answer.pid).map_err(start_failure)
    }

    /// Starts the process of a container (`exec` empty) or a further one.
    pub async fn start_task(&self, id: &str, exec: &str) -> Result<u32> {
        let request =
            tasks::StartRequest { container_id: id.to_owned(), exec_id: exec.to_owned() };
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
    pub async fn kill_task(&self, id: &str, exec: &str, signal: u32) -> Result<(), Status> {
        let request = tasks::KillRequest {
            container_id: id.to_owned(),
            exec_id: exec.to_owned(),
            signal,
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
        let request = tasks::ResizePtyRequest {
            container_id: id.to_owned(),
            exec_id: exec.to_owned(),
            width,
            height,
        };
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
        let request =
            tasks::DeleteProcessRequest { container_id: id.to_owned(), exec_id: exec.to_owned() };
        let answer = call(DEADLINE, self.peers.tasks().delete_process(self.request(request))).await;
        gone(answer).map_err(|status| Error::peer(format!("delete exec {exec}"), status))
    }

    // network

    /// Makes a container's network namespace and connects it.
    pub async fn attach(&self, request: network::AttachRequest) -> Result<network::Sandbox> {
        let id = request.sandbox.clone();
        let answer = call(DEADLINE, self.peers.sandboxes().attach(request)).await;
        answer.map_err(|status| Error::peer(format!("failed to set up container networking of {id}"), status))
    }

    /// Takes a container off its networks; none is fine.
    pub async fn detach(&self, id: &str) -> Result<()> {
        let request = network::DetachRequest { sandbox: id.to_owned() };
        let answer = call(DEADLINE, self.peers.sandboxes().detach(request)).await;
        gone(answer).map_err(|status| Error::peer(format!("release network of container {id}"), status))
    }

    /// Adds an endpoint to a live sandbox.
    pub async fn connect(&self, request: network::ConnectRequest) -> Result<network::Sandbox> {
        let doing = format!("connect container {}", request.sandbox);
        let answer = call(DEADLINE, self.peers.sandboxes().connect(request)).await;
        answer.map_err(|status| Error::peer(doing, status))
    }

    /// Removes an endpoint from a live sandbox.
    pub async fn disconnect(&self, id: &str, network: &str) -> Result<network::Sandbox> {
        let request =
            network::DisconnectRequest { sandbox: id.to_owned(), network: network.to_owned() };
        let answer = call(DEADLINE, self.peers.sandboxes().disconnect(request)).await;
        answer.map_err(|status| Error::peer(format!("disconnect container {id}"), status))
    }

    /// A container's sandbox, if it has one.
    pub async fn sandbox(&self, id: &str) -> Result<Option<network::Sandbox>> {
        let request = network::GetSandboxRequest { sandbox: id.to_owned() };
        match call(DEADLINE, self.peers.sandboxes().get(request)).await {
            Ok(sandbox) => Ok(Some(sandbox)),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(Error::peer(format!("look at network of container {id}"), status)),
        }
    }

    /// Ids of all sandboxes.
    pub async fn sandbox_ids(&self) -> Result<Vec<String>> {
        let request = network::ListSandboxesRequest {};
        let answer = call(DEADLINE, self.peers.sandboxes().list(request)).await;
        answer
            .map(|answer| answer.sandboxes.into_iter().map(|sandbox| sandbox.id).collect())
            .map_err(|status| Error::peer("list sandboxes", status))
    }

    /// Tells the name service a container's new name.
    pub async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let request = network::RenameRequest { sandbox: id.to_owned(), name: name.to_owned() };
        let answer = call(DEADLINE, self.peers.sandboxes().rename(request)).await;
        gone(answer).map_err(|status| Error::peer(format!("rename container {id} on its networks"), status))
    }

    /// A network by name, id or prefix.
    pub async fn network(&self, name: &str) -> Result<network::Network> {
        let request = network::GetRequest { network: name.to_owned() };
        let answer = call(DEADLINE, self.peers.networks().get(request)).await;
        answer.map_err(|status| Error::peer(format!("look up network {name}"), status))
    }

    /// Control's stream of containerd events with a topic.
    pub async fn subscribe(
        &self,
        topic: &str,
    ) -> Result<tonic::Streaming<gantry_proto::containerd::types::Envelope>, Status> {
        let request = gantry_proto::containerd::services::events::v1::SubscribeRequest {
            filters: vec![format!("topic==\"{topic}\"")],
        };
        Ok(self.peers.events().subscribe(request).await?.into_inner())
    }
}

async fn call<T>(
    deadline: Duration,
    work: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match tokio::time::timeout(deadline, work).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} s", deadline.as_secs()))),
    }
}

/// What is not there is gone already.
fn gone<T>(answer: Result<T, Status>) -> Result<(), Status> {
    match answer {
        Err(status) if status.code() != tonic::Code::NotFound => Err(status),
        _ => Ok(()),
    }
}

/// Input comes by the attach socket; this only says that there is any.
fn stdin_of(stdio: &Stdio) -> String {
    if stdio.stdin { "attach:".to_owned() } else { String::new() }
}

fn json(type_url: &str, document: &impl serde::Serialize) -> Result<prost_types::Any> {
    let value = serde_json::to_vec(document)
        .map_err(|source| Error::Invalid(format!("runtime specification: {source}")))?;
    Ok(prost_types::Any { type_url: type_url.to_owned(), value })
}

/// A process that could not be made or started: the runtime's words decide the exit code, as with Docker.
fn start_failure(status: Status) -> Error {
    if matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded) {
        return Error::peer("start container", status);
    }
    let message = status.message().to_owned();
    let says = |words: &[&str]| {
        let lower = message.to_lowercase();
        words.iter().any(|word| lower.contains(word))
    };
    let exit_code = if says(&["executable file not found", "no such file or directory", "not a directory"]) {
        127
    } else if says(&["permission denied", "is a directory"]) {
        126
    } else {
        128
    };
    Error::StartFailed { message, exit_code }
}

/// `x` as Docker says it when it is missing: `x:latest`.
fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains(':') || reference.contains('@') || crate::names::is_id_prefix(reference) && reference.len() == 64 {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

fn empty(doing: &str, object: &str) -> Error {
    Error::peer(format!("{doing} {object}"), Status::internal("an empty answer"))
}
