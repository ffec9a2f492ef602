//! Facts about snapshots, and lists of them.

use std::time::SystemTime;

use gantry_api::snapshots::{Kind, Owner, Snapshotter};
use gantry_rpc::Code;
use gantry_types::{Labels, Relabel};

use super::{committed, either, filters, key, moby, name, other, owner, prepare, refused};

/// A snapshot has its kind, parent, times and labels. The labels of an active one end with its key.
pub async fn a_snapshot_says_what_it_is<S: Snapshotter>(store: &S) {
    let before = SystemTime::now();
    let labels = Labels::from([("a", "1"), ("empty", "")]);
    store.prepare(&owner(), &key("active"), None, labels).await.expect("prepared");
    let info = store.stat(&moby(), &either("active")).await.expect("there");
    assert_eq!((info.name, info.kind, info.parent), (either("active"), Kind::Active, None));
    assert_eq!(info.labels, Labels::from([("a", "1")]), "a label without a value is none");
    assert!(before <= info.created_at && info.created_at <= SystemTime::now());

    let labels = Labels::from([("b", "2")]);
    store.commit(&owner(), &name("base"), &key("active"), labels.clone(), None).await.expect("committed");
    let info = store.stat(&moby(), &either("base")).await.expect("there");
    assert_eq!((info.name, info.kind, info.parent), (either("base"), Kind::Committed, None));
    assert_eq!(info.labels, labels);

    store.view(&owner(), &key("look"), Some(&name("base")), Labels::new()).await.expect("viewed");
    let info = store.stat(&moby(), &either("look")).await.expect("there");
    assert_eq!((info.name, info.kind, info.parent), (either("look"), Kind::View, Some(name("base"))));
}

/// An update changes the labels that it names, and no others.
pub async fn labels_are_changed_one_by_one_or_all<S: Snapshotter>(store: &S) {
    let labels = Labels::from([("a", "1"), ("b.c/d", "2")]);
    store.prepare(&owner(), &key("active"), None, labels).await.expect("prepared");
    let made = store.stat(&moby(), &either("active")).await.expect("there");
    let each = Relabel::Each(Labels::from([("a", ""), ("e", "3"), ("none", "")]));
    let info = store.update(&moby(), &either("active"), &each).await.expect("changed");
    assert_eq!(info.labels, Labels::from([("b.c/d", "2"), ("e", "3")]));
    assert_eq!((info.created_at, info.kind), (made.created_at, Kind::Active));
    assert!(info.updated_at >= made.updated_at);
    assert_eq!(store.stat(&moby(), &either("active")).await.expect("there"), info);
    let all = Relabel::All(Labels::from([("x", "y"), ("z", "")]));
    let info = store.update(&moby(), &either("active"), &all).await.expect("changed");
    assert_eq!(info.labels, Labels::from([("x", "y")]));
}

/// A label that is too long is refused, and nothing changes.
pub async fn a_label_has_its_limit<S: Snapshotter>(store: &S) {
    let long = Labels::from([("k".to_owned(), "v".repeat(Labels::MAX_BYTES))]);
    refused(store.prepare(&owner(), &key("long"), None, long.clone()).await, Code::InvalidArgument);
    refused(store.stat(&moby(), &either("long")).await, Code::NotFound);
    prepare(store, "active", None).await;
    let change = Relabel::Each(long.clone());
    refused(store.update(&moby(), &either("active"), &change).await, Code::InvalidArgument);
    let outcome = store.commit(&owner(), &name("base"), &key("active"), long, None).await;
    refused(outcome, Code::InvalidArgument);
    let info = store.stat(&moby(), &either("active")).await.expect("it stays");
    assert_eq!((info.kind, info.labels), (Kind::Active, Labels::new()));
}

/// Filters match kind, name, parent and labels; a list is sorted by key and name.
pub async fn a_list_passes_what_the_filters_do<S: Snapshotter>(store: &S) {
    committed(store, "base", None).await;
    let mut keys: Vec<String> = (0..120).rev().map(|n| format!("key-{n:03}")).collect();
    for one in &keys {
        let labels = Labels::from([("me", one.as_str())]);
        store.prepare(&owner(), &key(one), Some(&name("base")), labels).await.expect("prepared");
    }
    store.view(&owner(), &key("look"), None, Labels::new()).await.expect("viewed");
    let list = async |texts: &[&str]| -> Vec<String> {
        let found = store.list(&moby(), &filters(texts)).await.expect("listed");
        found.into_iter().map(|info| info.name.to_string()).collect()
    };
    assert_eq!(list(&["kind==committed"]).await, ["base"]);
    assert_eq!(list(&["kind==view"]).await, ["look"]);
    assert_eq!(list(&["parent==base"]).await.len(), 120);
    assert_eq!(list(&["labels.me==key-007"]).await, ["key-007"]);
    let some = list(&["name~=/key-00[0-4]/", "labels.me==key-100"]).await;
    assert_eq!(some, ["key-000", "key-001", "key-002", "key-003", "key-004", "key-100"]);
    assert!(list(&["labels.missing"]).await.is_empty());
    keys.extend(["base".to_owned(), "look".to_owned()]);
    keys.sort();
    assert_eq!(list(&[]).await, keys);
}

/// A namespace does not see another's snapshots, use them as parents, or remove them.
pub async fn namespaces_see_their_own<S: Snapshotter>(store: &S) {
    committed(store, "base", None).await;
    let theirs = Owner::of(&other());
    refused(store.stat(&other(), &either("base")).await, Code::NotFound);
    refused(store.remove(&theirs, &either("base")).await, Code::NotFound);
    let on_ours = store.prepare(&theirs, &key("box"), Some(&name("base")), Labels::new()).await;
    refused(on_ours, Code::NotFound);
    assert!(store.list(&other(), &filters(&[])).await.expect("listed").is_empty());
    store.prepare(&theirs, &key("base"), None, Labels::new()).await.expect("prepared");
    assert_eq!(store.stat(&other(), &either("base")).await.expect("theirs").kind, Kind::Active);
    store.remove(&theirs, &either("base")).await.expect("removed");
    assert_eq!(store.stat(&moby(), &either("base")).await.expect("ours").kind, Kind::Committed);
}
