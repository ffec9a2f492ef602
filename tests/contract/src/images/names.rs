//! Images and their names.

use std::collections::BTreeSet;

use gantry_api::images::{Look, Service};
use gantry_rpc::Code;
use gantry_types::{ChainId, Namespace, Platform};

use super::{NOTHING, World, bundles, filter, moby, number, reference, refused};

/// An image is found by a name, a name with a digest, an id and a prefix of it, and is what its documents say.
pub async fn an_image_is_found_by_whatever_it_is_called<S: Service>(world: &World<S>) {
    let [image] = world.have([1]).await;
    let bundle = &bundles()[1];
    let id = image.id().clone();
    let with_digest = format!("{}/team/app@{id}", world.registry);
    for text in [&world.name(1), &with_digest, id.as_str(), id.hex(), id.short()] {
        let found = world.find(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(found, image, "{text}");
    }
    assert_eq!((&image.target, &image.manifest), (&bundle.manifest, &bundle.manifest));
    assert_eq!(
        (image.names.as_slice(), image.digests.as_slice()),
        (&[world.name(1)][..], &[with_digest][..])
    );
    assert_eq!((number(&image), &image.platform), ("1", &Platform::host()));
    assert_eq!(image.config_json.as_ref(), bundle.blobs[2]);
    let diff_ids: Vec<_> = image.layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let blobs: Vec<_> = image.layers.iter().map(|layer| layer.descriptor.size).collect();
    assert_eq!((blobs, image.chain_id()), (vec![1024, 3072], ChainId::fold(&diff_ids)));
    assert!(image.unpacked && image.tagged_at.is_some(), "{image:?}");
    let unpacked: u64 = image.layers.iter().filter_map(|layer| layer.unpacked_size).sum();
    assert_eq!(image.size, image.content_size + unpacked);
    let documents = world.images.image(&moby(), id.as_str(), None, Look::Documents).await.expect("there");
    assert!(!documents.unpacked && documents.layers.iter().all(|layer| layer.unpacked_size.is_none()));
}

/// A missing image is `NOT_FOUND` in every call.
pub async fn what_is_not_there_is_not_found<S: Service>(world: &World<S>) {
    let [image] = world.have([0]).await;
    refused(world.find(NOTHING).await, Code::NotFound);
    refused(world.find(&"0".repeat(64)).await, Code::NotFound);
    refused(world.find("In Valid").await, Code::InvalidArgument);
    let other: Platform = "linux/s390x".parse().expect("a platform");
    refused(
        world.images.image(&moby(), image.id().as_str(), Some(&other), Look::Documents).await,
        Code::NotFound,
    );
    refused(world.images.tag_image(&moby(), NOTHING, &reference("x")).await, Code::NotFound);
    refused(world.images.unpack_image(&moby(), NOTHING, None, None).await, Code::NotFound);
}

/// Filters match labels, age, names, and images without a name.
pub async fn images_are_listed_newest_first_by_the_filters<S: Service>(world: &World<S>) {
    let [_, middle, _] = world.have([0, 1, 2]).await;
    let middle = middle.id().short();
    assert_eq!(world.list(&[]).await, ["2", "1", "0"]);
    assert_eq!(world.list(&[filter("label", "n=1")]).await, ["1"]);
    assert_eq!(world.list(&[filter("label", "n"), filter("label!", "n=1")]).await, ["2", "0"]);
    assert_eq!(world.list(&[filter("before", middle)]).await, ["0"]);
    assert_eq!(world.list(&[filter("since", middle)]).await, ["2"]);
    assert_eq!(world.list(&[filter("until", "2021-06-01T00:00:00Z")]).await, ["1", "0"]);
    assert_eq!(world.list(&[filter("reference", &world.name(2))]).await, ["2"]);
    assert_eq!(world.list(&[filter("dangling", "false")]).await, ["2", "1", "0"]);
    assert!(world.list(&[filter("dangling", "true")]).await.is_empty());
    for odd in [filter("colour", "red"), filter("dangling", "maybe"), filter("until", "then")] {
        refused(world.images.images(&moby(), &[odd]).await, Code::InvalidArgument);
    }
    refused(world.images.images(&moby(), &[filter("before", NOTHING)]).await, Code::NotFound);
}

/// An image can be tagged any number of times. A name without a tag gets `latest`; a name with a digest is refused.
pub async fn an_image_gets_another_name<S: Service>(world: &World<S>) {
    let [image] = world.have([0]).await;
    for _ in 0..2 {
        let tagged =
            world.images.tag_image(&moby(), &world.name(0), &reference("mine")).await.expect("tagged");
        assert_eq!(tagged.id(), image.id());
        let names: BTreeSet<_> = tagged.names.into_iter().collect();
        assert_eq!(names, BTreeSet::from([world.name(0), "docker.io/library/mine:latest".to_owned()]));
    }
    assert_eq!(world.find("mine").await.expect("there").id(), image.id());
    let digest = reference(&format!("mine@{}", image.id()));
    refused(world.images.tag_image(&moby(), "mine", &digest).await, Code::InvalidArgument);
}

/// The image is still found by its id, and listed as one without a name.
pub async fn a_name_that_moves_leaves_its_image_without_one<S: Service>(world: &World<S>) {
    let [old, new] = world.have([0, 1]).await;
    let name = reference(&world.name(0));
    world.images.tag_image(&moby(), &world.name(1), &name).await.expect("tagged");
    assert_eq!(world.find(&world.name(0)).await.expect("there").id(), new.id());
    let left = world.find(old.id().as_str()).await.expect("there");
    assert!(left.names.is_empty() && left.digests.is_empty(), "{left:?}");
    assert_eq!(world.list(&[filter("dangling", "true")]).await, ["0"]);
    // With a name again, the image is no longer one without a name.
    world.images.tag_image(&moby(), old.id().as_str(), &reference("again")).await.expect("tagged");
    assert!(world.list(&[filter("dangling", "true")]).await.is_empty());
}

/// An image of one namespace is not in another.
pub async fn namespaces_have_their_own_images<S: Service>(world: &World<S>) {
    world.have([0]).await;
    let other: Namespace = "other".parse().expect("a namespace");
    assert!(world.images.images(&other, &[]).await.expect("listed").is_empty());
    refused(world.images.image(&other, &world.name(0), None, Look::Documents).await, Code::NotFound);
}
