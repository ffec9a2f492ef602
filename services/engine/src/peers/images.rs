//! Images, found by name and unpacked.

use std::time::Duration;

use gantry_proto::gantry::images::v1 as images;

use super::{DEADLINE, LONG_DEADLINE, Peers, call, with_tag};
use crate::error::{Error, Result};

/// Until a layer of a container's files is packed.
const COMMIT_DEADLINE: Duration = Duration::from_secs(4 * 3600);

impl Peers {
    /// Finds an image. Only what its documents say is told, not whether it is unpacked.
    pub async fn resolve_image(&self, reference: &str, platform: &str) -> Result<images::Image> {
        let request = images::ResolveRequest {
            reference: reference.to_owned(),
            platform: platform.to_owned(),
            documents_only: true,
        };
        let answer = call(DEADLINE, self.peers.images().resolve(self.request(request))).await;
        answer.map_err(|status| match status.code() {
            tonic::Code::NotFound if platform.is_empty() => Error::NoSuchImage(with_tag(reference)),
            tonic::Code::NotFound => Error::NoSuchPlatform(status.message().to_owned()),
            _ => Error::peer(format!("resolve image {reference}"), status),
        })
    }

    /// Makes an image of a container's root; the answer is its id. May take as long as its files are big.
    pub async fn commit_image(&self, request: images::CommitRequest) -> Result<String> {
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
