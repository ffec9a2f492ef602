use std::time::Duration;

use super::*;
use crate::stage::{Parts, Stage};

fn by_force(container: &str) -> RemoveSpec {
    RemoveSpec { container: container.to_owned(), force: true, ..RemoveSpec::default() }
}

#[tokio::test]
async fn a_removal_that_fails_at_any_step_is_finished_by_the_next() {
    for method in ["Tasks/Delete", "NetworkNamespaces/Detach", "Snapshots/Remove", "Containers/Delete"] {
        let stage = Stage::new();
        let parts = Parts::on(&stage).await;
        let container = parts.startable(&stage, "web").await;
        parts.runs.start("web").await.expect("started");
        stage.faults.fail(method);
        parts.removal.remove(&by_force("web")).await.expect_err(method);
        assert_eq!(container.status(), Status::Dead, "{method}");
        assert_eq!(stage.written(&container).await.0.stage, crate::record::Stage::Removing, "{method}");
        assert!(!stage.told().contains(&"destroy".to_owned()), "{method}");
        stage.faults.heal();
        if let Err(error) = parts.removal.remove(&by_force("web")).await {
            panic!("{method}: {error}");
        }
        assert!(container.life().is_removed(), "{method}");
        assert_eq!(stage.parts_of_containers(), Vec::<String>::new(), "{method}");
        stage.flush().await;
        assert!(stage.containers.store.containers().await.expect("readable").is_empty(), "{method}");
        assert!(!stage.paths().container(container.id()).exists(), "{method}");
        assert!(parts.plugin.users().is_empty(), "{method}");
        assert_eq!(stage.told().iter().filter(|action| *action == "destroy").count(), 1, "{method}");
        stage.containers.find("web").map(drop).expect_err("nobody finds it");
    }
}

#[tokio::test]
async fn what_is_half_made_is_removed_once_the_services_answer() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    let container = parts.startable(&stage, "web").await;
    stage.faults.lose("Snapshots/Remove");
    parts.removal.unmake_later(&container);
    stage.faults.done("Containers/Delete").await;
    let refused = parts.removal.remove(&by_force("web")).await.expect_err("it is being removed");
    assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    stage.faults.heal();
    let mut watch = container.watch();
    let removed = watch.wait_for(Life::is_removed);
    tokio::time::timeout(Duration::from_secs(10), removed).await.expect("in time").expect("it lives");
    assert_eq!(stage.parts_of_containers(), Vec::<String>::new());
}

#[tokio::test]
async fn what_runs_is_removed_by_force_alone() {
    let stage = Stage::new();
    let parts = Parts::on(&stage).await;
    parts.startable(&stage, "web").await;
    parts.runs.start("web").await.expect("started");
    let gently = RemoveSpec { force: false, ..by_force("web") };
    let error = parts.removal.remove(&gently).await.expect_err("it runs").to_string();
    assert!(
        error.ends_with("container is running: stop the container before removing or force remove"),
        "{error}"
    );
    parts.removal.remove(&by_force("web")).await.expect("removed");
    let told = stage.told();
    let told: Vec<&str> = told.iter().map(String::as_str).filter(|action| *action != "disconnect").collect();
    assert_eq!(told[told.len() - 4..], ["kill", "unmount", "die", "destroy"]);
}
