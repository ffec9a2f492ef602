//! Leases: garbage collection spares their resources.

use gantry_api::leases::{Collect, Resource, Store};
use gantry_rpc::{Code, Coded};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace};

/// Tests of `gantry_api::leases::Store`.
#[macro_export]
macro_rules! leases {
    ($world:expr) => {
        $crate::suite!(
            leases,
            $world,
            [
                a_lease_keeps_what_is_added_until_it_is_removed,
                an_id_is_taken_once_and_invented_where_none_is_given,
                leases_are_listed_by_the_filters,
                a_lease_that_is_not_there_keeps_nothing,
                namespaces_have_their_own_leases,
                a_lease_that_is_made_again_is_empty,
            ]
        );
    };
}

fn moby() -> Namespace {
    Namespace::moby()
}

fn other() -> Namespace {
    "other".parse().expect("an identifier")
}

fn resource(kind: &str, key: &str) -> Resource {
    Resource::parse(kind, key).expect("a resource")
}

#[track_caller]
fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

async fn ids<S: Store>(store: &S, namespace: &Namespace, filters: &[&str]) -> Vec<String> {
    let filters = FilterSet::parse(filters).expect("filters");
    let leases = store.list(namespace, &filters).await.expect("listed");
    leases.into_iter().map(|lease| lease.id).collect()
}

/// Resources of every type; adding one twice is no error.
pub async fn a_lease_keeps_what_is_added_until_it_is_removed<S: Store>(store: &S) {
    let (moby, labels) = (moby(), Labels::from([("a", "1"), ("empty", "")]));
    let lease = store.create(&moby, Some("l"), labels).await.expect("made");
    assert_eq!((lease.id.as_str(), &lease.labels), ("l", &Labels::from([("a", "1")])));
    let mut all = [
        resource("content", "sha256:abc"),
        resource("images", "docker.io/library/x:1"),
        resource("ingests", "a ref"),
        resource("snapshots/overlayfs", "top"),
    ];
    for one in all.iter().chain(&all) {
        store.add(&moby, "l", one).await.expect("added");
    }
    let mut kept = store.resources(&moby, "l").await.expect("there");
    kept.sort();
    all.sort();
    assert_eq!(kept, all);
    for _ in 0..2 {
        store.remove(&moby, "l", &all[0]).await.expect("removed");
    }
    let mut kept = store.resources(&moby, "l").await.expect("there");
    kept.sort();
    assert_eq!(kept, all[1..]);
    store.delete(&moby, "l", Collect::Now).await.expect("ended");
    refused(store.resources(&moby, "l").await, Code::NotFound);
    assert!(ids(store, &moby, &[]).await.is_empty());
}

/// Two leases never share an id.
pub async fn an_id_is_taken_once_and_invented_where_none_is_given<S: Store>(store: &S) {
    let moby = moby();
    store.create(&moby, Some("l"), Labels::new()).await.expect("made");
    refused(store.create(&moby, Some("l"), Labels::new()).await, Code::AlreadyExists);
    let one = store.create(&moby, None, Labels::new()).await.expect("made");
    let two = store.create(&moby, None, Labels::new()).await.expect("made");
    assert!(!one.id.is_empty() && one.id != two.id, "{one:?} {two:?}");
    let long = Labels::from([("k".to_owned(), "v".repeat(Labels::MAX_BYTES))]);
    refused(store.create(&moby, Some("long"), long).await, Code::InvalidArgument);
    assert_eq!(ids(store, &moby, &[]).await.len(), 3);
}

/// Filters match ids and labels.
pub async fn leases_are_listed_by_the_filters<S: Store>(store: &S) {
    let moby = moby();
    for (id, purpose) in [("b", "pull"), ("a", "push"), ("c", "pull")] {
        let labels = Labels::from([("gantry.io/purpose", purpose)]);
        store.create(&moby, Some(id), labels).await.expect("made");
    }
    assert_eq!(ids(store, &moby, &[]).await, ["a", "b", "c"]);
    assert_eq!(ids(store, &moby, &["labels.\"gantry.io/purpose\"==pull"]).await, ["b", "c"]);
    assert_eq!(ids(store, &moby, &["id==a", "id==c"]).await, ["a", "c"]);
}

/// Only `create` makes a lease.
pub async fn a_lease_that_is_not_there_keeps_nothing<S: Store>(store: &S) {
    let (moby, blob) = (moby(), resource("content", "sha256:abc"));
    refused(store.add(&moby, "l", &blob).await, Code::NotFound);
    refused(store.remove(&moby, "l", &blob).await, Code::NotFound);
    refused(store.resources(&moby, "l").await, Code::NotFound);
    refused(store.delete(&moby, "l", Collect::Later).await, Code::NotFound);
    assert!(ids(store, &moby, &[]).await.is_empty());
}

/// The same id may exist in each namespace.
pub async fn namespaces_have_their_own_leases<S: Store>(store: &S) {
    for namespace in [moby(), other()] {
        store.create(&namespace, Some("l"), Labels::new()).await.expect("made");
    }
    store.add(&moby(), "l", &resource("content", "sha256:abc")).await.expect("added");
    assert!(store.resources(&other(), "l").await.expect("there").is_empty());
    store.delete(&moby(), "l", Collect::Later).await.expect("ended");
    assert_eq!(ids(store, &other(), &[]).await, ["l"]);
}

/// A new lease has none of the resources of an earlier one with the same id.
pub async fn a_lease_that_is_made_again_is_empty<S: Store>(store: &S) {
    let moby = moby();
    store.create(&moby, Some("l"), Labels::new()).await.expect("made");
    store.add(&moby, "l", &resource("content", "sha256:abc")).await.expect("added");
    store.delete(&moby, "l", Collect::Later).await.expect("ended");
    store.create(&moby, Some("l"), Labels::new()).await.expect("made again");
    assert!(store.resources(&moby, "l").await.expect("there").is_empty());
}
