//! The life of a snapshot.

use gantry_api::snapshots::{Kind, Snapshotter, Usage};
use gantry_rpc::Code;
use gantry_types::{Labels, Relabel};

use super::{commit, committed, either, filters, key, moby, name, owner, prepare, refused};

/// A snapshot is prepared, committed, used as a parent, viewed and removed.
pub async fn a_snapshot_lives_from_prepare_to_remove<S: Snapshotter>(store: &S) {
    assert!(!prepare(store, "extract-1 sha256:a", None).await.is_empty(), "it is mounted somehow");
    commit(store, "sha256:a", "extract-1 sha256:a").await;
    refused(store.stat(&moby(), &either("extract-1 sha256:a")).await, Code::NotFound);
    committed(store, "sha256:b", Some("sha256:a")).await;
    let info = store.stat(&moby(), &either("sha256:b")).await.expect("there");
    assert_eq!((info.kind, info.parent), (Kind::Committed, Some(name("sha256:a"))));
    let view = store.view(&owner(), &key("look"), Some(&name("sha256:b")), Labels::new()).await;
    assert!(!view.expect("viewed").is_empty());
    prepare(store, "box", Some("sha256:b")).await;
    for one in ["look", "box", "sha256:b", "sha256:a"] {
        store.remove(&owner(), &either(one)).await.unwrap_or_else(|error| panic!("{one}: {error}"));
    }
    store.cleanup(&moby()).await.expect("cleaned up");
    assert!(store.list(&moby(), &filters(&[])).await.expect("listed").is_empty());
}

/// The mounts of an active snapshot and of a view are the same each time; a committed snapshot has none.
pub async fn mounts_are_the_same_each_time<S: Snapshotter>(store: &S) {
    let first = prepare(store, "one", None).await;
    assert_eq!(store.mounts(&moby(), &key("one")).await.expect("told"), first);
    commit(store, "base", "one").await;
    let second = prepare(store, "two", Some("base")).await;
    assert_ne!(first, second);
    assert_eq!(store.mounts(&moby(), &key("two")).await.expect("told"), second);
    let view = store.view(&owner(), &key("look"), Some(&name("base")), Labels::new()).await.expect("viewed");
    assert_eq!(store.mounts(&moby(), &key("look")).await.expect("told"), view);
    let empty = store.view(&owner(), &key("empty"), None, Labels::new()).await.expect("viewed");
    assert_eq!(store.mounts(&moby(), &key("empty")).await.expect("told"), empty);
    refused(store.mounts(&moby(), &key("base")).await, Code::FailedPrecondition);
    refused(store.mounts(&moby(), &key("nothing")).await, Code::NotFound);
}

/// A key or name that exists is refused, and nothing changes.
pub async fn keys_and_names_are_one_space<S: Snapshotter>(store: &S) {
    committed(store, "base", None).await;
    prepare(store, "active", None).await;
    for taken in ["base", "active"] {
        refused(store.prepare(&owner(), &key(taken), None, Labels::new()).await, Code::AlreadyExists);
        refused(store.view(&owner(), &key(taken), None, Labels::new()).await, Code::AlreadyExists);
    }
    let again = store.commit(&owner(), &name("base"), &key("active"), Labels::new(), None).await;
    refused(again, Code::AlreadyExists);
    assert_eq!(store.stat(&moby(), &either("active")).await.expect("it stays").kind, Kind::Active);
    commit(store, "another", "active").await;
}

/// An active snapshot, a view or an unknown one cannot be a parent.
pub async fn a_parent_is_a_committed_one<S: Snapshotter>(store: &S) {
    prepare(store, "active", None).await;
    for (parent, code) in [("active", Code::InvalidArgument), ("nothing", Code::NotFound)] {
        let parent = name(parent);
        refused(store.prepare(&owner(), &key("a"), Some(&parent), Labels::new()).await, code);
        refused(store.view(&owner(), &key("a"), Some(&parent), Labels::new()).await, code);
    }
    refused(store.stat(&moby(), &either("a")).await, Code::NotFound);
}

/// Committing a view or a committed snapshot is refused.
pub async fn only_an_active_one_is_committed<S: Snapshotter>(store: &S) {
    committed(store, "base", None).await;
    store.view(&owner(), &key("look"), Some(&name("base")), Labels::new()).await.expect("viewed");
    for (wrong, code) in
        [("look", Code::FailedPrecondition), ("base", Code::FailedPrecondition), ("nothing", Code::NotFound)]
    {
        let outcome = store.commit(&owner(), &name("n"), &key(wrong), Labels::new(), None).await;
        refused(outcome, code);
    }
    refused(store.stat(&moby(), &either("n")).await, Code::NotFound);
}

/// A parent can be removed after its last child.
pub async fn what_others_are_on_top_of_stays<S: Snapshotter>(store: &S) {
    committed(store, "base", None).await;
    committed(store, "middle", Some("base")).await;
    prepare(store, "top", Some("middle")).await;
    for below in ["base", "middle"] {
        refused(store.remove(&owner(), &either(below)).await, Code::FailedPrecondition);
    }
    for one in ["top", "middle", "base"] {
        store.remove(&owner(), &either(one)).await.unwrap_or_else(|error| panic!("{one}: {error}"));
    }
}

/// Preparing is refused when the snapshot of the label exists on the same parent; on another parent it is another
/// snapshot.
pub async fn what_an_unpacker_would_commit_is_told_to_be_there<S: Snapshotter>(store: &S) {
    let target = |text: &str| Labels::from([("containerd.io/snapshot.ref", text)]);
    committed(store, "base", None).await;
    committed(store, "layer", Some("base")).await;
    let again = store.prepare(&owner(), &key("again"), Some(&name("base")), target("layer")).await;
    refused(again, Code::AlreadyExists);
    refused(store.stat(&moby(), &either("again")).await, Code::NotFound);
    store.prepare(&owner(), &key("elsewhere"), None, target("layer")).await.expect("prepared");
    store.prepare(&owner(), &key("new"), Some(&name("base")), target("new layer")).await.expect("prepared");
}

/// No call succeeds for a missing snapshot.
pub async fn what_is_not_there_is_not_found<S: Snapshotter>(store: &S) {
    let nothing = either("nothing");
    refused(store.stat(&moby(), &nothing).await, Code::NotFound);
    refused(store.usage(&moby(), &nothing).await, Code::NotFound);
    refused(store.update(&moby(), &nothing, &Relabel::All(Labels::new())).await, Code::NotFound);
    refused(store.remove(&owner(), &nothing).await, Code::NotFound);
    assert!(store.list(&moby(), &filters(&[])).await.expect("listed").is_empty());
}

/// A key or name is free when its snapshot is removed.
pub async fn what_is_removed_may_be_made_again<S: Snapshotter>(store: &S) {
    for _ in 0..3 {
        committed(store, "base", None).await;
        prepare(store, "box", Some("base")).await;
        store.remove(&owner(), &either("box")).await.expect("removed");
        refused(store.stat(&moby(), &either("box")).await, Code::NotFound);
        store.remove(&owner(), &either("base")).await.expect("removed");
    }
}

/// Every kind has a usage; a view of a parent takes no bytes.
pub async fn usage_is_told_of_every_kind<S: Snapshotter>(store: &S) {
    committed(store, "base", None).await;
    prepare(store, "box", Some("base")).await;
    store.view(&owner(), &key("look"), Some(&name("base")), Labels::new()).await.expect("viewed");
    for one in ["base", "box"] {
        store.usage(&moby(), &either(one)).await.unwrap_or_else(|error| panic!("{one}: {error}"));
    }
    let view = store.usage(&moby(), &either("look")).await.expect("told");
    assert_eq!(view, Usage::default());
}
