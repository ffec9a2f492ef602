//! The records of containers: what a task is created from.

use std::collections::BTreeMap;
use std::time::SystemTime;

use futures::future::join_all;
use gantry_api::tasks::records::{Container, Extensions, Part, Record, Runtime, Store, Update};
use gantry_rpc::{Code, Coded};
use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, Labels, Namespace, Relabel};
use prost_types::Any;

/// Tests of `gantry_api::tasks::records::Store`.
#[macro_export]
macro_rules! records {
    ($world:expr) => {
        $crate::suite!(
            records,
            $world,
            [
                a_record_is_kept_byte_for_byte,
                an_id_is_taken_once,
                of_many_creations_at_once_one_succeeds,
                what_cannot_be_recorded_is_refused,
                records_are_listed_by_id_through_the_filters,
                a_list_may_be_longer_than_a_message,
                a_part_changes_and_the_rest_stays,
                labels_and_extensions_are_set_and_removed_one_by_one,
                an_update_of_the_whole_replaces_what_can_change,
                a_refused_update_changes_nothing,
                updates_at_once_are_all_kept,
                times_are_of_the_creation_and_of_the_last_change,
                a_deleted_record_is_gone_and_its_id_is_free,
                a_record_that_does_not_exist_is_not_found,
                namespaces_have_their_own_records,
            ]
        );
    };
}

fn moby() -> Namespace {
    Namespace::moby()
}

fn id(text: &str) -> ContainerId {
    text.parse().expect("an id")
}

fn any(value: &[u8]) -> Any {
    Any { type_url: "example.com/thing".to_owned(), value: value.to_vec() }
}

fn container(name: &str) -> Container {
    Container::new(&id(name), "io.containerd.gantry.v2", any(b"{}"))
}

/// A container with a value in each field, some of them not text.
fn full(name: &str) -> Container {
    Container {
        labels: Labels::from([("a.b/c", "1"), ("d", "2")]),
        image: "docker.io/library/x:1".to_owned(),
        runtime: Runtime { name: "io.containerd.gantry.v2".to_owned(), options: Some(any(b"\0\xff")) },
        spec: any(b"{ \"not\": tidy\xc3 }\n"),
        snapshotter: "overlayfs".to_owned(),
        snapshot_key: "a key".to_owned(),
        extensions: [("x.y/z".to_owned(), any(b"\xfe\0\n")), ("empty".to_owned(), Any::default())].into(),
        sandbox: "pod".to_owned(),
        ..container(name)
    }
}

fn part(part: Part) -> Update {
    Update::Part(part)
}

fn relabel(labels: impl Into<Labels>) -> Update {
    part(Part { labels: Some(Relabel::Each(labels.into())), ..Part::default() })
}

fn too_long() -> Labels {
    Labels::from([("k".to_owned(), "v".repeat(Labels::MAX_BYTES))])
}

#[track_caller]
fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

async fn create<S: Store>(store: &S, container: Container) -> Record {
    store.create_record(&moby(), container).await.expect("created")
}

async fn update<S: Store>(store: &S, name: &str, update: Update) -> Container {
    let updated = store.update_record(&moby(), &id(name), update).await.expect("updated");
    assert_eq!(get(store, name).await, updated);
    updated.container
}

async fn get<S: Store>(store: &S, name: &str) -> Record {
    store.record(&moby(), &id(name)).await.expect("it is there")
}

async fn ids<S: Store>(store: &S, namespace: &Namespace, filters: &[&str]) -> Vec<String> {
    let filters = FilterSet::parse(filters).expect("filters");
    let records = store.records(namespace, &filters).await.expect("listed");
    records.into_iter().map(|record| record.container.id.to_string()).collect()
}

/// A label without a value is none.
pub async fn a_record_is_kept_byte_for_byte<S: Store>(store: &S) {
    let given = full("c");
    let created = create(store, given.clone()).await;
    assert_eq!(created.container, given);
    assert_eq!(get(store, "c").await, created);
    let listed = store.records(&moby(), &FilterSet::default()).await.expect("listed");
    assert_eq!(listed, [created]);
    let labels = Labels::from([("kept", "1"), ("empty", "")]);
    let created = create(store, Container { labels, ..container("d") }).await;
    assert_eq!(created.container, Container { labels: Labels::from([("kept", "1")]), ..container("d") });
    assert_eq!(get(store, "d").await, created);
}

/// The first record stays.
pub async fn an_id_is_taken_once<S: Store>(store: &S) {
    let created = create(store, full("c")).await;
    refused(store.create_record(&moby(), container("c")).await, Code::AlreadyExists);
    assert_eq!(get(store, "c").await, created);
}

/// The record is the winner's.
pub async fn of_many_creations_at_once_one_succeeds<S: Store>(store: &S) {
    let attempts = (0..16).map(|number| async move {
        let image = number.to_string();
        store.create_record(&moby(), Container { image, ..container("c") }).await
    });
    let outcomes = join_all(attempts).await;
    let won: Vec<&Record> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(&get(store, "c").await, won[0]);
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        refused(outcome, Code::AlreadyExists);
    }
}

/// Nothing is recorded.
pub async fn what_cannot_be_recorded_is_refused<S: Store>(store: &S) {
    let unnamed = Runtime { name: String::new(), options: None };
    for odd in [
        Container { runtime: unnamed, ..container("c") },
        Container { snapshot_key: "key".to_owned(), ..container("c") },
        Container { extensions: [(String::new(), any(b""))].into(), ..container("c") },
        Container { labels: too_long(), ..container("c") },
    ] {
        refused(store.create_record(&moby(), odd).await, Code::InvalidArgument);
    }
    assert!(ids(store, &moby(), &[]).await.is_empty());
}

/// Each field that filters know.
pub async fn records_are_listed_by_id_through_the_filters<S: Store>(store: &S) {
    create(store, Container { labels: Labels::from([("app.name/x", "web")]), ..container("one") }).await;
    create(store, Container { image: "docker.io/library/x:1".to_owned(), ..container("two") }).await;
    let other = Runtime { name: "io.containerd.other.v1".to_owned(), options: None };
    create(store, Container { runtime: other, ..container("three") }).await;
    for (filters, found) in [
        (&[][..], &["one", "three", "two"][..]),
        (&["id==two"], &["two"]),
        (&["id~=^t"], &["three", "two"]),
        (&["labels.\"app.name/x\"==web"], &["one"]),
        (&["labels.\"app.name/x\""], &["one"]),
        (&["image~=library"], &["two"]),
        (&["runtime.name==io.containerd.other.v1"], &["three"]),
        (&["id==one", "id==two"], &["one", "two"]),
        (&["id==one,image"], &[]),
        (&["snapshotter==overlayfs"], &[]),
    ] {
        assert_eq!(ids(store, &moby(), filters).await, found, "{filters:?}");
    }
}

/// A message has at most 16 MiB.
pub async fn a_list_may_be_longer_than_a_message<S: Store>(store: &S) {
    let spec = any(&vec![b' '; 6 << 20]);
    for name in ["a", "b", "c"] {
        create(store, Container { spec: spec.clone(), ..container(name) }).await;
    }
    let listed = store.records(&moby(), &FilterSet::default()).await.expect("listed");
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|record| record.container.spec == spec));
}

/// Each field, and two of them at once.
pub async fn a_part_changes_and_the_rest_stays<S: Store>(store: &S) {
    let mut expected = create(store, full("c")).await.container;
    let labels = Labels::from([("new", "3"), ("empty", "")]);
    let change = Part { labels: Some(Relabel::All(labels)), ..Part::default() };
    expected.labels = Labels::from([("new", "3")]);
    assert_eq!(update(store, "c", part(change)).await, expected);
    let change = Part { image: Some(String::new()), spec: Some(any(b"\xff")), ..Part::default() };
    (expected.image, expected.spec) = (String::new(), any(b"\xff"));
    assert_eq!(update(store, "c", part(change)).await, expected);
    let change = Part { snapshot_key: Some("another".to_owned()), ..Part::default() };
    expected.snapshot_key = "another".to_owned();
    assert_eq!(update(store, "c", part(change)).await, expected);
    let extensions = BTreeMap::from([("only".to_owned(), any(b"\0"))]);
    let change = Part { extensions: Some(Extensions::All(extensions.clone())), ..Part::default() };
    expected.extensions = extensions;
    assert_eq!(update(store, "c", part(change)).await, expected);
}

/// What is not named stays.
pub async fn labels_and_extensions_are_set_and_removed_one_by_one<S: Store>(store: &S) {
    let mut expected = create(store, full("c")).await.container;
    expected.labels = Labels::from([("a.b/c", "9"), ("new", "3")]);
    let change = relabel([("a.b/c", "9"), ("d", ""), ("new", "3"), ("never", "")]);
    assert_eq!(update(store, "c", change).await, expected);
    let each = [("x.y/z", None), ("empty", Some(any(b"full"))), ("new", Some(any(b""))), ("never", None)];
    let each = each.map(|(name, extension)| (name.to_owned(), extension)).into();
    let change = Part { extensions: Some(Extensions::Each(each)), ..Part::default() };
    expected.extensions = [("empty".to_owned(), any(b"full")), ("new".to_owned(), any(b""))].into();
    assert_eq!(update(store, "c", part(change)).await, expected);
}

/// The runtime's options and the sandbox stay, whatever the update says.
pub async fn an_update_of_the_whole_replaces_what_can_change<S: Store>(store: &S) {
    let before = create(store, full("c")).await.container;
    let wanted = Container {
        labels: Labels::from([("empty", "")]),
        spec: any(b"new"),
        snapshotter: "overlayfs".to_owned(),
        runtime: Runtime { name: before.runtime.name.clone(), options: None },
        ..container("c")
    };
    let expected = Container {
        labels: Labels::new(),
        runtime: before.runtime.clone(),
        sandbox: before.sandbox.clone(),
        ..wanted.clone()
    };
    assert_eq!(update(store, "c", Update::Whole(wanted.clone())).await, expected);
    let elsewhere = Container { snapshotter: "native".to_owned(), ..wanted.clone() };
    let other = Container { runtime: Runtime { name: "other".to_owned(), options: None }, ..wanted };
    for odd in [elsewhere, other] {
        let outcome = store.update_record(&moby(), &id("c"), Update::Whole(odd)).await;
        refused(outcome, Code::InvalidArgument);
    }
    assert_eq!(get(store, "c").await.container, expected);
}

/// Neither the fields nor the time.
pub async fn a_refused_update_changes_nothing<S: Store>(store: &S) {
    let created = create(store, container("c")).await;
    let unnamed = || BTreeMap::from([(String::new(), any(b""))]);
    for change in [
        Part { labels: Some(Relabel::Each(too_long())), image: Some("x".to_owned()), ..Part::default() },
        Part { labels: Some(Relabel::All(too_long())), ..Part::default() },
        Part { extensions: Some(Extensions::All(unnamed())), ..Part::default() },
        Part { snapshot_key: Some("key".to_owned()), ..Part::default() },
    ] {
        refused(store.update_record(&moby(), &id("c"), part(change)).await, Code::InvalidArgument);
    }
    assert_eq!(get(store, "c").await, created);
    let same = store.update_record(&moby(), &id("c"), part(Part::default())).await.expect("the record");
    assert_eq!(same, created, "an update that names nothing");
}

/// No update takes another one's value for the present one.
pub async fn updates_at_once_are_all_kept<S: Store>(store: &S) {
    create(store, container("c")).await;
    let updates = (0..16).map(|number| async move {
        store.update_record(&moby(), &id("c"), relabel([(format!("l{number}"), "1")])).await
    });
    for outcome in join_all(updates).await {
        outcome.expect("updated");
    }
    let labels: Labels = (0..16).map(|number| (format!("l{number}"), "1")).collect();
    assert_eq!(get(store, "c").await.container.labels, labels);
}

/// The store's times, not the clients'.
pub async fn times_are_of_the_creation_and_of_the_last_change<S: Store>(store: &S) {
    let before = SystemTime::now();
    let created = create(store, container("c")).await;
    assert!(before <= created.created && created.created <= SystemTime::now());
    assert_eq!(created.updated, created.created);
    let updated = store.update_record(&moby(), &id("c"), relabel([("a", "1")])).await.expect("updated");
    assert_eq!(updated.created, created.created);
    assert!(created.updated < updated.updated && updated.updated <= SystemTime::now());
    let whole = Update::Whole(container("c"));
    let replaced = store.update_record(&moby(), &id("c"), whole).await.expect("updated");
    assert_eq!(replaced.created, created.created);
    assert!(updated.updated < replaced.updated);
    let read = get(store, "c").await;
    assert_eq!((read.created, read.updated), (replaced.created, replaced.updated));
}

/// The next record of the id is a new one.
pub async fn a_deleted_record_is_gone_and_its_id_is_free<S: Store>(store: &S) {
    let first = create(store, full("c")).await;
    create(store, container("d")).await;
    store.delete_record(&moby(), &id("c")).await.expect("deleted");
    refused(store.record(&moby(), &id("c")).await, Code::NotFound);
    assert_eq!(ids(store, &moby(), &[]).await, ["d"]);
    let second = create(store, container("c")).await;
    assert!(second.created > first.created);
    assert_eq!(second.container, container("c"));
    assert_eq!(get(store, "c").await, second);
}

/// For every call.
pub async fn a_record_that_does_not_exist_is_not_found<S: Store>(store: &S) {
    refused(store.record(&moby(), &id("c")).await, Code::NotFound);
    refused(store.update_record(&moby(), &id("c"), relabel([("a", "1")])).await, Code::NotFound);
    refused(store.update_record(&moby(), &id("c"), part(Part::default())).await, Code::NotFound);
    refused(store.update_record(&moby(), &id("c"), Update::Whole(container("c"))).await, Code::NotFound);
    refused(store.delete_record(&moby(), &id("c")).await, Code::NotFound);
    assert!(ids(store, &moby(), &[]).await.is_empty());
}

/// The same id may exist in each namespace, also where one's name begins with the other's.
pub async fn namespaces_have_their_own_records<S: Store>(store: &S) {
    let longer: Namespace = "moby2".parse().expect("a namespace");
    let created = create(store, container("c")).await;
    refused(store.record(&longer, &id("c")).await, Code::NotFound);
    refused(store.delete_record(&longer, &id("c")).await, Code::NotFound);
    let other = store.create_record(&longer, full("c")).await.expect("created");
    store.create_record(&longer, container("d")).await.expect("created");
    assert_eq!(get(store, "c").await, created);
    assert_eq!(ids(store, &moby(), &[]).await, ["c"]);
    assert_eq!(ids(store, &longer, &[]).await, ["c", "d"]);
    store.delete_record(&moby(), &id("c")).await.expect("deleted");
    assert_eq!(store.record(&longer, &id("c")).await.expect("it is there"), other);
}
