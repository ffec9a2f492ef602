//! Image records.

use std::time::{Duration, SystemTime};

use gantry_api::images::records::{Collect, Store};
use gantry_api::images::{NewRecord, RecordUpdate};
use gantry_rpc::Code;
use gantry_types::filter::FilterSet;
use gantry_types::{Descriptor, Digest, Labels, Namespace, Relabel, media_type};

use super::{World, moby, refused};

/// A target whose blob does not exist.
fn target(content: &str) -> Descriptor {
    Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(content.as_bytes()), content.len() as u64)
}

fn named(name: &str) -> NewRecord {
    NewRecord::of(name, target("one"))
}

fn each(pairs: &[(&str, &str)]) -> Option<Relabel> {
    Some(Relabel::Each(pairs.iter().copied().collect()))
}

/// A record may exist before its target's blob.
pub async fn a_record_is_there_from_its_creation_to_its_deletion<S: Store>(world: &World<S>) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
    let labels = Labels::from([("a", "1")]);
    let new = NewRecord { labels: labels.clone(), at: Some(at), ..named("any name") };
    let made = world.images.create_record(&moby(), new).await.expect("made");
    assert_eq!((made.name.as_str(), &made.target, &made.labels), ("any name", &target("one"), &labels));
    assert_eq!((made.created, made.updated), (at, at));
    assert_eq!(world.images.record(&moby(), "any name").await.expect("there"), made);
    let other: Namespace = "other".parse().expect("a namespace");
    refused(world.images.record(&other, "any name").await, Code::NotFound);
    refused(world.images.create_record(&moby(), named("any name")).await, Code::AlreadyExists);
    world.images.delete_record(&moby(), "any name", None, Collect::Now).await.expect("deleted");
    refused(world.images.record(&moby(), "any name").await, Code::NotFound);
    refused(world.images.delete_record(&moby(), "any name", None, Collect::Later).await, Code::NotFound);
    let nothing = Descriptor { size: 0, ..target("one") };
    for odd in [named(""), NewRecord::of("x", nothing)] {
        refused(world.images.create_record(&moby(), odd).await, Code::InvalidArgument);
    }
}

/// Fields that an update does not name stay as they are.
pub async fn an_update_changes_what_it_names<S: Store>(world: &World<S>) {
    let new = NewRecord { labels: Labels::from([("a", "1"), ("b", "2")]), ..named("x") };
    let made = world.images.create_record(&moby(), new).await.expect("made");
    let update = async |update| world.images.update_record(&moby(), "x", update).await;
    let labels = RecordUpdate { labels: each(&[("b", ""), ("c", "3")]), ..Default::default() };
    let updated = update(labels).await.expect("updated");
    assert_eq!((updated.labels, updated.target), (Labels::from([("a", "1"), ("c", "3")]), target("one")));
    assert_eq!(updated.created, made.created);
    let moved =
        RecordUpdate { target: Some(target("two")), annotations: each(&[("k", "v")]), ..Default::default() };
    let moved = update(moved).await.expect("updated");
    let annotated = Descriptor { annotations: [("k".to_owned(), "v".to_owned())].into(), ..target("two") };
    assert_eq!((moved.target, moved.labels.len()), (annotated, 2));
    let all = RecordUpdate { labels: Some(Relabel::All(Labels::new())), ..Default::default() };
    assert!(update(all).await.expect("updated").labels.is_empty());
    let odd = RecordUpdate { labels: each(&[("k", &"v".repeat(5000))]), ..Default::default() };
    refused(update(odd).await, Code::InvalidArgument);
    refused(world.images.update_record(&moby(), "y", RecordUpdate::default()).await, Code::NotFound);
}

/// Another client has moved the record meanwhile.
pub async fn a_record_that_points_elsewhere_is_not_deleted<S: Store>(world: &World<S>) {
    world.images.create_record(&moby(), named("x")).await.expect("made");
    let (one, two) = (target("one").digest, target("two").digest);
    refused(world.images.delete_record(&moby(), "x", Some(&two), Collect::Later).await, Code::NotFound);
    world.images.delete_record(&moby(), "x", Some(&one), Collect::Later).await.expect("deleted");
}

/// Lists are sorted by name.
pub async fn records_are_listed_by_the_filters<S: Store>(world: &World<S>) {
    for (name, content) in [("b", "one"), ("a", "one"), ("c", "two")] {
        let record =
            NewRecord { labels: Labels::from([("k", name)]), ..NewRecord::of(name, target(content)) };
        world.images.create_record(&moby(), record).await.expect("made");
    }
    let list = async |filters: &[&str]| {
        let filters = FilterSet::parse(filters).expect("filters");
        let records = world.images.records(&moby(), &filters).await.expect("listed");
        records.into_iter().map(|record| record.name).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]).await, ["a", "b", "c"]);
    assert_eq!(list(&[&format!("target.digest=={}", target("one").digest)]).await, ["a", "b"]);
    assert_eq!(list(&["name==c", "labels.k==a"]).await, ["a", "c"]);
    assert!(list(&["target.mediatype==x"]).await.is_empty());
}
