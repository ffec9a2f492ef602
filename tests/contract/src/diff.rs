//! Diff: layers applied onto mounts, and made from mounts.

use gantry_api::content::{Info, Inspect};
use gantry_api::diff::{Differ, Difference, Durable, Owner};
use gantry_api::snapshots::Mount;
use gantry_rpc::{Code, Coded};
use gantry_types::{Descriptor, Digest, Labels, Namespace, media_type};

/// A differ, the content with its layers, and file systems: two states that differ, and an empty one to write to.
#[derive(Debug)]
pub struct World<D, C> {
    /// The implementation.
    pub differ: D,
    /// The content with its layers.
    pub content: C,
    /// One state.
    pub before: Vec<Mount>,
    /// Another one.
    pub after: Vec<Mount>,
    /// The state that layers are applied onto.
    pub empty: Vec<Mount>,
}

/// Tests of `gantry_api::diff::Differ`.
#[macro_export]
macro_rules! diff {
    ($world:expr) => {
        $crate::suite!(
            diff,
            $world,
            [
                a_layer_that_was_taken_can_be_applied,
                a_layer_has_its_labels_and_its_media_type,
                a_layer_that_is_there_is_taken_again,
                what_is_no_layer_is_refused,
            ]
        );
    };
}

const UNCOMPRESSED: &str = "containerd.io/uncompressed";

fn owner() -> Owner {
    Owner::of(&Namespace::moby())
}

impl<D: Differ, C: Inspect> World<D, C> {
    async fn take(&self, media_type: Option<&str>, labels: Labels) -> Result<Descriptor, D::Error> {
        let difference = Difference {
            left: self.before.clone(),
            right: self.after.clone(),
            media_type: media_type.map(str::to_owned),
            labels,
            ..Difference::default()
        };
        self.differ.diff(&owner(), difference).await
    }

    async fn blob(&self, layer: &Descriptor) -> Info {
        self.content.info(&Namespace::moby(), &layer.digest).await.expect("it is in content")
    }
}

/// Applying a layer returns the descriptor that making it returned.
pub async fn a_layer_that_was_taken_can_be_applied<D: Differ, C: Inspect>(world: &World<D, C>) {
    let layer = world.take(None, Labels::new()).await.expect("taken");
    let uncompressed = world.blob(&layer).await.labels.get(UNCOMPRESSED).cloned().expect("labelled");
    for durable in [Durable::Yes, Durable::No] {
        let applied = world.differ.apply(&owner(), &layer, world.empty.clone(), durable).await;
        let applied = applied.expect("applied");
        assert_eq!(applied.digest.to_string(), uncompressed);
        assert_eq!(applied.media_type, media_type::OCI_LAYER);
        assert!(applied.size > 0);
    }
}

/// A layer is compressed by gzip unless another media type is requested.
pub async fn a_layer_has_its_labels_and_its_media_type<D: Differ, C: Inspect>(world: &World<D, C>) {
    let layer = world.take(None, Labels::from([("a", "1")])).await.expect("taken");
    assert_eq!(layer.media_type, media_type::OCI_LAYER_GZIP);
    let blob = world.blob(&layer).await;
    assert_eq!((blob.size, blob.labels.get("a").map(String::as_str)), (layer.size, Some("1")));
    for media_type in [media_type::OCI_LAYER, media_type::OCI_LAYER_ZSTD, media_type::DOCKER_LAYER_GZIP] {
        let layer = world.take(Some(media_type), Labels::new()).await.expect("taken");
        assert_eq!(layer.media_type, media_type);
    }
}

/// Making a layer that exists is no error, and returns the same descriptor.
pub async fn a_layer_that_is_there_is_taken_again<D: Differ, C: Inspect>(world: &World<D, C>) {
    let first = world.take(Some(media_type::OCI_LAYER), Labels::new()).await.expect("taken");
    assert_eq!(world.take(Some(media_type::OCI_LAYER), Labels::new()).await.expect("taken"), first);
}

/// A missing blob cannot be applied; a layer of an unknown media type is not made.
pub async fn what_is_no_layer_is_refused<D: Differ, C: Inspect>(world: &World<D, C>) {
    let missing = Descriptor::new(media_type::OCI_LAYER, Digest::sha256(b"nothing"), 7);
    let applied = world.differ.apply(&owner(), &missing, world.empty.clone(), Durable::No).await;
    assert_eq!(applied.expect_err("no such blob").code(), Code::NotFound);
    let taken = world.take(Some("application/x-odd"), Labels::new()).await;
    assert_eq!(taken.expect_err("no such media type").code(), Code::Unimplemented);
}
