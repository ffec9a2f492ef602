//! Images, found by name and unpacked.

use std::time::Duration;

use gantry_proto::containerd::types;
use gantry_proto::gantry::images::v1 as images;

use super::{DEADLINE, LONG_DEADLINE, Peers, call, with_tag};
use crate::error::{Error, Result};

/// Until a layer of a container's files is packed.
const COMMIT_DEADLINE: Duration = Duration::from_secs(4 * 3600);

/// An image, as far as a container is made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Digest of the target.
    pub id: String,
    /// Canonical names with tags.
    pub names: Vec<String>,
    /// Canonical names with digests.
    pub digests: Vec<String>,
    /// The manifest of the chosen platform.
    pub manifest: Manifest,
    /// The OCI image configuration.
    pub config_json: bytes::Bytes,
    /// What it runs on; absent where its documents do not say it.
    pub platform: Option<Platform>,
    /// Of the whole stack; empty for an image without layers.
    pub chain_id: String,
}

/// A manifest's descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Its digest.
    pub digest: String,
    /// Bytes.
    pub size: i64,
    /// Its media type.
    pub media_type: String,
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`
    pub architecture: String,
    /// May be empty.
    pub variant: String,
}

/// An image that is to be made of a container's root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The id of the image that the container was made from.
    pub parent: String,
    /// That image's manifest.
    pub manifest: Manifest,
    /// Who keeps the root.
    pub snapshotter: String,
    /// The root.
    pub snapshot: String,
    /// Canonical, with a tag; empty: none.
    pub reference: String,
    /// For the image's history.
    pub comment: String,
    /// Its author.
    pub author: String,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// The part of its configuration that containers inherit.
    pub config_json: bytes::Bytes,
    /// For the image's history.
    pub created_by: String,
}

impl Peers {
    /// Finds an image. Only what its documents say is told, not whether it is unpacked.
    pub async fn resolve_image(&self, reference: &str, platform: &str) -> Result<Image> {
        let request = images::ResolveRequest {
            reference: reference.to_owned(),
            platform: platform.to_owned(),
            documents_only: true,
        };
        let answer = call(DEADLINE, self.peers.images().resolve(self.request(request))).await;
        answer.map(parse).map_err(|status| match status.code() {
            tonic::Code::NotFound if platform.is_empty() => Error::NoSuchImage(with_tag(reference)),
            tonic::Code::NotFound => Error::NoSuchPlatform(status.message().to_owned()),
            _ => Error::peer(format!("resolve image {reference}"), status),
        })
    }

    /// Makes an image of a container's root; the answer is its id. May take as long as its files are big.
    pub async fn commit_image(&self, commit: Commit) -> Result<String> {
        let request = images::CommitRequest {
            parent: commit.parent,
            manifest: Some(types::Descriptor {
                media_type: commit.manifest.media_type,
                digest: commit.manifest.digest,
                size: commit.manifest.size,
                annotations: Default::default(),
            }),
            snapshotter: commit.snapshotter,
            snapshot: commit.snapshot,
            reference: commit.reference,
            comment: commit.comment,
            author: commit.author,
            changes: commit.changes,
            config_json: commit.config_json,
            created_by: commit.created_by,
        };
        let answer = call(COMMIT_DEADLINE, self.peers.images().commit(self.request(request))).await;
        answer.map(|answer| answer.id).map_err(|status| match status.code() {
            // The reference, and the changes, are the client's.
            tonic::Code::InvalidArgument => Error::Invalid(status.message().to_owned()),
            _ => Error::peer("make an image", status),
        })
    }

    /// Makes sure that an image's layers are unpacked. May take minutes.
    pub async fn ensure_unpacked(&self, reference: &str, platform: &str, snapshotter: &str) -> Result<()> {
        let request = images::EnsureUnpackedRequest {
            reference: reference.to_owned(),
            platform: platform.to_owned(),
            snapshotter: snapshotter.to_owned(),
        };
        let answer = call(LONG_DEADLINE, self.peers.images().ensure_unpacked(self.request(request))).await;
        answer.map(drop).map_err(|status| Error::peer(format!("unpack image {reference}"), status))
    }
}

fn parse(image: images::Image) -> Image {
    let manifest = image.manifest.unwrap_or_default();
    Image {
        id: image.id,
        names: image.names,
        digests: image.digests,
        manifest: Manifest { digest: manifest.digest, size: manifest.size, media_type: manifest.media_type },
        config_json: image.config_json,
        platform: image.platform.map(|platform| Platform {
            os: platform.os,
            architecture: platform.architecture,
            variant: platform.variant,
        }),
        chain_id: image.chain_id,
    }
}
