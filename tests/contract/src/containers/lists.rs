//! Lists, and what is taken by them.

use gantry_api::engine::ListQuery;
use gantry_api::engine::containers::{Inspect, Manage, Run};
use gantry_rpc::Code;

use super::{all, filter, named, names, refused, removal, run, stop};

/// The newest container comes first.
pub async fn lists_have_a_generation_and_filters<S: Inspect + Manage + Run>(service: &S) {
    for name in ["one", "two", "three"] {
        service.create_container(named(name)).await.expect("made");
    }
    service.start_container("two").await.expect("started");
    assert_eq!(names(service, all()).await, ["three", "two", "one"]);
    assert_eq!(names(service, ListQuery::default()).await, ["two"]);
    assert_eq!(names(service, ListQuery { limit: 1, ..ListQuery::default() }).await, ["three"]);
    let labelled = ListQuery { filters: vec![filter("label", "name=one")], ..all() };
    assert_eq!(names(service, labelled).await, ["one"]);
    let generation = service.containers(all()).await.expect("listed").generation;
    let newer = ListQuery { newer_than: generation, ..all() };
    let same = service.containers(newer.clone()).await.expect("listed");
    assert!(generation != 0 && same.unchanged && same.containers.is_empty(), "{same:?}");
    service.remove_container(removal("one", false)).await.expect("removed");
    let changed = service.containers(newer).await.expect("listed");
    assert!(!changed.unchanged && changed.generation != generation);
    assert_eq!(changed.containers.len(), 2);
    let measured = service.containers(ListQuery { size: true, ..all() }).await.expect("listed");
    assert_eq!(measured.generation, 0, "sizes change by themselves");
    assert!(measured.containers.iter().all(|one| one.size_rw.is_some()));
}

/// The filter `status` also finds containers that do not run. Different filters all have to match.
pub async fn lists_are_narrowed_by_what_containers_do<S: Inspect + Manage + Run>(service: &S) {
    let mut ids = Vec::new();
    for name in ["made", "ended", "runs"] {
        ids.push(service.create_container(named(name)).await.expect("made").id);
    }
    for name in ["ended", "runs"] {
        service.start_container(name).await.expect("started");
    }
    service.kill_container("ended", "KILL").await.expect("killed");
    let by = |key: &str, value: &str| ListQuery { filters: vec![filter(key, value)], ..ListQuery::default() };
    for (state, name) in [("created", "made"), ("exited", "ended"), ("running", "runs")] {
        assert_eq!(names(service, by("status", state)).await, [name]);
    }
    let with = |key: &str, value: &str| ListQuery { filters: vec![filter(key, value)], ..all() };
    assert_eq!(names(service, with("exited", "137")).await, ["ended"]);
    assert!(names(service, with("exited", "0")).await.is_empty());
    assert_eq!(names(service, with("name", "un")).await, ["runs"]);
    assert_eq!(names(service, with("id", &ids[0])).await, ["made"]);
    assert_eq!(names(service, with("label!", "name=made")).await, ["runs", "ended"]);
    assert_eq!(names(service, with("ancestor", "busybox")).await, ["runs", "ended", "made"]);
    assert!(names(service, with("ancestor", "another")).await.is_empty());
    let both = vec![filter("status", "exited"), filter("name", "runs")];
    assert!(names(service, ListQuery { filters: both, ..all() }).await.is_empty());
}

/// `before` and `since` compare with another container, which they leave out.
pub async fn lists_are_narrowed_by_age<S: Inspect + Manage>(service: &S) {
    for name in ["one", "two", "three"] {
        service.create_container(named(name)).await.expect("made");
    }
    let with = |key: &str| ListQuery { filters: vec![filter(key, "two")], ..all() };
    assert_eq!(names(service, with("before")).await, ["one"]);
    assert_eq!(names(service, with("since")).await, ["three"]);
}

/// Unknown filters and invalid values are refused.
pub async fn lists_refuse_what_they_do_not_know<S: Inspect + Manage>(service: &S) {
    for (key, value) in [("colour", "red"), ("status", "flying"), ("exited", "well")] {
        let odd = ListQuery { filters: vec![filter(key, value)], ..all() };
        refused(service.containers(odd).await, Code::InvalidArgument);
    }
    let missing = ListQuery { filters: vec![filter("before", "nobody")], ..all() };
    refused(service.containers(missing).await, Code::NotFound);
    refused(service.prune_containers(&[filter("colour", "red")]).await, Code::InvalidArgument);
}

/// A prune leaves running containers.
pub async fn a_prune_takes_what_has_ended<S: Inspect + Manage + Run>(service: &S) {
    run(service, named("runs")).await;
    let ended = run(service, named("ended")).await;
    service.stop_container(stop("ended")).await.expect("stopped");
    assert_eq!(service.prune_containers(&[]).await.expect("pruned").deleted, [ended]);
    assert_eq!(names(service, all()).await, ["runs"]);
}

/// A prune also removes containers that never ran.
pub async fn a_prune_takes_what_the_filters_choose<S: Inspect + Manage>(service: &S) {
    let one = service.create_container(named("one")).await.expect("made").id;
    let two = service.create_container(named("two")).await.expect("made").id;
    let pruned = service.prune_containers(&[filter("label", "name=one")]).await.expect("pruned");
    assert_eq!(pruned.deleted, [one]);
    let pruned = service.prune_containers(&[filter("label!", "name=two")]).await.expect("pruned");
    assert!(pruned.deleted.is_empty(), "{pruned:?}");
    assert_eq!(service.prune_containers(&[]).await.expect("pruned").deleted, [two]);
}
