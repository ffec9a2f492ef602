use std::time::Duration;

use gantry_api::engine::{EndpointSettings, Status};
use gantry_api::network::{Attach as _, NetnsSpec};
use gantry_types::{Namespace, ProcessId};
use oci_spec::runtime::Spec;

use super::*;
use crate::container::life::Past;
use crate::container::recorded;
use crate::names;
use crate::peers::Stdio;
use crate::stage::{Parts, Stage};

/// What an engine that has died left of a container: a record, its root, and its record in tasks.
async fn left(stage: &Stage, making: crate::record::Stage, life: &Life) -> Record {
    let id = names::new_id();
    let mut record = Record { name: "web".to_owned(), id, stage: making, ..Record::default() };
    record.snapshotter = "overlayfs".to_owned();
    record.host.network_mode = "bridge".to_owned();
    record.networks.insert("bridge".to_owned(), EndpointSettings::default());
    stage.containers.store.put(&record, &life.recorded()).await.expect("written");
    recorded::record(&stage.peers.records, &record, &Spec::default()).await.expect("recorded");
    stage.peers.snapshots.prepare(&record.snapshotter, &record.id, "").await.expect("a root");
    let (paths, spec) = (stage.paths(), crate::container::network::netns_spec(&record).expect("valid"));
    std::fs::create_dir_all(paths.container(&record.id)).expect("a directory");
    stage.network.attach(spec.expect("it has a network of its own")).await.expect("attached");
    record
}

/// Its task, whose process is not started.
async fn task(stage: &Stage, record: &Record) -> ProcessId {
    let id = record.id.parse().expect("an id");
    let stdio = Stdio { log: "none:".to_owned(), stdin: false, terminal: false };
    stage.peers.tasks.create(&id, Vec::new(), &stdio).await.expect("made");
    ProcessId::init(&id)
}

fn running() -> Life {
    let past = Past { started_at: 1, ..Past::default() };
    Life::at(Phase::Running(Running { pid: 1, ..Running::default() }), past)
}

/// The container after a new engine has looked at it.
async fn recovered(stage: &Stage, parts: &Parts, id: &str) -> Arc<Container> {
    parts.recover().await;
    let container = stage.containers.find(id).expect("its name is known at once");
    // The engine has had the container's turn since it began.
    drop(container.operate().await);
    container
}

#[tokio::test]
async fn an_interrupted_creation_is_undone() {
    let stage = Stage::new();
    let record = left(&stage, crate::record::Stage::Creating, &Life::default()).await;
    let parts = Parts::on(&stage).await;
    let container = recovered(&stage, &parts, &record.id).await;
    assert!(container.life().is_removed());
    assert_eq!(stage.parts_of_containers(), Vec::<String>::new());
    stage.flush().await;
    assert!(stage.containers.store.containers().await.expect("readable").is_empty());
}

#[tokio::test]
async fn an_interrupted_start_is_undone() {
    let stage = Stage::new();
    let record = left(&stage, crate::record::Stage::Ready, &Life::default()).await;
    task(&stage, &record).await;
    let parts = Parts::on(&stage).await;
    let container = recovered(&stage, &parts, &record.id).await;
    assert_eq!(container.status(), Status::Created);
    let rest = [format!("root {}", record.id), format!("record {}", record.id)];
    assert_eq!(stage.parts_of_containers(), rest);
}

#[tokio::test]
async fn what_runs_is_watched_again() {
    let stage = Stage::new();
    let record = left(&stage, crate::record::Stage::Ready, &running()).await;
    let init = task(&stage, &record).await;
    let pid = stage.peers.tasks.start(&init).await.expect("started");
    let parts = Parts::on(&stage).await;
    let container = recovered(&stage, &parts, &record.id).await;
    assert_eq!((container.status(), container.running_pid().expect("it runs")), (Status::Running, pid));
    assert!(container.life().netns().is_some_and(|netns| netns.id == record.id));
    let mut watch = container.watch();
    stage.tasks.end(&Namespace::moby(), &init, 4);
    let ended = watch.wait_for(|life| !life.has_process());
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("in time").expect("it lives");
    assert_eq!(container.life().past().exit_code, 4);
}

#[tokio::test]
async fn a_start_of_the_engine_waits_for_a_service_that_is_away() {
    let stage = Stage::new();
    let record = left(&stage, crate::record::Stage::Ready, &running()).await;
    stage.faults.lose("Tasks/Get");
    let parts = Parts::on(&stage).await;
    let container = recovered(&stage, &parts, &record.id).await;
    assert!(container.life().has_process(), "nothing is known to the contrary");
    stage.faults.heal();
    let mut watch = container.watch();
    let ended = watch.wait_for(|life| !life.has_process());
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("in time").expect("it lives");
    assert_eq!((container.status(), container.life().past().exit_code), (Status::Exited, 255));
}

#[tokio::test]
async fn what_a_removal_has_left_goes_and_what_may_be_in_use_stays() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let attach = async |id: &str| {
        let spec = NetnsSpec { id: id.to_owned(), ..NetnsSpec::default() };
        stage.network.attach(spec).await.expect("attached");
    };
    let (idle, used) = ("1".repeat(64), "2".repeat(64));
    attach(&idle).await;
    attach(&used).await;
    let record = Record { id: used.clone(), snapshotter: "overlayfs".to_owned(), ..Record::default() };
    recorded::record(&stage.peers.records, &record, &Spec::default()).await.expect("recorded");
    task(&stage, &record).await;
    let (away, lost) = (stage.paths().removed(&idle), stage.paths().container(&used));
    for directory in [&away, &lost] {
        std::fs::create_dir_all(directory).expect("a directory");
    }
    parts.strays.look_around().await;
    let left: Vec<String> = stage.network.attached().into_iter().map(|netns| netns.id).collect();
    assert_eq!(left, [used.as_str()], "a process may be in it");
    assert!(!away.exists() && lost.exists());
}
