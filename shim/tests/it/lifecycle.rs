//! Create, start, signals, pause, limits, counters, exit, delete.

use std::time::Duration;

use gantry_proto::containerd::task::v3 as task;
use gantry_proto::containerd::types::Mount;
use gantry_proto::containerd::v1::types::Status;
use prost_types::Any;
use serde_json::json;
use tonic::Code;

use crate::shim::{Io, Place, eventually, until};

#[tokio::test]
async fn output_may_go_nowhere() {
    let mut place = Place::new(&["sh", "-c", "echo out && echo err >&2 || exit 8"]);
    let mut client = place.run(&Io::default()).await;
    assert_eq!(place.wait(&mut client, "").await, 0);
    place.finish(&mut client).await;
}

#[tokio::test]
async fn a_program_runs_and_its_status_is_told() {
    let mut place = Place::new(&["sh", "-c", "echo hello; echo bad >&2; exit 7"]);
    let mut client = place.run(&place.json_log()).await;
    assert_eq!(place.wait(&mut client, "").await, 7);
    let state = place.state(&mut client).await;
    assert_eq!((state.status, state.exit_status), (Status::Stopped as i32, 7));
    assert_eq!(place.kill(&mut client, 9).await.expect_err("finished").code(), Code::NotFound);
    let deleted = place.delete(&mut client, "").await.expect("deleted");
    assert_eq!(deleted.exit_status, 7);
    assert_eq!(place.logged("stdout"), "hello\n");
    assert_eq!(place.logged("stderr"), "bad\n");
    let record = std::fs::read_to_string(place.bundle.join("exit.json")).expect("a record");
    assert!(record.contains("\"exit_status\":7"), "{record}");
    place.assert_clean();
}

#[tokio::test]
async fn signals_end_a_program_with_128_and_their_number() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    let refused = place.delete(&mut client, "").await.expect_err("it runs");
    assert_eq!((refused.code(), refused.message()), (Code::Unknown, "cannot delete a running process"));
    place.kill(&mut client, 9).await.expect("killed");
    assert_eq!(place.wait(&mut client, "").await, 137);
    place.finish(&mut client).await;
}

#[tokio::test]
async fn a_created_container_can_be_given_up() {
    let mut place = Place::new(&["true"]);
    let mut client = place.connect().await;
    let created = client.create(place.create_request(&Io::default())).await.expect("created").into_inner();
    assert!(created.pid > 0);
    assert_eq!(place.state(&mut client).await.status, Status::Created as i32);
    let again = client.create(place.create_request(&Io::default())).await.expect_err("exists");
    assert_eq!(again.code(), Code::AlreadyExists);
    place.finish(&mut client).await;
    assert!(client.state(task::StateRequest { id: place.id.clone(), ..Default::default() }).await.is_err());
}

#[tokio::test]
async fn real_time_signals_arrive() {
    let script = "trap 'exit 9' 37; echo ready; while :; do sleep 0.01; done";
    let mut place = Place::new(&["sh", "-c", script]);
    let mut client = place.run(&place.json_log()).await;
    eventually("it listens", || !place.logged("stdout").is_empty()).await;
    assert_eq!(place.kill(&mut client, 65).await.expect_err("no signal").code(), Code::InvalidArgument);
    place.kill(&mut client, 37).await.expect("signalled");
    assert_eq!(place.wait(&mut client, "").await, 9);
    place.finish(&mut client).await;
}

#[tokio::test]
async fn a_step_is_carried_out_when_its_client_goes_away() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.connect().await;
    let request = place.create_request(&Io::default());
    let creating = tokio::spawn({
        let mut client = client.clone();
        async move { client.create(request).await }
    });
    let begun = place.bundle.join("runtime.json");
    eventually("it is being created", || begun.exists()).await;
    creating.abort();
    let mut status = None;
    for _ in 0..1000 {
        let request = task::StateRequest { id: place.id.clone(), ..Default::default() };
        status = client.state(request).await.ok().map(|state| state.into_inner().status());
        match status {
            Some(Status::Running) => break,
            // Sent again, in case the call before was cancelled before the shim read it.
            Some(Status::Created) => {
                let start = client.start(place.start_request(""));
                let _ = tokio::time::timeout(Duration::from_millis(2), start).await;
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status, Some(Status::Running));
    place.kill(&mut client, 9).await.expect("killed");
    assert_eq!(place.wait(&mut client, "").await, 137);
    place.finish(&mut client).await;
}

#[tokio::test]
async fn memory_pressure_meets_containers_as_it_does_others() {
    let mut place = Place::new(&["cat", "/proc/self/oom_score_adj"]);
    let mut client = place.connect().await;
    let shim = place.shim.expect("a shim");
    std::fs::write(format!("/proc/{shim}/oom_score_adj"), "300").expect("set");
    client.create(place.create_request(&place.json_log())).await.expect("created");
    client.start(place.start_request("")).await.expect("started");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), "0\n");
}

#[tokio::test]
async fn an_exec_that_is_killed_does_not_wake_a_paused_container() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    client.exec(place.exec_request("e1", &["sleep", "100"], &Io::default())).await.expect("announced");
    client.start(place.start_request("e1")).await.expect("started");
    client.pause(task::PauseRequest { id: place.id.clone() }).await.expect("paused");
    let kill =
        task::KillRequest { id: place.id.clone(), exec_id: "e1".into(), signal: 9, ..Default::default() };
    client.kill(kill).await.expect("killed");
    assert_eq!(place.state(&mut client).await.status, Status::Paused as i32);
    client.resume(task::ResumeRequest { id: place.id.clone() }).await.expect("resumed");
    assert_eq!(place.wait(&mut client, "e1").await, 137);
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn pausing_stops_the_clock() {
    let mut place = Place::new(&["sh", "-c", "while :; do echo x; sleep 0.01; done"]);
    let mut client = place.run(&place.json_log()).await;
    until("it writes", || !place.logged("stdout").is_empty());
    client.pause(task::PauseRequest { id: place.id.clone() }).await.expect("paused");
    assert_eq!(place.state(&mut client).await.status, Status::Paused as i32);
    let before = place.logged("stdout");
    tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    let after = place.logged("stdout");
    assert!(after.len() <= before.len() + 4, "it went on");
    client.resume(task::ResumeRequest { id: place.id.clone() }).await.expect("resumed");
    until("it goes on", || place.logged("stdout").len() > after.len());
    client.pause(task::PauseRequest { id: place.id.clone() }).await.expect("paused");
    place.kill(&mut client, 9).await.expect("killed");
    assert_eq!(place.wait(&mut client, "").await, 137);
    place.finish(&mut client).await;
}

#[tokio::test]
async fn limits_change_and_figures_are_read() {
    let mut place = Place::new(&["sleep", "100"]);
    let mut client = place.run(&Io::default()).await;
    let resources = json!({"pids": {"limit": 77}, "memory": {"limit": 64 << 20}});
    let update = task::UpdateTaskRequest {
        id: place.id.clone(),
        resources: Some(Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources".into(),
            value: resources.to_string().into_bytes(),
        }),
        ..Default::default()
    };
    client.update(update).await.expect("updated");
    let stats =
        client.stats(task::StatsRequest { id: place.id.clone() }).await.expect("figures").into_inner();
    let stats = stats.stats.expect("figures");
    if stats.type_url.ends_with("v1.Metrics") {
        use gantry_proto::io::containerd::cgroups::v1::Metrics;
        let metrics = gantry_proto::unpack::<Metrics>(&stats).expect("its type").expect("whole");
        let pids = metrics.pids.expect("pids");
        assert_eq!((pids.current, pids.limit), (1, 77));
        assert_eq!(metrics.memory.and_then(|memory| memory.usage).map(|usage| usage.limit), Some(64 << 20));
        assert!(metrics.cpu.and_then(|cpu| cpu.usage).is_some_and(|usage| usage.total > 0));
    }
    let pids = client.pids(task::PidsRequest { id: place.id.clone() }).await.expect("pids").into_inner();
    assert_eq!(pids.processes.len(), 1);
    place.kill(&mut client, 9).await.expect("killed");
    place.wait(&mut client, "").await;
    place.finish(&mut client).await;
}

#[tokio::test]
async fn a_container_sees_its_own_cgroups_and_cannot_change_them() {
    let script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes || cat memory.max; \
                  cat pids/pids.max || cat pids.max; \
                  head -c1 /dev/mem || echo no memory; mkdir x || echo read-only";
    let mut place = Place::new(&["sh", "-c", script]);
    // A cgroup namespace: v2 too then shows the container's own cgroup at the top.
    place.spec["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "cgroup"}));
    let mounts = place.spec["mounts"].as_array_mut().expect("a list");
    let options = ["ro", "nosuid", "noexec", "nodev"];
    mounts.push(json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": options}));
    mounts.push(
        json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options}),
    );
    place.spec["linux"]["devices"] =
        json!([{"path": "/dev/mem", "type": "c", "major": 1, "minor": 1, "fileMode": 0o666}]);
    place.spec["linux"]["resources"] = json!({
        "devices": [{"allow": false, "access": "rwm"}],
        "memory": {"limit": 64 << 20},
        "pids": {"limit": 77},
    });
    let mut client = place.run(&place.json_log()).await;
    assert_eq!(place.wait(&mut client, "").await, 0);
    let said = place.logged("stdout");
    assert_eq!(said, format!("{}\n77\nno memory\nread-only\n", 64 << 20));
    place.finish(&mut client).await;
}

#[tokio::test]
async fn want_of_memory_is_told() {
    let mut place = Place::new(&["sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=1"]);
    place.spec["linux"]["resources"]["memory"] = json!({"limit": 8 << 20});
    let mut client = place.run(&Io::default()).await;
    assert_ne!(place.wait(&mut client, "").await, 0);
    let record = std::fs::read_to_string(place.bundle.join("exit.json")).expect("a record");
    assert!(record.contains("\"oom\":true"), "{record}");
    place.finish(&mut client).await;
}

#[tokio::test]
async fn the_root_is_mounted_for_the_container_only() {
    let mut place = Place::new(&["sh", "-c", "cat /mark; echo new > /written"]);
    let place_of = |name: &str| place.directory.path().join(name);
    // The paths are long: the mount options would not fit into one page.
    let layers: Vec<_> = (0..30).map(|n| place_of(&format!("{}{n}", "l".repeat(200)))).collect();
    for layer in &layers {
        std::fs::create_dir_all(layer).expect("a layer");
    }
    std::fs::write(layers[29].join("mark"), "lowest\n").expect("a mark");
    std::fs::rename(place.root(), layers[0].join("x")).expect("moved");
    for entry in std::fs::read_dir(layers[0].join("x")).expect("a root").flatten() {
        std::fs::rename(entry.path(), layers[0].join(entry.file_name())).expect("moved");
    }
    std::fs::create_dir(place.root()).expect("a root");
    let (upper, work) = (place_of("upper"), place_of("work"));
    std::fs::create_dir(&upper).expect("upper");
    std::fs::create_dir(&work).expect("work");
    let lower: Vec<_> = layers.iter().map(|layer| layer.to_string_lossy()).collect();
    let mount = Mount {
        r#type: "overlay".into(),
        source: "overlay".into(),
        options: vec![
            "index=off".into(),
            format!("workdir={}", work.display()),
            format!("upperdir={}", upper.display()),
            format!("lowerdir={}", lower.join(":")),
        ],
        ..Default::default()
    };
    let io = place.json_log();
    let mut client = place.connect().await;
    let request = task::CreateTaskRequest { rootfs: vec![mount], ..place.create_request(&io) };
    client.create(request).await.expect("created");
    place.cgroups();
    client.start(place.start_request("")).await.expect("started");
    assert_eq!(place.wait(&mut client, "").await, 0);
    assert_eq!(std::fs::read_dir(place.root()).expect("a root").count(), 0, "seen on the host");
    place.finish(&mut client).await;
    assert_eq!(place.logged("stdout"), "lowest\n");
    assert_eq!(std::fs::read_to_string(upper.join("written")).expect("written"), "new\n");
}
