//! containerd's sandboxes, through the front socket.

use gantry_proto::containerd::services::containers::v1 as containers;
use gantry_proto::containerd::services::containers::v1::containers_client::ContainersClient;
use gantry_proto::containerd::services::sandbox::v1 as pb;
use gantry_proto::containerd::services::sandbox::v1::controller_client::ControllerClient;
use gantry_proto::containerd::services::sandbox::v1::store_client::StoreClient;
use gantry_proto::containerd::services::snapshots::v1 as snapshots;
use gantry_proto::containerd::services::snapshots::v1::snapshots_client::SnapshotsClient;
use gantry_proto::containerd::services::tasks::v1 as tasks;
use gantry_proto::containerd::services::tasks::v1::tasks_client::TasksClient;
use gantry_proto::containerd::types::Sandbox;
use gantry_proto::containerd::types::sandbox::Runtime;
use gantry_rpc::{Channel, context, terms};
use gantry_tests::{Node, runs};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tonic::{Code, Request};

const NAMESPACE: &str = "mine";

fn ask<T>(message: T) -> Request<T> {
    context::with_namespace(message, &NAMESPACE.parse().expect("a namespace"))
}

struct World {
    node: Node,
    front: Channel,
}

impl World {
    async fn new() -> World {
        let start = || {
            let node = Node::start();
            let archive = node.root().join("busybox.tar");
            let archive = archive.to_str().expect("text");
            node.docker(&["save", "-o", archive, "busybox"]).ok();
            node.ctr(NAMESPACE, &["images", "import", archive]).ok();
            node
        };
        let node = tokio::task::spawn_blocking(start).await.expect("a node");
        let front = Channel::unix("containerd", node.socket("containerd.sock"), terms::open);
        World { node, front }
    }

    fn controller(&self) -> ControllerClient<Channel> {
        ControllerClient::new(self.front.clone())
    }

    fn tasks(&self) -> TasksClient<Channel> {
        TasksClient::new(self.front.clone())
    }

    /// Records, creates and starts a sandbox. Returns the pid of its shim.
    async fn sandbox(&self, id: &str) -> u32 {
        let sandbox = Sandbox {
            sandbox_id: id.into(),
            runtime: Some(Runtime { name: "io.containerd.runc.v2".into(), options: None }),
            labels: [("a".into(), "b".into())].into(),
            ..Default::default()
        };
        let record = pb::StoreCreateRequest { sandbox: Some(sandbox) };
        StoreClient::new(self.front.clone()).create(ask(record)).await.expect("a record");
        let create = pb::ControllerCreateRequest {
            sandbox_id: id.into(),
            sandboxer: "shim".into(),
            ..Default::default()
        };
        self.controller().create(ask(create)).await.expect("made");
        assert_eq!(self.state(id).await, "SANDBOX_NOTREADY");
        let start = pb::ControllerStartRequest { sandbox_id: id.into(), sandboxer: "shim".into() };
        let started = self.controller().start(ask(start)).await.expect("started").into_inner();
        assert_eq!(started.labels["a"], "b");
        started.pid
    }

    async fn state(&self, id: &str) -> String {
        let status = pb::ControllerStatusRequest { sandbox_id: id.into(), ..Default::default() };
        self.controller().status(ask(status)).await.expect("a status").into_inner().state
    }

    /// A container in a sandbox, made as ctr does. Returns the pid of its task.
    async fn member(&self, sandbox: &str, id: &str) -> u32 {
        // The cgroup is named for the container, on the whole host.
        let plain = self.node.root().file_name().expect("a name").to_string_lossy().into_owned();
        let made = ["containers", "create", "docker.io/library/busybox:latest", &plain, "sleep", "1000"];
        self.node.ctr(NAMESPACE, &made).ok();
        let mut records = ContainersClient::new(self.front.clone());
        let get = containers::GetContainerRequest { id: plain };
        let mut record = records.get(ask(get)).await.expect("it").into_inner().container.expect("a record");
        id.clone_into(&mut record.id);
        sandbox.clone_into(&mut record.sandbox);
        let mounts = snapshots::MountsRequest {
            snapshotter: record.snapshotter.clone(),
            key: record.snapshot_key.clone(),
        };
        let create = containers::CreateContainerRequest { container: Some(record) };
        records.create(ask(create)).await.expect("a record in the sandbox");
        let mounts = SnapshotsClient::new(self.front.clone()).mounts(ask(mounts)).await.expect("a root");
        let rootfs = mounts.into_inner().mounts;
        let create = tasks::CreateTaskRequest { container_id: id.into(), rootfs, ..Default::default() };
        let pid = self.tasks().create(ask(create)).await.expect("a task").into_inner().pid;
        let start = tasks::StartRequest { container_id: id.into(), ..Default::default() };
        self.tasks().start(ask(start)).await.expect("started");
        pid
    }

    fn bundle(&self, id: &str) -> PathBuf {
        self.node.root().join("run/sandboxes").join(NAMESPACE).join(id)
    }
}

fn parent_of(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after = stat.rsplit(')').next().expect("fields");
    after.split_whitespace().nth(1).expect("a parent").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_and_its_containers_live_in_one_shim_and_outlive_the_service() {
    let world = World::new().await;
    let shim = world.sandbox("pod").await;
    let member = world.member("pod", "member").await;
    assert_eq!(parent_of(member), shim, "its container is in its shim");

    let by_id = || pb::ControllerPlatformRequest { sandbox_id: "pod".into(), ..Default::default() };
    let platform = world.controller().platform(ask(by_id())).await.expect("known").into_inner();
    assert_eq!(platform.platform.map(|platform| platform.os).as_deref(), Some("linux"));
    let metrics = pb::ControllerMetricsRequest { sandbox_id: "pod".into(), ..Default::default() };
    let metrics = world.controller().metrics(ask(metrics)).await;
    assert_eq!(metrics.map(drop).map_err(|status| status.code()), Err(Code::Unimplemented));

    // Neither the sandbox nor the container notices the death of the service.
    world.node.kill_service("tasks");
    assert_eq!(world.state("pod").await, "SANDBOX_READY");
    assert!(runs(shim) && runs(member));
    let again = pb::ControllerCreateRequest { sandbox_id: "pod".into(), ..Default::default() };
    assert_eq!(world.controller().create(ask(again)).await.expect_err("taken").code(), Code::AlreadyExists);
    let shutdown = || pb::ControllerShutdownRequest { sandbox_id: "gone".into(), ..Default::default() };
    assert_eq!(
        world.controller().shutdown(ask(shutdown())).await.expect_err("no such").code(),
        Code::NotFound
    );

    let waiting = tokio::spawn({
        let mut controller = world.controller();
        let wait = pb::ControllerWaitRequest { sandbox_id: "pod".into(), ..Default::default() };
        async move { controller.wait(ask(wait)).await }
    });
    let stop = pb::ControllerStopRequest { sandbox_id: "pod".into(), ..Default::default() };
    world.controller().stop(ask(stop)).await.expect("stopped");
    assert!(waiting.await.expect("no panic").expect("ended").into_inner().exited_at.is_some());
    assert_eq!(world.state("pod").await, "SANDBOX_NOTREADY");
    let wait = tasks::WaitRequest { container_id: "member".into(), ..Default::default() };
    assert_eq!(world.tasks().wait(ask(wait)).await.expect("ended").into_inner().exit_status, 137);
    let delete = tasks::DeleteTaskRequest { container_id: "member".into() };
    world.tasks().delete(ask(delete)).await.expect("deleted");
    assert!(runs(shim), "the sandbox has its shim");
    let shutdown = pb::ControllerShutdownRequest { sandbox_id: "pod".into(), ..Default::default() };
    world.controller().shutdown(ask(shutdown)).await.expect("shut down");
    assert!(!runs(shim) && !world.bundle("pod").exists());
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_whose_shim_dies_has_ended_and_can_be_made_again() {
    let world = World::new().await;
    world.node.permit(&["a sandbox's shim died"]);
    let shim = world.sandbox("pod").await;
    gantry_tests::kill(shim);
    let shutdown = pb::ControllerShutdownRequest { sandbox_id: "pod".into(), ..Default::default() };
    let shut = world.controller().shutdown(ask(shutdown)).await;
    let shut = shut.map(drop).map_err(|status| status.code());
    assert!(matches!(shut, Ok(()) | Err(Code::NotFound)), "{shut:?}");
    assert!(!world.bundle("pod").exists());
    assert_eq!(world.state("pod").await, "");
    let delete = pb::StoreDeleteRequest { sandbox_id: "pod".into() };
    StoreClient::new(world.front.clone()).delete(ask(delete)).await.expect("deleted");
    let again = world.sandbox("pod").await;
    // A container whose task was not deleted ends with the sandbox.
    let member = world.member("pod", "member").await;
    let shutdown = pb::ControllerShutdownRequest { sandbox_id: "pod".into(), ..Default::default() };
    world.controller().shutdown(ask(shutdown)).await.expect("shut down");
    assert!(!world.bundle("pod").exists());
    gone(&[again, member]).await;
    finish(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn down_with_all_leaves_no_sandbox() {
    let mut world = World::new().await;
    let shim = world.sandbox("pod").await;
    let member = world.member("pod", "member").await;
    let bundle = world.bundle("pod");
    tokio::task::spawn_blocking(move || {
        world.node.down(&["--all"]);
        let limit = std::time::Instant::now() + Duration::from_secs(10);
        while (runs(shim) || runs(member)) && std::time::Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!runs(shim) && !runs(member));
        assert!(!Path::new(&bundle).exists());
        world.node.up();
    })
    .await
    .expect("no panic");
}

/// Waits for the end of processes.
async fn gone(processes: &[u32]) {
    let limit = std::time::Instant::now() + Duration::from_secs(10);
    while processes.iter().any(|process| runs(*process)) && std::time::Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!processes.iter().any(|process| runs(*process)), "one of {processes:?} runs on");
}

/// Dropping the node blocks.
async fn finish(world: World) {
    tokio::task::spawn_blocking(move || drop(world)).await.expect("no panic");
}
