//! Removal of names and images.

use gantry_api::images::{Force, Image, Removal, Removed, Service, Use};
use gantry_rpc::Code;
use gantry_types::Platform;

use super::{NOTHING, World, filter, moby, reference, refused};

fn used_by(image: &Image, running: bool) -> Vec<Use> {
    vec![Use {
        container: "c".repeat(64),
        reference: image.names.first().cloned().unwrap_or_default(),
        image: image.id().to_string(),
        running,
    }]
}

impl<S: Service> World<S> {
    async fn remove(&self, text: &str, force: Force, in_use: Vec<Use>) -> Result<Removed, S::Error> {
        self.images.remove_image(&moby(), Removal { force, in_use, ..Removal::of(text) }).await
    }
}

/// The image goes with its last name.
pub async fn a_name_goes_alone_while_there_are_others<S: Service>(world: &World<S>) {
    let [image] = world.have([0]).await;
    world.images.tag_image(&moby(), &world.name(0), &reference("mine:1")).await.expect("tagged");
    let removed = world.remove("mine:1", Force::No, Vec::new()).await.expect("removed");
    assert_eq!(
        (removed.untagged, removed.untagged_from),
        (vec!["mine:1".to_owned()], vec![image.id().clone()])
    );
    assert!(removed.deleted.is_empty());
    let removed = world.remove(&world.name(0), Force::No, Vec::new()).await.expect("removed");
    assert_eq!((removed.untagged, removed.deleted), (vec![world.name(0)], vec![image.id().clone()]));
    refused(world.find(image.id().as_str()).await, Code::NotFound);
    refused(world.remove(&world.name(0), Force::No, Vec::new()).await, Code::NotFound);
    refused(world.remove(NOTHING, Force::Yes, Vec::new()).await, Code::NotFound);
}

/// While the container runs, a removal by id fails even by force. A used image stays without a name.
pub async fn what_is_used_goes_only_when_that_is_forced<S: Service>(world: &World<S>) {
    let [image, other] = world.have([0, 1]).await;
    let (id, name) = (image.id().as_str(), world.name(0));
    for (text, force, running) in
        [(name.as_str(), Force::No, false), (id, Force::No, false), (id, Force::Yes, true)]
    {
        refused(world.remove(text, force, used_by(&image, running)).await, Code::FailedPrecondition);
    }
    assert_eq!(world.find(&name).await.expect("there").names.as_slice(), std::slice::from_ref(&name));
    let removed = world.remove(&name, Force::Yes, used_by(&image, true)).await.expect("removed");
    assert_eq!((removed.untagged, removed.deleted), (vec![name.clone()], Vec::new()));
    assert!(world.find(id).await.expect("it is kept").names.is_empty());
    refused(world.find(&name).await, Code::NotFound);
    // Using an image does not keep another one.
    let removed = world.remove(&world.name(1), Force::No, used_by(&image, true)).await.expect("removed");
    assert_eq!(removed.deleted, [other.id().clone()]);
}

/// Another user may use one of the names.
pub async fn an_image_of_several_repositories_goes_by_its_id_only_when_forced<S: Service>(world: &World<S>) {
    let [image] = world.have([0]).await;
    world.images.tag_image(&moby(), &world.name(0), &reference("mine:1")).await.expect("tagged");
    let id = image.id().as_str();
    refused(world.remove(id, Force::No, Vec::new()).await, Code::FailedPrecondition);
    let removed = world.remove(id, Force::Yes, Vec::new()).await.expect("removed");
    assert_eq!((removed.untagged.len(), removed.deleted), (2, vec![image.id().clone()]));
    assert!(world.list(&[]).await.is_empty());
}

/// With the last platform, the image is removed. Without content for the platform, nothing is.
pub async fn what_is_here_for_a_platform_is_removed<S: Service>(world: &World<S>) {
    world.have([0]).await;
    let of = |platform| Removal { platform: Some(platform), ..Removal::of(world.name(0)) };
    let other: Platform = "linux/s390x".parse().expect("a platform");
    refused(world.images.remove_image(&moby(), of(other)).await, Code::NotFound);
    let removed = world.images.remove_image(&moby(), of(Platform::host())).await.expect("removed");
    assert_eq!((removed.untagged.len(), removed.deleted.len()), (1, 1));
    refused(world.find(&world.name(0)).await, Code::NotFound);
}

/// A prune removes images without a name, or all unused ones.
pub async fn a_prune_takes_what_nobody_uses<S: Service>(world: &World<S>) {
    let [old, _, kept] = world.have([0, 1, 2]).await;
    world.images.tag_image(&moby(), &world.name(1), &reference(&world.name(0))).await.expect("tagged");
    let pruned = world.images.prune_images(&moby(), &[], &used_by(&old, false)).await.expect("pruned");
    assert!(pruned.deleted.is_empty(), "it is used");
    let pruned = world.images.prune_images(&moby(), &[], &[]).await.expect("pruned");
    assert_eq!((pruned.untagged, pruned.deleted), (Vec::new(), vec![old.id().clone()]));
    let all = [filter("dangling", "false"), filter("label!", "n=1")];
    assert!(
        world
            .images
            .prune_images(&moby(), &all, &used_by(&kept, false))
            .await
            .expect("pruned")
            .deleted
            .is_empty()
    );
    let pruned = world.images.prune_images(&moby(), &all[..1], &used_by(&kept, false)).await.expect("pruned");
    assert_eq!((pruned.untagged.len(), pruned.deleted.len()), (2, 1));
    assert_eq!(world.list(&[]).await, ["2"]);
    let odd = [filter("reference", "x")];
    refused(world.images.prune_images(&moby(), &odd, &[]).await, Code::InvalidArgument);
}
