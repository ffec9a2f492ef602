//! Tags, removals, prunes and lists by Docker's rules.

use gantry_proto::containerd::services::images::v1 as records;
use gantry_proto::gantry::images::v1 as pb;
use gantry_proto::gantry::images::v1::remove_request::Use;
use tonic::Code;

use crate::bundle::Bundle;
use crate::liar::{Liar, honest};
use crate::peers::World;

async fn world_with(count: u64) -> (World, Liar, Vec<Bundle>) {
    let world = World::start().await;
    let bundles: Vec<Bundle> = (0..count).map(|seed| Bundle::new(20 + seed, 500)).collect();
    let liar = Liar::start(honest(&bundles)).await;
    for at in 0..count {
        let reference = format!("{}/a/b:{at}", liar.domain());
        world.pull(pb::PullRequest { reference, ..Default::default() }).await.expect("pulled");
    }
    (world, liar, bundles)
}

async fn tag(world: &World, source: &str, target: &str) {
    let request = pb::TagRequest { source: source.into(), target: target.into() };
    world.peers.images().tag(world.ask(request)).await.expect("tagged");
}

async fn remove(
    world: &World,
    reference: &str,
    force: bool,
    in_use: Vec<Use>,
) -> Result<pb::RemoveResponse, tonic::Status> {
    let request = pb::RemoveRequest { reference: reference.into(), force, in_use, ..Default::default() };
    Ok(world.peers.images().remove(world.ask(request)).await?.into_inner())
}

async fn list(world: &World, filters: &[(&str, &str)]) -> Vec<pb::Image> {
    let filter =
        |(key, value): &(&str, &str)| pb::Filter { key: (*key).into(), values: vec![(*value).into()] };
    let request = pb::ListRequest { filters: filters.iter().map(filter).collect() };
    world.peers.images().list(world.ask(request)).await.expect("listed").into_inner().images
}

fn used(bundle: &Bundle, running: bool) -> Vec<Use> {
    let image_id = bundle.manifest.digest().to_string();
    vec![Use { container_id: "c".repeat(64), reference: "x".into(), image_id, running }]
}

#[tokio::test(flavor = "multi_thread")]
async fn names_go_before_the_image() {
    let (world, liar, bundles) = world_with(1).await;
    let (id, name) = (bundles[0].manifest.digest(), format!("{}/a/b:0", liar.domain()));
    tag(&world, &name, "mine:1").await;
    tag(&world, id.short(), "mine").await;
    let error = remove(&world, id.short(), false, Vec::new()).await.expect_err("several repositories");
    assert!(
        error.message().contains("(must be forced) - image is referenced in multiple repositories"),
        "{}",
        error.message()
    );
    assert_eq!(error.code(), Code::FailedPrecondition);

    let removed = remove(&world, &name, false, used(&bundles[0], true)).await.expect("others are left");
    assert_eq!((removed.untagged, removed.deleted.len()), (vec![name], 0));
    let removed = remove(&world, id.hex(), false, Vec::new()).await.expect("one repository");
    assert_eq!(removed.untagged, ["mine:1", "mine:latest"]);
    assert_eq!((removed.deleted, removed.freed_bytes), (vec![id.to_string()], 7));
    assert!(list(&world, &[]).await.is_empty());
    let error = remove(&world, "mine", false, Vec::new()).await.expect_err("gone");
    assert_eq!((error.code(), error.message()), (Code::NotFound, "No such image: mine:latest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_has_to_be_forced_and_stays_without_a_name() {
    let (world, _liar, bundles) = world_with(1).await;
    let id = bundles[0].manifest.digest();
    let name = world.resolve(id.short()).await.expect("there").names[0].clone();
    for (reference, running, force, fragment) in [
        (name.as_str(), true, false, "(must force)"),
        (name.as_str(), false, false, "(must force)"),
        (id.short(), true, true, "(cannot be forced)"),
        (id.short(), true, false, "(cannot be forced)"),
        (id.short(), false, false, "(must be forced)"),
    ] {
        let error = remove(&world, reference, force, used(&bundles[0], running)).await.expect_err("in use");
        let said = error.message();
        assert!(said.contains("conflict: unable to") && said.contains(fragment), "{said}");
        assert!(said.contains(&"c".repeat(12)), "{said}");
    }
    let removed = remove(&world, &name, true, used(&bundles[0], false)).await.expect("forced");
    assert_eq!((removed.untagged.len(), removed.deleted.len()), (1, 0));
    let image = world.resolve(id.short()).await.expect("kept for its container");
    assert!(image.names.is_empty() && image.digests.is_empty());
    assert_eq!(list(&world, &[("dangling", "true")]).await.len(), 1);
    let prune = |in_use| world.ask(pb::PruneRequest { filters: Vec::new(), in_use });
    let pruned =
        world.peers.images().prune(prune(used(&bundles[0], false))).await.expect("pruned").into_inner();
    assert!(pruned.deleted.is_empty(), "in use");
    let pruned = world.peers.images().prune(prune(Vec::new())).await.expect("pruned").into_inner();
    assert_eq!(pruned.deleted, [id.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_leaves_a_dangling_image() {
    let (world, liar, bundles) = world_with(2).await;
    let name = |at: usize| format!("{}/a/b:{at}", liar.domain());
    tag(&world, &name(1), &name(0)).await;
    let dangling = list(&world, &[("dangling", "true")]).await;
    assert_eq!(
        dangling.iter().map(|image| image.id.clone()).collect::<Vec<_>>(),
        [bundles[0].manifest.digest().to_string()]
    );
    // Named again, it is not dangling any more.
    tag(&world, bundles[0].manifest.digest().short(), "again").await;
    assert!(list(&world, &[("dangling", "true")]).await.is_empty());
    // Events are sent behind the answers.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while !["/images/update", "/images/delete"]
        .iter()
        .all(|topic| world.control.topics().iter().any(|told| told == topic))
    {
        assert!(std::time::Instant::now() < deadline, "{:?}", world.control.topics());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_takes_what_a_crash_left_beside_the_name() {
    let (world, liar, bundles) = world_with(1).await;
    let name = format!("{}/a/b:0", liar.domain());
    let get = records::GetImageRequest { name: name.clone() };
    let image = world.peers.image_records().get(world.ask(get)).await.expect("there").into_inner().image;
    let left = format!("moby-dangling@{}", bundles[0].manifest.digest());
    let image = records::Image { name: left, ..image.expect("an image") };
    let create = records::CreateImageRequest { image: Some(image), source_date_epoch: None };
    world.peers.image_records().create(world.ask(create)).await.expect("made");
    assert!(list(&world, &[("dangling", "true")]).await.is_empty(), "it has a name");
    let removed = remove(&world, &name, false, Vec::new()).await.expect("removed");
    assert_eq!((removed.untagged, removed.deleted.len()), (vec![name], 1));
    assert!(list(&world, &[]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_move_leaves_its_image_as_it_was() {
    let (mut world, liar, bundles) = world_with(2).await;
    let name = |at: usize| format!("{}/a/b:{at}", liar.domain());
    let request = pb::TagRequest { source: name(1), target: name(0) };
    world.control.stall(true);
    // The service dies as soon as it has changed anything.
    let first = bundles[0].manifest.digest();
    let (mut client, request) = (world.peers.images(), world.ask(request));
    let tagging = tokio::spawn(async move { client.tag(request).await });
    let dangling = records::GetImageRequest { name: format!("moby-dangling@{first}") };
    world
        .until("the image that loses its name is kept", async || {
            world.peers.image_records().get(world.ask(dangling.clone())).await.is_ok()
        })
        .await;
    world.restart().await;
    world.control.stall(false);
    assert!(tagging.await.expect("ended").is_err());
    let image = world.resolve(&name(0)).await.expect("there");
    assert_eq!(image.id, first.to_string(), "the name has not moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_newest_first() {
    let (world, liar, bundles) = world_with(3).await;
    let seeds =
        |images: Vec<pb::Image>| images.iter().map(|image| image.labels["seed"].clone()).collect::<Vec<_>>();
    assert_eq!(seeds(list(&world, &[]).await), ["22", "21", "20"]);
    assert_eq!(seeds(list(&world, &[("label", "seed=21")]).await), ["21"]);
    assert_eq!(seeds(list(&world, &[("label!", "seed=21")]).await), ["22", "20"]);
    let middle = bundles[1].manifest.digest();
    assert_eq!(seeds(list(&world, &[("before", middle.short())]).await), ["20"]);
    assert_eq!(seeds(list(&world, &[("since", middle.short())]).await), ["22"]);
    assert_eq!(seeds(list(&world, &[("until", "2021-06-01T00:00:00Z")]).await), ["21", "20"]);
    assert_eq!(seeds(list(&world, &[("reference", &format!("{}/*/b:2", liar.domain()))]).await), ["22"]);
    let odd =
        pb::ListRequest { filters: vec![pb::Filter { key: "colour".into(), values: vec!["red".into()] }] };
    let error = world.peers.images().list(world.ask(odd)).await.expect_err("unknown");
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "invalid filter 'colour'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_made_ahead_of_their_content_and_labelled_with_an_empty_target() {
    let world = World::start().await;
    let image = |labels: &[(&str, &str)], target| records::Image {
        name: "ahead".into(),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        target: Some(target),
        ..Default::default()
    };
    let target = gantry_proto::containerd::types::Descriptor {
        media_type: gantry_types::media_type::OCI_MANIFEST.into(),
        digest: gantry_types::Digest::sha256(b"not here yet").to_string(),
        size: 12,
        ..Default::default()
    };
    let create =
        records::CreateImageRequest { image: Some(image(&[], target.clone())), ..Default::default() };
    world.peers.image_records().create(world.ask(create)).await.expect("containerd takes it too");

    // What `ctr images label` sends.
    let update = records::UpdateImageRequest {
        image: Some(image(&[("a", "b")], Default::default())),
        update_mask: Some(prost_types::FieldMask { paths: vec!["labels.a".into()] }),
        ..Default::default()
    };
    let updated = world.peers.image_records().update(world.ask(update)).await.expect("labelled").into_inner();
    let updated = updated.image.expect("an image");
    assert_eq!((updated.labels["a"].as_str(), updated.target), ("b", Some(target)));
}
