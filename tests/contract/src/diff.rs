//! Diff: layers applied onto mounts, and taken from them.

use gantry_api::content::{Info, Inspect};
use gantry_api::diff::{Differ, Difference, Durable, Owner};
use gantry_api::snapshots::Mount;
use gantry_rpc::{Code, Coded};
use gantry_types::{Descriptor, Digest, Labels, Namespace, media_type};

/// A differ, where its layers are, and file systems: two states that differ, and an empty one that may be written to.
#[derive(Debug)]
pub struct World<D, C> {
    /// What keeps the promise.
    pub differ: D,
    /// The content that its layers are in.
    pub content: C,
    /// One state.
    pub before: Vec<Mount>,
    /// Another one.
    pub after: Vec<Mount>,
    /// What layers are applied onto.
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

/// Applied, it is told to be what it was said to be when it was taken.
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

/// It is gzip unless another one is asked for.
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

/// The second time is no error, and tells the same.
pub async fn a_layer_that_is_there_is_taken_again<D: Differ, C: Inspect>(world: &World<D, C>) {
    let first = world.take(Some(media_type::OCI_LAYER), Labels::new()).await.expect("taken");
    assert_eq!(world.take(Some(media_type::OCI_LAYER), Labels::new()).await.expect("taken"), first);
}

/// Neither what is not there is applied, nor is made what nobody knows.
pub async fn what_is_no_layer_is_refused<D: Differ, C: Inspect>(world: &World<D, C>) {
    let missing = Descriptor::new(media_type::OCI_LAYER, Digest::sha256(b"nothing"), 7);
    let applied = world.differ.apply(&owner(), &missing, world.empty.clone(), Durable::No).await;
    assert_eq!(applied.expect_err("no such blob").code(), Code::NotFound);
    let taken = world.take(Some("application/x-odd"), Labels::new()).await;
    assert_eq!(taken.expect_err("no such media type").code(), Code::Unimplemented);
}
