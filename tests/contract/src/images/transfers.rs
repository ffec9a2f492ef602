//! Pulls and pushes.

use std::collections::BTreeMap;

use gantry_api::images::{
    Credentials, LayerState, PullEvent, PullSpec, PushEvent, PushProgress, PushSpec, PushState, Removal,
    Service,
};
use gantry_rpc::{Code, Coded};
use gantry_types::{Digest, Platform};

use super::{World, bundles, moby, reference, refused, told};

/// An address on which no process listens.
const AWAY: &str = "127.0.0.1:1/team/app:0";

fn push_of(name: &str) -> PushSpec {
    PushSpec { reference: reference(name), platform: None, credentials: Credentials::Anonymous }
}

impl<S: Service> World<S> {
    async fn push(&self, name: &str) -> Result<Vec<PushEvent>, S::Error> {
        told(self.images.push_image(&moby(), push_of(name)).await?).await
    }
}

/// The resolved name comes first, the pulled image last, and every layer ends in between.
pub async fn a_pull_tells_how_it_goes_and_leaves_an_image<S: Service>(world: &World<S>) {
    let bundle = &bundles()[0];
    let events = world.pull(PullSpec::of(reference(&world.name(0)))).await.expect("pulled");
    let resolving = PullEvent::Resolving { repository: "team/app".to_owned(), tag: "0".to_owned() };
    let digest = bundle.manifest.digest.clone();
    let pulled = PullEvent::Pulled { reference: world.name(0), digest: digest.clone(), up_to_date: false };
    assert_eq!((events.first(), events.last()), (Some(&resolving), Some(&pulled)));
    let mut ends: BTreeMap<&Digest, LayerState> = BTreeMap::new();
    for event in &events[1..events.len() - 1] {
        let PullEvent::Layer(layer) = event else { panic!("{event:?} among the layers") };
        let before = ends.insert(&layer.digest, layer.state);
        assert_ne!(before, Some(LayerState::Complete), "nothing follows the end: {events:?}");
    }
    let layers: Vec<Digest> = bundle.blobs[..2].iter().map(|layer| Digest::sha256(layer)).collect();
    assert_eq!(ends.len(), layers.len(), "{events:?}");
    for layer in &layers {
        assert_eq!(ends.get(layer), Some(&LayerState::Complete), "{events:?}");
    }
    let image = world.find(&world.name(0)).await.expect("there");
    assert!(*image.id() == digest && image.unpacked);
}

/// Also by digest. Layers that another image has are not pulled again.
pub async fn what_is_here_is_up_to_date<S: Service>(world: &World<S>) {
    let [image, _] = world.have([0, 1]).await;
    let events = world.pull(PullSpec::of(reference(&world.name(0)))).await.expect("pulled");
    let up_to_date =
        |event: Option<&PullEvent>| matches!(event, Some(PullEvent::Pulled { up_to_date: true, .. }));
    assert!(up_to_date(events.last()), "{events:?}");
    let by_digest = format!("{}/team/app@{}", world.registry, image.id());
    for _ in 0..2 {
        world.pull(PullSpec::of(reference(&by_digest))).await.expect("pulled");
    }
    assert_eq!(world.find(&by_digest).await.expect("there").id(), image.id());
    // The images share their lowest layer.
    let events = world.pull(PullSpec::of(reference(&world.name(2)))).await.expect("pulled");
    let base = image.layers[0].descriptor.digest.clone();
    let of_base = events.iter().filter_map(|event| match event {
        PullEvent::Layer(layer) if layer.digest == base => Some(layer.state),
        _ => None,
    });
    assert_eq!(of_base.collect::<Vec<_>>(), [LayerState::Exists]);
}

/// In the order of the registry's list.
pub async fn a_repository_is_pulled_with_all_its_tags<S: Service>(world: &World<S>) {
    let repository = reference(&format!("{}/team/app", world.registry));
    let spec = PullSpec { all_tags: true, ..PullSpec::of(repository) };
    let events = world.pull(spec).await.expect("pulled");
    let pulled = events.iter().filter_map(|event| match event {
        PullEvent::Pulled { reference, .. } => Some(reference.clone()),
        _ => None,
    });
    let mut pulled: Vec<_> = pulled.collect();
    pulled.sort();
    assert_eq!(pulled, [0, 1, 2].map(|number| world.name(number)));
    assert_eq!(world.list(&[]).await, ["2", "1", "0"]);
}

/// Pulling and pushing a missing image is `NOT_FOUND`.
pub async fn what_a_registry_has_not_is_not_found<S: Service>(world: &World<S>) {
    world.have([0]).await;
    for name in ["team/app:9", "team/none:0"] {
        let name = reference(&format!("{}/{name}", world.registry));
        refused(world.pull(PullSpec::of(name.clone())).await, Code::NotFound);
        refused(world.images.distribution(&name, &Credentials::Anonymous).await, Code::NotFound);
        refused(world.push(&name.to_string()).await, Code::NotFound);
    }
    refused(world.push(&format!("{}/team/none", world.registry)).await, Code::NotFound);
    // Content of another platform only.
    let other: Platform = "linux/s390x".parse().expect("a platform");
    let spec = PullSpec { platform: Some(other), ..PullSpec::of(reference(&world.name(1))) };
    refused(world.pull(spec).await, Code::NotFound);
    refused(world.find(&world.name(1)).await, Code::NotFound);
}

/// For every call.
pub async fn a_registry_that_does_not_answer_is_unavailable<S: Service>(world: &World<S>) {
    world.have([0]).await;
    world.images.tag_image(&moby(), &world.name(0), &reference(AWAY)).await.expect("tagged");
    let anonymous = Credentials::Anonymous;
    let (pull, push) = (world.pull(PullSpec::of(reference(AWAY))), world.push(AWAY));
    let away = reference(AWAY);
    let (asked, login) =
        (world.images.distribution(&away, &anonymous), world.images.login(away.domain(), &anonymous));
    let (pull, push, asked, login) = tokio::join!(pull, push, asked, login);
    let codes = [pull.map(drop), push.map(drop), asked.map(drop), login]
        .map(|answer| answer.map_err(|error| error.code()));
    assert_eq!(codes, [Err(Code::Unavailable); 4]);
}

/// The second push sends nothing.
pub async fn what_was_pushed_can_be_pulled<S: Service>(world: &World<S>) {
    let [image] = world.have([0]).await;
    let name = format!("{}/team/mine:7", world.registry);
    world.images.tag_image(&moby(), &world.name(0), &reference(&name)).await.expect("tagged");
    for repeated in [false, true] {
        let events = world.push(&name).await.expect("pushed");
        let repository = format!("{}/team/mine", world.registry);
        assert_eq!(events.first(), Some(&PushEvent::Preparing { repository }));
        let (digest, size) = (image.id().clone(), image.target.size);
        assert_eq!(events.last(), Some(&PushEvent::Pushed { tag: "7".to_owned(), digest, size }));
        let mut ends = BTreeMap::new();
        for event in &events {
            if let PushEvent::Layer(PushProgress { digest, state, .. }) = event {
                ends.insert(digest, *state);
            }
        }
        let there = |state: &PushState| matches!(state, PushState::Exists | PushState::Mounted);
        assert_eq!(ends.len(), 2, "{events:?}");
        assert!(
            ends.values().all(|state| there(state) || !repeated && *state == PushState::Pushed),
            "{events:?}"
        );
    }
    for name in [&name, &world.name(0)] {
        world.images.remove_image(&moby(), Removal::of(name)).await.expect("removed");
    }
    world.pull(PullSpec::of(reference(&name))).await.expect("pulled");
    assert_eq!(world.find(&name).await.expect("there").id(), image.id());
}

/// The registry's description of a name needs no pull.
pub async fn registries_are_asked_for_names_and_credentials<S: Service>(world: &World<S>) {
    let anonymous = Credentials::Anonymous;
    let found = world.images.distribution(&reference(&world.name(1)), &anonymous).await.expect("answered");
    let manifest = &bundles()[1].manifest;
    assert_eq!((&found.descriptor.digest, found.descriptor.size), (&manifest.digest, manifest.size));
    assert_eq!(found.platforms, [Platform::host()]);
    world.images.login(&world.registry, &anonymous).await.expect("it takes anybody");
    world
        .images
        .login(&format!("http://{}/v2/", world.registry), &anonymous)
        .await
        .expect("it takes anybody");
    assert!(world.list(&[]).await.is_empty());
    assert!(world.images.registries().await.expect("told").is_empty(), "no setting names one");
}

/// By the default snapshotter, and by another one.
pub async fn an_image_is_unpacked_as_often_as_somebody_likes<S: Service>(world: &World<S>) {
    world.have([0]).await;
    for snapshotter in [None, Some("native"), Some("native"), None] {
        let unpacked = world.images.unpack_image(&moby(), &world.name(0), None, snapshotter).await;
        let unpacked = unpacked.unwrap_or_else(|error| panic!("{snapshotter:?}: {error}"));
        assert!(unpacked.unpacked && unpacked.layers.iter().all(|layer| layer.unpacked_size.is_some()));
    }
}
