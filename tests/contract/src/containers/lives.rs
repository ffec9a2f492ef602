//! From a creation to a removal.

use gantry_api::engine::containers::{Before, Inspect, Manage, Run, Sizes, Wait, Waiting};
use gantry_api::engine::{Condition, RestartPolicy, Status, StopSpec};
use gantry_rpc::Code;

use super::{look, named, refused, removal, run, running, status, stop, until};

/// A container is found by its name, its id, and a prefix of its id.
pub async fn a_container_is_there_from_its_creation_to_its_removal<S: Inspect + Manage>(service: &S) {
    let id = service.create_container(named("web")).await.expect("made").id;
    for text in ["web", &id, &id[..12]] {
        let found = look(service, text).await;
        assert_eq!((found.id.as_str(), found.name.as_str()), (id.as_str(), "web"));
        assert_eq!((found.state.status, found.config.image.as_str()), (Status::Created, "busybox"));
        assert_eq!((found.path.as_str(), found.state.pid), ("sh", 0), "its image's program");
    }
    service.remove_container(removal("web", false)).await.expect("removed");
    refused(service.container(&id, Sizes::Untold).await, Code::NotFound);
}

/// Starting a running container and stopping a stopped one is no error.
pub async fn what_is_so_already_is_told<S: Inspect + Manage + Run>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    for expected in [Before::Otherwise, Before::Already] {
        assert_eq!(service.start_container("web").await.expect("started"), expected);
        assert_eq!(status(service, "web").await, Status::Running);
    }
    assert_ne!(look(service, "web").await.state.pid, 0);
    for expected in [Before::Otherwise, Before::Already] {
        assert_eq!(service.stop_container(stop("web")).await.expect("stopped"), expected);
        assert_eq!(status(service, "web").await, Status::Exited);
    }
    refused(service.kill_container("web", "TERM").await, Code::Aborted);
    refused(service.pause_container("web").await, Code::Aborted);
}

/// The state of a container whose process ended by itself has its exit code and times.
pub async fn what_ends_by_itself_says_how<S: Inspect + Manage + Run>(service: &S) {
    run(service, running("web", "false")).await;
    let state = until(service, "web", |found| found.state.status == Status::Exited).await.state;
    assert_eq!((state.exit_code, state.pid, state.error.as_str()), (1, 0, ""));
    assert!(state.started_at > 0 && state.finished_at > 0, "{state:?}");
}

/// A start that fails leaves the exit code a shell would give, and can be tried again.
pub async fn what_cannot_be_started_says_why<S: Inspect + Manage + Run>(service: &S) {
    for (program, code) in [("missing", 127), ("forbidden", 126)] {
        service.create_container(running(program, program)).await.expect("made");
        for _ in 0..2 {
            refused(service.start_container(program).await, Code::InvalidArgument);
            let state = look(service, program).await.state;
            assert_eq!((state.status, state.exit_code), (Status::Created, code));
            assert!(!state.error.is_empty());
        }
        service.remove_container(removal(program, false)).await.expect("removed");
    }
}

/// A paused container is neither started, paused nor removed, until it is unpaused.
pub async fn what_is_frozen_goes_on<S: Inspect + Manage + Run>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    refused(service.pause_container("web").await, Code::Aborted);
    refused(service.unpause_container("web").await, Code::Internal);
    service.start_container("web").await.expect("started");
    service.pause_container("web").await.expect("frozen");
    assert_eq!(status(service, "web").await, Status::Paused);
    refused(service.pause_container("web").await, Code::Aborted);
    refused(service.start_container("web").await, Code::Aborted);
    refused(service.remove_container(removal("web", false)).await, Code::Aborted);
    service.unpause_container("web").await.expect("thawed");
    assert_eq!(status(service, "web").await, Status::Running);
    refused(service.unpause_container("web").await, Code::Internal);
}

/// KILL ends a paused container at once.
pub async fn what_is_frozen_is_killed<S: Inspect + Manage + Run>(service: &S) {
    run(service, named("web")).await;
    service.pause_container("web").await.expect("frozen");
    service.kill_container("web", "KILL").await.expect("killed");
    let state = look(service, "web").await.state;
    assert_eq!((state.status, state.exit_code), (Status::Exited, 137));
}

/// A signal is given by its name, with or without `SIG`, or its number. One that the process survives changes nothing.
pub async fn a_signal_is_named_or_numbered<S: Inspect + Manage + Run>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    for text in ["TERM", "SIGTERM", "15"] {
        service.start_container("web").await.expect("started");
        service.kill_container("web", "WINCH").await.expect("sent");
        assert_eq!(status(service, "web").await, Status::Running);
        service.kill_container("web", text).await.expect("sent");
        let ended = until(service, "web", |found| found.state.status == Status::Exited).await;
        assert_eq!(ended.state.exit_code, 143, "{text}");
    }
    service.start_container("web").await.expect("started");
    for text in ["FOO", "0", "-1", "99"] {
        refused(service.kill_container("web", text).await, Code::InvalidArgument);
    }
    refused(
        service.stop_container(StopSpec { signal: "FOO".to_owned(), ..stop("web") }).await,
        Code::InvalidArgument,
    );
    assert_eq!(status(service, "web").await, Status::Running);
}

/// A stop without a signal sends the container's own.
pub async fn a_stop_is_by_the_signal_that_is_asked_for<S: Inspect + Manage + Run>(service: &S) {
    let mut spec = named("web");
    spec.config.stop_signal = "USR1".to_owned();
    service.create_container(spec).await.expect("made");
    for (signal, code) in [("", 138), ("INT", 130), ("KILL", 137)] {
        service.start_container("web").await.expect("started");
        let spec = StopSpec { signal: signal.to_owned(), ..stop("web") };
        service.stop_container(spec).await.expect("stopped");
        assert_eq!(look(service, "web").await.state.exit_code, code, "{signal}");
    }
}

/// A restart starts a container that does not run.
pub async fn a_restart_is_a_stop_and_a_start<S: Inspect + Manage + Run>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    let mut started = 0;
    for _ in 0..2 {
        service.restart_container(stop("web")).await.expect("restarted");
        let found = look(service, "web").await;
        assert_eq!((found.state.status, found.restart_count), (Status::Running, 0));
        assert!(found.state.started_at > started);
        started = found.state.started_at;
    }
}

/// The policy `on-failure` restarts a container as often as it says.
pub async fn a_policy_starts_again_what_has_failed<S: Inspect + Manage + Run>(service: &S) {
    let mut spec = running("web", "false");
    let (name, maximum_retry_count) = ("on-failure".to_owned(), 2);
    spec.host.restart_policy = Some(RestartPolicy { name, maximum_retry_count });
    run(service, spec).await;
    let over = |found: &gantry_api::engine::Container| {
        found.state.status == Status::Exited && found.restart_count == 2
    };
    assert_eq!(until(service, "web", over).await.state.exit_code, 1);
}

/// A restart policy does not restart what a client has stopped.
pub async fn what_is_stopped_by_hand_stays_so<S: Inspect + Manage + Run + Wait>(service: &S) {
    let mut spec = named("web");
    spec.host.restart_policy = Some(RestartPolicy { name: "always".to_owned(), maximum_retry_count: 0 });
    run(service, spec).await;
    service.stop_container(stop("web")).await.expect("stopped");
    let still = service.wait_for("web", Condition::NotRunning).await.expect("registered");
    let exit = still.exit().await.unwrap_or_else(|error| panic!("told: {error}"));
    assert_eq!(exit.map(|exit| exit.status_code), Some(143));
    assert_eq!((status(service, "web").await, look(service, "web").await.restart_count), (Status::Exited, 0));
}

/// A wait for the removal of a container with `auto_remove` tells its exit code, also if the wait begins afterwards, by id.
pub async fn what_removes_itself_has_an_end<S: Inspect + Manage + Run + Wait>(service: &S) {
    let mut spec = named("web");
    spec.host.auto_remove = true;
    let id = run(service, spec).await;
    let gone = service.wait_for("web", Condition::Removed).await.expect("registered");
    service.kill_container("web", "KILL").await.expect("killed");
    let exit = gone.exit().await.unwrap_or_else(|error| panic!("told: {error}"));
    assert_eq!(exit.map(|exit| exit.status_code), Some(137));
    let late = service.wait_for(&id, Condition::Removed).await.expect("registered");
    let exit = late.exit().await.unwrap_or_else(|error| panic!("told: {error}"));
    assert_eq!(exit.map(|exit| exit.status_code), Some(137));
    refused(service.container(&id, Sizes::Untold).await, Code::NotFound);
}

/// A removal by force ends the container's process.
pub async fn what_runs_is_removed_by_force_only<S: Inspect + Manage + Run>(service: &S) {
    let id = run(service, named("web")).await;
    refused(service.remove_container(removal("web", false)).await, Code::Aborted);
    service.remove_container(removal("web", true)).await.expect("removed");
    refused(service.container(&id, Sizes::Untold).await, Code::NotFound);
    refused(service.remove_container(removal("web", true)).await, Code::NotFound);
}
