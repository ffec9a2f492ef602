//! Sandboxes: their records, and running ones.

use gantry_proto::containerd::services::containers::v1 as containers;
use gantry_proto::containerd::services::sandbox::v1 as pb;
use gantry_proto::containerd::services::tasks::v1 as tasks;
use gantry_proto::containerd::types::Sandbox;
use gantry_proto::containerd::types::sandbox::Runtime;
use gantry_proto::gantry::gc::v1 as gc;
use tonic::Code;

use crate::shim::FakeShim;
use crate::world::{World, container, eventually};

fn sandbox(id: &str) -> Sandbox {
    Sandbox {
        sandbox_id: id.into(),
        runtime: Some(Runtime { name: "io.containerd.gantry.v2".into(), options: None }),
        spec: Some(prost_types::Any { type_url: "spec".into(), value: b"{}".to_vec() }),
        labels: [("containerd.io/gc.ref.snapshot.overlayfs".into(), "kept".into())].into(),
        ..Default::default()
    }
}

async fn record(world: &World, id: &str) {
    let create = pb::StoreCreateRequest { sandbox: Some(sandbox(id)) };
    world.peers.sandbox_records().create(world.request(create)).await.expect("a record");
}

async fn status(world: &World, id: &str) -> Result<String, Code> {
    let request = pb::ControllerStatusRequest { sandbox_id: id.into(), ..Default::default() };
    let status = world.peers.sandbox_controller().status(world.request(request)).await;
    status.map(|status| status.into_inner().state).map_err(|status| status.code())
}

#[tokio::test]
async fn records_are_kept_and_keep_what_they_refer_to() {
    let world = World::new().await;
    record(&world, "s").await;
    let mut store = world.peers.sandbox_records();
    let again = pb::StoreCreateRequest { sandbox: Some(sandbox("s")) };
    assert_eq!(store.create(world.request(again)).await.unwrap_err().code(), Code::AlreadyExists);
    let list = pb::StoreListRequest { filters: vec!["id==s".into()] };
    assert_eq!(store.list(world.request(list)).await.unwrap().into_inner().list.len(), 1);

    let scan = gc::ScanRequest { namespace: "test".into() };
    let mut blocks = world.peers.collector("tasks").scan(scan).await.unwrap().into_inner();
    let node = blocks.message().await.unwrap().unwrap().nodes.remove(0);
    let kept = gc::Resource { r#type: "snapshots/overlayfs".into(), key: "kept".into() };
    assert!(node.root && node.references == [kept]);
    let touch = |key: &str| gc::TouchRequest {
        namespace: "test".into(),
        resources: vec![gc::Resource { r#type: "sandboxes".into(), key: key.into() }],
    };
    let mut collector = world.peers.collector("tasks");
    assert!(collector.touch(touch("s")).await.unwrap().into_inner().missing.is_empty());

    let delete = || pb::StoreDeleteRequest { sandbox_id: "s".into() };
    store.delete(world.request(delete())).await.unwrap();
    assert_eq!(store.delete(world.request(delete())).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(collector.touch(touch("s")).await.unwrap().into_inner().missing.len(), 1);
}

#[tokio::test]
async fn a_sandbox_lives_from_create_to_shutdown_and_has_containers() {
    let mut world = World::new().await;
    record(&world, "s").await;
    let shim = FakeShim::start(&world.shims(), "s");
    let mut controller = world.peers.sandbox_controller();
    let create = |sandboxer: &str| pb::ControllerCreateRequest {
        sandbox_id: "s".into(),
        sandboxer: sandboxer.into(),
        ..Default::default()
    };
    let odd = controller.create(world.request(create("podsandbox"))).await.unwrap_err();
    assert_eq!(odd.code(), Code::NotFound);
    controller.create(world.request(create("shim"))).await.unwrap();
    let again = controller.create(world.request(create("shim"))).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let start = || pb::ControllerStartRequest { sandbox_id: "s".into(), ..Default::default() };
    let started = controller.start(world.request(start())).await.unwrap().into_inner();
    assert!(started.pid > 0 && started.address.ends_with("s.sock") && started.version == 3);
    assert_eq!(status(&world, "s").await, Ok("SANDBOX_READY".into()));

    // A container of the sandbox is created in the sandbox's shim, and its removal leaves the shim running.
    let mut member = container("member");
    member.sandbox = "s".into();
    let create = containers::CreateContainerRequest { container: Some(member.clone()) };
    world.peers.container_records().create(world.request(create)).await.unwrap();
    world.create("member").await.expect("a task");
    assert!(shim.has_container());
    member.id = "stranger".into();
    member.sandbox = "elsewhere".into();
    let create = containers::CreateContainerRequest { container: Some(member) };
    world.peers.container_records().create(world.request(create)).await.unwrap();
    assert_eq!(world.create("stranger").await.unwrap_err().code(), Code::NotFound);
    let delete = tasks::DeleteTaskRequest { container_id: "member".into() };
    world.peers.tasks().delete(world.request(delete)).await.unwrap();

    // The next service finds the sandbox as it was.
    world.stop_service().await;
    world.start_service().await;
    assert_eq!(status(&world, "s").await, Ok("SANDBOX_READY".into()));

    let wait = world.request(pb::ControllerWaitRequest { sandbox_id: "s".into(), ..Default::default() });
    let waiting = tokio::spawn({
        let mut controller = world.peers.sandbox_controller();
        async move { controller.wait(wait).await }
    });
    let stop = pb::ControllerStopRequest { sandbox_id: "s".into(), ..Default::default() };
    world.peers.sandbox_controller().stop(world.request(stop)).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().exit_status, 0);
    assert_eq!(status(&world, "s").await, Ok("SANDBOX_NOTREADY".into()));
    drop(shim);
    let bundle = world.bundle("s").parent().unwrap().parent().unwrap().with_file_name("sandboxes/test/s");
    assert!(bundle.exists());

    // The next start cleans up after a shim that died.
    world.stop_service().await;
    world.start_service().await;
    eventually("the bundle goes", || (!bundle.exists()).then_some(())).await;
    assert_eq!(status(&world, "s").await, Ok(String::new()), "it has ended");
}

#[tokio::test]
async fn a_sandbox_whose_shim_hangs_is_shut_down_with_it() {
    let world = World::new().await;
    record(&world, "hung").await;
    let _answers = FakeShim::start(&world.shims(), "hung");
    let mut controller = world.peers.sandbox_controller();
    let create = pb::ControllerCreateRequest {
        sandbox_id: "hung".into(),
        sandboxer: "shim".into(),
        ..Default::default()
    };
    controller.create(world.request(create)).await.unwrap();
    let bundle =
        world.bundle("hung").parent().unwrap().parent().unwrap().with_file_name("sandboxes/test/hung");
    let binary = world.shims().join("containerd-shim-gantry-v2");
    std::fs::copy("/bin/sh", &binary).unwrap();
    let mut shim = std::process::Command::new(&binary);
    shim.args(["-c", "read line"]).current_dir(&bundle).stdin(std::process::Stdio::piped());
    let mut shim = shim.spawn().unwrap();

    let shutdown = pb::ControllerShutdownRequest { sandbox_id: "hung".into(), ..Default::default() };
    controller.shutdown(world.request(shutdown)).await.unwrap();
    eventually("the shim is gone", || shim.try_wait().unwrap().map(drop)).await;
    assert!(!bundle.exists());
    assert_eq!(status(&world, "hung").await, Ok(String::new()));
}
