use std::time::Duration;

use gantry_types::Namespace;

use super::*;
use crate::peers::Stdio;
use crate::stage::{Parts, Stage};

#[tokio::test]
async fn a_start_that_fails_at_any_step_is_undone() {
    let methods =
        ["NetworkNamespaces/Attach", "Snapshots/Mounts", "Containers/Update", "Tasks/Create", "Tasks/Start"];
    for method in methods {
        let stage = Stage::new();
        let parts = Parts::on(&stage).await;
        let container = parts.startable(&stage, "web").await;
        let before = stage.parts_of_containers();
        stage.faults.fail(method);
        let error = parts.runs.start("web").await.expect_err(method);
        assert_eq!(container.status(), Status::Created, "{method}");
        assert_eq!(stage.parts_of_containers(), before, "{method}: root and record stay, and nothing else");
        assert!(parts.plugin.users().is_empty(), "{method}: nobody uses the volume");
        assert!(stage.containers.store.all_held().await.expect("readable").is_empty(), "{method}");
        let (_, written) = stage.written(&container).await;
        assert_eq!(written.past().error, gantry_rpc::chain(&error), "{method}");
        assert_eq!(written.past().exit_code, 128, "{method}");
        assert!(!stage.told().contains(&"start".to_owned()), "{method}");
        stage.faults.heal();
        assert!(parts.runs.start("web").await.expect("started"), "{method}");
        assert_eq!(parts.plugin.users(), [container.id()], "{method}");
        assert!(stage.written(&container).await.1.has_process(), "{method}");
        assert!(!parts.runs.start("web").await.expect("it runs"), "{method}");
    }
}

#[tokio::test]
async fn a_start_whose_volume_is_refused_takes_nothing() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let container = parts.startable(&stage, "web").await;
    let before = stage.parts_of_containers();
    parts.plugin.refuse(true);
    let error = parts.runs.start("web").await.expect_err("refused").to_string();
    assert!(error.contains("no more users") || error.contains("error while mounting volume"), "{error}");
    assert_eq!(stage.parts_of_containers(), before);
    assert!(stage.containers.store.all_held().await.expect("readable").is_empty());
    parts.plugin.refuse(false);
    parts.runs.start("web").await.expect("started");
    assert_eq!(parts.plugin.users(), [container.id()]);
}

#[tokio::test]
async fn a_task_that_an_interrupted_start_has_left_is_replaced() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let container = parts.startable(&stage, "web").await;
    let stdio = Stdio { log: "none:".to_owned(), stdin: false, terminal: false };
    stage.peers.tasks.create(container.task(), Vec::new(), &stdio).await.expect("made");
    parts.runs.start("web").await.expect("started");
    assert_eq!(container.status(), Status::Running);
    assert_eq!(stage.tasks.starts(), 1);
}

/// The network service carries an attachment out even if its caller has stopped waiting for it.
#[tokio::test]
async fn a_network_that_comes_late_is_taken_down_with_the_start_that_failed() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    parts.startable(&stage, "web").await;
    stage.faults.delay("NetworkNamespaces/Attach");
    stage.faults.fail("Containers/Update");
    parts.runs.start("web").await.expect_err("its specification is not recorded");
    stage.faults.done("NetworkNamespaces/Attach").await;
    assert!(stage.network.attached().is_empty(), "nobody would ever take it down");
}

#[tokio::test]
async fn a_container_that_is_to_go_goes_when_its_start_fails() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let container = parts.startable(&stage, "web").await;
    let mut record = crate::record::Record::clone(&container.record());
    record.host.auto_remove = true;
    container.set_record(record);
    stage.faults.fail("Tasks/Create");
    parts.runs.start("web").await.expect_err("no task");
    assert!(container.life().is_removed());
    assert_eq!(stage.parts_of_containers(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_run_had_is_given_back_at_its_end() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let container = parts.startable(&stage, "web").await;
    let before = stage.parts_of_containers();
    parts.runs.start("web").await.expect("started");
    let mut watch = container.watch();
    stage.tasks.end(&Namespace::moby(), &container.init(), 3);
    let ended = watch.wait_for(|life| !life.has_process());
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("in time").expect("it lives");
    drop(container.operate().await);
    assert_eq!((container.status(), container.life().past().exit_code), (Status::Exited, 3));
    assert_eq!(stage.parts_of_containers(), before);
    assert!(parts.plugin.users().is_empty());
    let (_, written) = stage.written(&container).await;
    assert_eq!((written.status(), written.past().exit_code), (Status::Exited, 3));
}
