//! The life of a task, with clients and shims that behave and that do not.

use gantry_proto::containerd::services::tasks::v1 as pb;
use gantry_proto::containerd::v1::types::Status as State;
use tonic::Code;

use crate::shim::FakeShim;
use crate::world::{World, eventually};

#[tokio::test]
async fn events_come_once_and_in_order() {
    let world = World::new().await;
    world.container("c").await;
    let shim = FakeShim::start(&world.shims(), "c");
    let pid = world.create("c").await.unwrap();
    assert_eq!(world.create("c").await.unwrap_err().code(), Code::AlreadyExists);
    let mut tasks = world.peers.tasks();
    let wait = tokio::spawn({
        let request = world.request(pb::WaitRequest { container_id: "c".into(), exec_id: String::new() });
        let mut tasks = tasks.clone();
        async move { tasks.wait(request).await }
    });
    assert_eq!(world.start("c", "").await.unwrap(), pid);
    assert_eq!(world.start("c", "").await.unwrap_err().code(), Code::Unknown);

    world.exec("c", "e").await.unwrap();
    assert_eq!(world.exec("c", "e").await.unwrap_err().code(), Code::AlreadyExists);
    world.start("c", "e").await.unwrap();
    // The exec ends at once: its exit event must not come before its start event.
    world.exec("c", "short").await.unwrap();
    world.start("c", "short").await.unwrap();

    let get = || world.request(pb::GetRequest { container_id: "c".into(), exec_id: "e".into() });
    let process = tasks.get(get()).await.unwrap().into_inner().process.unwrap();
    assert_eq!((process.status(), process.id.as_str()), (State::Running, "e"));
    let never = prost_types::Timestamp { seconds: -62_135_596_800, nanos: 0 };
    assert_eq!(process.exited_at, Some(never), "Go's zero time, as containerd says it");
    let delete = || world.request(pb::DeleteTaskRequest { container_id: "c".into() });
    assert_eq!(tasks.delete(delete()).await.unwrap_err().code(), Code::Unknown);

    let kill = pb::KillRequest { container_id: "c".into(), signal: 9, ..Default::default() };
    tasks.kill(world.request(kill.clone())).await.unwrap();
    assert_eq!(wait.await.unwrap().unwrap().into_inner().exit_status, 137);
    assert_eq!(tasks.kill(world.request(kill)).await.unwrap_err().code(), Code::NotFound);
    let request = world.request(pb::DeleteProcessRequest { container_id: "c".into(), exec_id: "e".into() });
    assert_eq!(tasks.delete_process(request).await.unwrap().into_inner().exit_status, 137);
    let deleted = tasks.delete(delete()).await.unwrap().into_inner();
    assert_eq!((deleted.id.as_str(), deleted.exit_status), ("c", 137));
    assert_eq!(tasks.get(get()).await.unwrap_err().code(), Code::NotFound);

    let mut events = world.events(10).await;
    let short =
        events.iter().position(|event| event == "/tasks/exit short 0").expect("the exit of the short one");
    events.remove(short);
    assert_eq!(
        events,
        [
            "/containers/create",
            "/tasks/create",
            "/tasks/start",
            "/tasks/exec-added",
            "/tasks/exec-started",
            "/tasks/exec-added",
            "/tasks/exec-started",
            "/tasks/exit e 137",
            "/tasks/exit c 137",
            "/tasks/delete",
        ]
    );
    assert!(short > 6 && short < 9, "{short}");
    drop(shim);
    crate::world::eventually("no bundles", || {
        let left: Vec<_> =
            std::fs::read_dir(world.bundle("c").parent().unwrap()).unwrap().flatten().collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test]
async fn a_failed_creation_leaves_nothing() {
    let world = World::new().await;
    assert_eq!(world.create("none").await.unwrap_err().code(), Code::NotFound);
    world.container("c").await;
    // The helper prints an address on which no shim listens.
    assert_eq!(world.create("c").await.unwrap_err().code(), Code::Unavailable);
    assert!(!world.bundle("c").exists());
    let _shim = FakeShim::start(&world.shims(), "c");
    let request =
        pb::CreateTaskRequest { container_id: "c".into(), stdout: "refuse".into(), ..Default::default() };
    let refused = world.peers.tasks().create(world.request(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unknown);
    assert!(refused.message().contains("no such file"), "{refused}");
    assert!(!world.bundle("c").exists());
    assert_eq!(world.events(1).await, ["/containers/create"]);
}

#[tokio::test]
async fn a_start_of_a_shim_that_is_cut_short_is_cleaned_up_after() {
    let world = World::new().await;
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*delete) echo gone >> {}/deleted;;\n*) kill -9 $$;;\nesac\n",
        world.shims().display()
    );
    world.shim_script("gantry", &script);
    world.container("c").await;
    assert_eq!(world.create("c").await.unwrap_err().code(), Code::Internal);
    assert_eq!(std::fs::read_to_string(world.shims().join("deleted")).unwrap(), "gone\n");
    assert!(!world.bundle("c").exists());
}

#[tokio::test]
async fn a_task_that_is_being_made_is_waited_for() {
    let world = World::new().await;
    world.container("c").await;
    let _shim = FakeShim::start(&world.shims(), "c");
    let get = || world.request(pb::GetRequest { container_id: "c".into(), exec_id: String::new() });
    let mut tasks = world.peers.tasks();
    assert_eq!(tasks.get(get()).await.unwrap_err().code(), Code::NotFound);
    let create =
        pb::CreateTaskRequest { container_id: "c".into(), stdout: "slow".into(), ..Default::default() };
    let (request, mut client) = (world.request(create), tasks.clone());
    let creating = tokio::spawn(async move { client.create(request).await });
    eventually("it is begun", || world.bundle("c").exists().then_some(())).await;
    let process = tasks.get(get()).await.unwrap().into_inner().process.unwrap();
    assert_eq!(process.status(), State::Created);
    creating.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dead_shim_ends_its_task() {
    let world = World::new().await;
    let shim = world.running("c").await;
    let request = world.request(pb::WaitRequest { container_id: "c".into(), exec_id: String::new() });
    let mut tasks = world.peers.tasks();
    let waiting = tokio::spawn(async move { tasks.wait(request).await });
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    shim.die();
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().exit_status, 137);
    let events = world.events(5).await;
    assert_eq!(events[3..], ["/tasks/exit c 137", "/tasks/delete"]);
    assert_eq!(std::fs::read_to_string(world.shims().join("deleted")).unwrap(), "c\n");
    // The name is free again.
    let _shim = FakeShim::start(&world.shims(), "c");
    world.create("c").await.unwrap();
}

/// Calls a shim that does not answer, and kills it: its listening socket outlives its connections for a moment.
async fn call_to_a_dying_shim<T: Send + 'static>(
    world: &World,
    id: &str,
    call: impl Future<Output = Result<T, tonic::Status>> + Send + 'static,
) -> Result<T, tonic::Status> {
    let shim = world.running(id).await;
    shim.be_silent();
    let calling = tokio::spawn(call);
    eventually("it is asked", || shim.is_asked().then_some(())).await;
    shim.die_slowly(std::time::Duration::from_millis(200)).await;
    calling.await.unwrap()
}

#[tokio::test]
async fn a_shim_that_dies_during_a_call_is_dead_and_not_hung() {
    let world = World::new().await;
    let request = pb::KillRequest { container_id: "k".into(), signal: 9, ..Default::default() };
    let (request, mut tasks) = (world.request(request), world.peers.tasks());
    call_to_a_dying_shim(&world, "k", async move { tasks.kill(request).await }).await.unwrap();

    let request = pb::DeleteTaskRequest { container_id: "d".into() };
    let (request, mut tasks) = (world.request(request), world.peers.tasks());
    let removed = call_to_a_dying_shim(&world, "d", async move { tasks.delete(request).await }).await;
    assert_eq!(removed.unwrap().into_inner().exit_status, 137);
    for id in ["k", "d"] {
        let request = world.request(pb::GetRequest { container_id: id.into(), ..Default::default() });
        assert_eq!(world.peers.tasks().get(request).await.unwrap_err().code(), Code::NotFound, "{id}");
    }
}

#[tokio::test]
async fn a_removal_whose_answer_was_lost_can_be_repeated() {
    let world = World::new().await;
    world.container("c").await;
    let shim = FakeShim::start(&world.shims(), "c");
    world.create("c").await.unwrap();
    shim.forget("");
    let request = world.request(pb::DeleteTaskRequest { container_id: "c".into() });
    let deleted = world.peers.tasks().delete(request).await.unwrap().into_inner();
    assert_eq!(deleted.exit_status, 137);
    assert_eq!(world.events(4).await[2..], ["/tasks/exit c 137", "/tasks/delete"]);
    let _shim = FakeShim::start(&world.shims(), "c");
    world.create("c").await.unwrap();
}

#[tokio::test]
async fn listing_and_metrics_see_what_runs() {
    let world = World::new().await;
    let mut shims = Vec::new();
    for id in ["a", "b"] {
        world.container(id).await;
        shims.push(FakeShim::start(&world.shims(), id));
        world.create(id).await.unwrap();
    }
    world.start("a", "").await.unwrap();
    let mut tasks = world.peers.tasks();
    let listed = tasks.list(world.request(pb::ListTasksRequest::default())).await.unwrap().into_inner().tasks;
    let states: Vec<_> = listed.iter().map(|process| (process.id.as_str(), process.status())).collect();
    assert_eq!(states, [("a", State::Running), ("b", State::Created)]);
    let request = world.request(pb::MetricsRequest { filters: vec!["id==b".into()] });
    let metrics = tasks.metrics(request).await.unwrap().into_inner().metrics;
    assert_eq!(metrics.iter().map(|metric| metric.id.as_str()).collect::<Vec<_>>(), ["b"]);
    let request = world.request(pb::CheckpointTaskRequest::default());
    assert_eq!(tasks.checkpoint(request).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn an_event_that_control_never_takes_does_not_hold_up_the_others() {
    let world = World::new().await;
    world.container("c").await;
    let _shim = FakeShim::start(&world.shims(), "c");
    let options = vec!["x".repeat(100_000)];
    let rootfs = vec![gantry_proto::containerd::types::Mount { options, ..Default::default() }];
    let create = pb::CreateTaskRequest { container_id: "c".into(), rootfs, ..Default::default() };
    world.peers.tasks().create(world.request(create)).await.unwrap();
    world.start("c", "").await.unwrap();
    assert_eq!(world.events(2).await, ["/containers/create", "/tasks/start"]);
}
