//! Changes of what a container may have, and looks at what it has.

use gantry_api::engine::containers::{Connect, Force, Inspect, Manage, Run, Samples as _, Sampling, Watch};
use gantry_api::engine::{CommitSpec, EndpointSettings, Resources, RestartPolicy, Update};
use gantry_rpc::Code;

use super::{look, named, refused, run, stop};

const MEBIBYTE: i64 = 1 << 20;

fn limits(resources: Resources) -> Update {
    Update { resources: Some(resources), restart_policy: None }
}

fn policy(name: &str) -> Update {
    let restart_policy = Some(RestartPolicy { name: name.to_owned(), maximum_retry_count: 0 });
    Update { resources: None, restart_policy }
}

async fn resources<S: Inspect>(service: &S) -> Resources {
    look(service, "web").await.host.resources.unwrap_or_default()
}

/// An update changes only the limits that it gives, also of a running container.
pub async fn limits_are_changed_one_by_one<S: Inspect + Manage + Run>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    let memory = Resources { memory: 64 * MEBIBYTE, memory_swap: -1, ..Resources::default() };
    service.update_container("web", limits(memory)).await.expect("changed");
    assert_eq!(resources(service).await.memory, 64 * MEBIBYTE);
    service.start_container("web").await.expect("started");
    let pids = Resources { pids_limit: Some(50), ..Resources::default() };
    service.update_container("web", limits(pids)).await.expect("changed");
    let now = resources(service).await;
    assert_eq!((now.memory, now.pids_limit), (64 * MEBIBYTE, Some(50)));
}

/// An update that is refused changes nothing.
pub async fn limits_that_cannot_be_change_nothing<S: Inspect + Manage>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    let before = resources(service).await;
    let little = Resources { memory: MEBIBYTE, pids_limit: Some(7), ..Resources::default() };
    refused(service.update_container("web", limits(little)).await, Code::InvalidArgument);
    refused(service.update_container("web", policy("sometimes")).await, Code::InvalidArgument);
    assert_eq!(resources(service).await, before);
}

/// A container with `auto_remove` gets no restart policy.
pub async fn a_policy_is_changed<S: Inspect + Manage>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    service.update_container("web", policy("always")).await.expect("changed");
    let now = look(service, "web").await.host.restart_policy.unwrap_or_default();
    assert_eq!(now.name, "always");
    let mut spec = named("brief");
    spec.host.auto_remove = true;
    service.create_container(spec).await.expect("made");
    refused(service.update_container("brief", policy("always")).await, Code::Aborted);
}

/// Every row of the processes has a value for each title. A container that does not run has no processes.
pub async fn what_runs_tells_its_processes<S: Inspect + Manage + Run>(service: &S) {
    service.create_container(named("web")).await.expect("made");
    refused(service.top("web", "").await, Code::Aborted);
    service.start_container("web").await.expect("started");
    let top = service.top("web", "").await.expect("told");
    assert!(top.titles.iter().any(|title| title == "PID") && !top.processes.is_empty(), "{top:?}");
    assert!(top.processes.iter().all(|row| row.len() == top.titles.len()), "{top:?}");
}

/// A container that does not run has a sample without figures.
pub async fn what_a_container_uses_is_sampled<S: Manage + Run + Watch>(service: &S) {
    let id = service.create_container(named("web")).await.expect("made").id;
    let mut once = service.stats("web", Sampling::Once).await.expect("begun");
    let told = once.next().await.unwrap_or_else(|error| panic!("told: {error}")).expect("one");
    assert_eq!((told.id, told.name.as_str(), told.current, told.previous), (id, "web", None, None));
    assert!(once.next().await.unwrap_or_else(|error| panic!("told: {error}")).is_none());
    refused(service.stats("none", Sampling::Once).await, Code::NotFound);
}

/// Joining a network twice is no error while the container is stopped. Leaving one twice is.
pub async fn a_network_is_joined_and_left<S: Inspect + Manage + Run + Connect>(service: &S) {
    run(service, named("web")).await;
    service.stop_container(stop("web")).await.expect("stopped");
    let settings = EndpointSettings::default;
    refused(service.connect_container("web", "nowhere", settings()).await, Code::NotFound);
    refused(service.disconnect_container("web", "nowhere", Force::No).await, Code::NotFound);
    for _ in 0..2 {
        service.connect_container("web", "bridge", settings()).await.expect("connected");
    }
    assert!(look(service, "web").await.networks.contains_key("bridge"));
    service.disconnect_container("web", "bridge", Force::No).await.expect("disconnected");
    assert!(!look(service, "web").await.networks.contains_key("bridge"));
    for force in [Force::No, Force::Yes] {
        refused(service.disconnect_container("web", "bridge", force).await, Code::Internal);
    }
}

/// A commit of a container that does not exist is refused.
pub async fn an_image_is_made_of_a_container<S: Manage>(service: &S) {
    let commit = |name: &str| CommitSpec { container: name.to_owned(), ..CommitSpec::default() };
    refused(service.commit_container(commit("none")).await, Code::NotFound);
}
