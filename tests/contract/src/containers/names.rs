//! Names, and what has none.

use gantry_api::engine::containers::{Connect, Force, Inspect, Manage, Run, Sizes, Wait};
use gantry_api::engine::{Condition, EndpointSettings, RestartPolicy, Update};
use gantry_rpc::Code;

use super::{look, named, refused, removal, run, stop};

/// A name is free again when its container is renamed. A container without a requested name gets one.
pub async fn a_name_is_one_containers<S: Inspect + Manage>(service: &S) {
    let id = service.create_container(named("one")).await.expect("made").id;
    refused(service.create_container(named("one")).await, Code::AlreadyExists);
    let other = service.create_container(named("")).await.expect("made").id;
    let invented = look(service, &other).await.name;
    assert!(!invented.is_empty() && invented != "one");
    refused(service.rename_container(&other, "one").await, Code::AlreadyExists);
    service.rename_container("one", "two").await.expect("renamed");
    assert_eq!(look(service, "two").await.id, id);
    refused(service.container("one", Sizes::Untold).await, Code::NotFound);
    refused(service.rename_container("two", "").await, Code::InvalidArgument);
}

/// Others may have a name that its container has given up by another name or a removal.
pub async fn a_name_that_is_given_up_is_free<S: Inspect + Manage + Run>(service: &S) {
    let first = run(service, named("one")).await;
    service.rename_container("one", "/two").await.expect("renamed");
    let second = service.create_container(named("one")).await.expect("made").id;
    assert_eq!((look(service, "two").await.id, look(service, "one").await.id), (first, second));
    service.remove_container(removal("one", false)).await.expect("removed");
    service.rename_container("two", "one").await.expect("renamed");
    service.create_container(named("two")).await.expect("made");
}

/// A creation and a rename refuse the same names; a rename refuses the container's present one, too.
pub async fn a_name_follows_rules<S: Inspect + Manage>(service: &S) {
    service.create_container(named("one")).await.expect("made");
    for odd in ["-one", "o/ne", "o ne", "x", "ä1"] {
        refused(service.create_container(named(odd)).await, Code::InvalidArgument);
        refused(service.rename_container("one", odd).await, Code::InvalidArgument);
    }
    refused(service.rename_container("one", "one").await, Code::InvalidArgument);
    look(service, "one").await;
}

/// A prefix of an id finds a container if no other id begins so.
pub async fn the_beginning_of_an_id_is_one_containers<S: Inspect + Manage>(service: &S) {
    let mut begun = std::collections::HashMap::new();
    // One more than there are digits: two begin with the same one.
    for _ in 0..17 {
        let id = service.create_container(named("")).await.expect("made").id;
        *begun.entry(id[..1].to_owned()).or_insert(0) += 1;
    }
    for (digit, count) in begun {
        let found = service.container(&digit, Sizes::Untold).await;
        match count {
            1 => assert!(found.expect("there").id.starts_with(&digit)),
            _ => refused(found, Code::InvalidArgument),
        }
    }
}

/// Every call refuses a container that does not exist; a creation, an image that does not.
pub async fn what_is_not_there_is_not_found<S>(service: &S)
where
    S: Inspect + Manage + Run + Wait + Connect,
{
    refused(service.container("none", Sizes::Untold).await, Code::NotFound);
    refused(service.top("none", "").await, Code::NotFound);
    refused(service.changes("none").await, Code::NotFound);
    refused(service.start_container("none").await, Code::NotFound);
    refused(service.stop_container(stop("none")).await, Code::NotFound);
    refused(service.restart_container(stop("none")).await, Code::NotFound);
    refused(service.kill_container("none", "KILL").await, Code::NotFound);
    refused(service.pause_container("none").await, Code::NotFound);
    refused(service.unpause_container("none").await, Code::NotFound);
    refused(service.rename_container("none", "one").await, Code::NotFound);
    refused(service.update_container("none", Update::default()).await, Code::NotFound);
    refused(service.remove_container(removal("none", true)).await, Code::NotFound);
    refused(service.wait_for("none", Condition::NotRunning).await, Code::NotFound);
    let settings = EndpointSettings::default();
    refused(service.connect_container("none", "bridge", settings).await, Code::NotFound);
    refused(service.disconnect_container("none", "bridge", Force::No).await, Code::NotFound);
    let mut spec = named("web");
    spec.config.image = "missing".to_owned();
    refused(service.create_container(spec).await, Code::NotFound);
    refused(service.container("web", Sizes::Untold).await, Code::NotFound);
}

/// A creation that is refused does not take the name.
pub async fn what_cannot_be_is_refused<S: Inspect + Manage>(service: &S) {
    let mut without_image = named("web");
    without_image.config.image = String::new();
    let mut odd_policy = named("web");
    odd_policy.host.restart_policy =
        Some(RestartPolicy { name: "sometimes".to_owned(), maximum_retry_count: 0 });
    let mut little_memory = named("web");
    little_memory.host.resources =
        Some(gantry_api::engine::Resources { memory: 1 << 20, ..Default::default() });
    for spec in [without_image, odd_policy, little_memory] {
        refused(service.create_container(spec).await, Code::InvalidArgument);
    }
    service.create_container(named("web")).await.expect("made");
}
