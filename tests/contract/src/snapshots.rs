//! Snapshots: states of a file system, each on top of a parent or empty.

mod lists;
mod lives;

use gantry_api::snapshots::{Mount, Owner, SnapshotKey, SnapshotName, SnapshotRef, Snapshotter};
use gantry_rpc::{Code, Coded};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace};

pub use lists::*;
pub use lives::*;

/// Tests of `gantry_api::snapshots::Snapshotter`.
#[macro_export]
macro_rules! snapshots {
    ($world:expr) => {
        $crate::suite!(
            snapshots,
            $world,
            [
                a_snapshot_lives_from_prepare_to_remove,
                mounts_are_the_same_each_time,
                keys_and_names_are_one_space,
                a_parent_is_a_committed_one,
                only_an_active_one_is_committed,
                what_others_are_on_top_of_stays,
                what_an_unpacker_would_commit_is_told_to_be_there,
                what_is_not_there_is_not_found,
                what_is_removed_may_be_made_again,
                usage_is_told_of_every_kind,
                a_snapshot_says_what_it_is,
                labels_are_changed_one_by_one_or_all,
                a_label_has_its_limit,
                a_list_passes_what_the_filters_do,
                namespaces_see_their_own,
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

fn owner() -> Owner {
    Owner::of(&moby())
}

fn key(text: &str) -> SnapshotKey {
    text.parse().expect("a key")
}

fn name(text: &str) -> SnapshotName {
    text.parse().expect("a name")
}

fn either(text: &str) -> SnapshotRef {
    text.parse().expect("a key or a name")
}

fn filters(texts: &[&str]) -> FilterSet {
    FilterSet::parse(texts).expect("filters")
}

/// Asserts that a call failed with this code.
#[track_caller]
fn refused<T, E: Coded>(outcome: Result<T, E>, code: Code) {
    match outcome {
        Ok(_) => panic!("it did not fail, but should have with {code:?}"),
        Err(error) => assert_eq!(error.code(), code, "{error}"),
    }
}

/// Prepares a snapshot on a parent, or an empty one.
async fn prepare<S: Snapshotter>(store: &S, active: &str, parent: Option<&str>) -> Vec<Mount> {
    let parent = parent.map(name);
    let made = store.prepare(&owner(), &key(active), parent.as_ref(), Labels::new()).await;
    made.unwrap_or_else(|error| panic!("{active} prepared: {error}"))
}

/// Makes a committed snapshot.
async fn committed<S: Snapshotter>(store: &S, text: &str, parent: Option<&str>) {
    let active = format!("extract-1 {text}");
    prepare(store, &active, parent).await;
    commit(store, text, &active).await;
}

async fn commit<S: Snapshotter>(store: &S, text: &str, active: &str) {
    let made = store.commit(&owner(), &name(text), &key(active), Labels::new(), None).await;
    made.unwrap_or_else(|error| panic!("{text} committed: {error}"));
}
