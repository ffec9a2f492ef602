//! Waiting for what becomes of containers.

use gantry_api::engine::Condition;
use gantry_api::engine::containers::{Inspect, Manage, Run, Wait, Waiting};

use super::{named, removal, run};

async fn code<W: Waiting>(waiting: W) -> i64 {
    let exit = waiting.exit().await.unwrap_or_else(|error| panic!("told: {error}"));
    exit.expect("the service goes on").status_code
}

async fn begun<S: Wait>(service: &S, name: &str, condition: Condition) -> S::Waiting {
    let waiting = service.wait_for(name, condition).await;
    waiting.unwrap_or_else(|error| panic!("registered: {error}"))
}

/// Every condition is told of the end of the process.
pub async fn a_wait_hears_of_the_end<S: Inspect + Manage + Run + Wait>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    let next = begun(service, "web", Condition::NextExit).await;
    let gone = begun(service, "web", Condition::Removed).await;
    service.start_container("web").await.expect("started");
    let ended = begun(service, "web", Condition::NotRunning).await;
    service.kill_container("web", "").await.expect("killed");
    for waiting in [next, ended] {
        assert_eq!(code(waiting).await, 137);
    }
    service.remove_container(removal("web", false)).await.expect("removed");
    assert_eq!(code(gone).await, 137);
}

/// A container that does not run ends a wait for `NotRunning` at once.
pub async fn what_has_ended_is_not_waited_for<S: Manage + Run + Wait>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    assert_eq!(code(begun(service, "web", Condition::NotRunning).await).await, 0);
    service.start_container("web").await.expect("started");
    service.kill_container("web", "KILL").await.expect("killed");
    for _ in 0..2 {
        assert_eq!(code(begun(service, "web", Condition::NotRunning).await).await, 137);
    }
}

/// A wait for the next exit does not count the last one.
pub async fn the_next_end_is_not_the_last_one<S: Manage + Run + Wait>(service: &S) {
    run(service, named("web")).await;
    service.kill_container("web", "KILL").await.expect("killed");
    let next = begun(service, "web", Condition::NextExit).await;
    service.start_container("web").await.expect("started");
    service.kill_container("web", "INT").await.expect("sent");
    assert_eq!(code(next).await, 130);
}

/// A wait that is given up does not end the others.
pub async fn who_stops_waiting_changes_nothing<S: Manage + Run + Wait>(service: &S) {
    run(service, named("web")).await;
    let patient = begun(service, "web", Condition::NextExit).await;
    drop(begun(service, "web", Condition::NextExit).await);
    service.kill_container("web", "KILL").await.expect("killed");
    assert_eq!(code(patient).await, 137);
}

/// A removal ends the waits for every condition.
pub async fn a_removal_is_the_end_of_every_wait<S: Manage + Run + Wait>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    let mut waiting = Vec::new();
    for condition in [Condition::Removed, Condition::NextExit] {
        waiting.push(begun(service, "web", condition).await);
    }
    service.remove_container(removal("web", false)).await.expect("removed");
    for one in waiting {
        assert_eq!(code(one).await, 0);
    }
}
