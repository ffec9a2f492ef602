//! Images and their layers.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use gantry_types::{ChainId, Descriptor, DiffId, Digest, Platform, Reference};

/// An image for one platform.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The target of the image's names, an index or a manifest. Its digest is the image's id.
    pub target: Descriptor,
    /// Canonical names with tags.
    pub names: Vec<String>,
    /// Canonical names with digests, one for each repository.
    pub digests: Vec<String>,
    /// The platform's manifest; the target itself if that is no index.
    pub manifest: Descriptor,
    /// The manifest's config.
    pub config: Descriptor,
    /// The OCI image configuration, as it is in the store (JSON).
    pub config_json: Bytes,
    /// The platform that the image was built for.
    pub platform: Platform,
    /// The layers, base first.
    pub layers: Vec<Layer>,
    /// Size of the image's content and of its unpacked layers, bytes.
    pub size: u64,
    /// Size of the image's own content, bytes.
    pub content_size: u64,
    /// The time of creation in the image's config, else the time at which the image arrived.
    pub created_at: SystemTime,
    /// The last time at which a name was pointed at the image.
    pub tagged_at: Option<SystemTime>,
    /// Whether all its layers are unpacked by the default snapshotter.
    pub unpacked: bool,
    /// The labels of the image's config.
    pub labels: BTreeMap<String, String>,
}

impl Image {
    /// The image's id.
    pub fn id(&self) -> &Digest {
        &self.target.digest
    }

    /// The chain id of all layers; `None` for an image without layers.
    pub fn chain_id(&self) -> Option<ChainId> {
        let diff_ids: Vec<DiffId> = self.layers.iter().map(|layer| layer.diff_id.clone()).collect();
        ChainId::fold(&diff_ids)
    }
}

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The layer's blob.
    pub descriptor: Descriptor,
    /// Digest of the layer's uncompressed bytes.
    pub diff_id: DiffId,
    /// Size of the layer's snapshot, bytes; `None` if the layer is not unpacked.
    pub unpacked_size: Option<u64>,
}

/// Which facts about an image are returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Only those in its documents: nothing is unpacked, and `unpacked_size` of the layers is `None`.
    Documents,
    /// Also the sizes of unpacked layers.
    Everything,
}

/// A request to make an image from a container.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitSpec {
    /// The id of the image that the container was made from.
    pub parent: String,
    /// The manifest that the container uses.
    pub manifest: Descriptor,
    /// The snapshotter that keeps the container's root.
    pub snapshotter: String,
    /// The key of the root's snapshot.
    pub snapshot: String,
    /// The image's name; without a tag, `latest` is added.
    pub reference: Option<Reference>,
    /// The comment for the image's history.
    pub comment: String,
    /// The author for the image's history and config.
    pub author: String,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// The configuration before the changes: `config` of an OCI image configuration (JSON).
    pub config_json: Bytes,
    /// The command for the image's history.
    pub created_by: String,
}
