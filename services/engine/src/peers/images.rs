//! The images service: finds and unpacks images.

use gantry_api::images::{self, Commit as _, CommitSpec, Image, Inspect as _, Look, Unpack as _};
use gantry_types::{Namespace, Platform};
use tonic::Status;

use super::said;
use crate::error::{Error, Result};

/// A client of the images service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Images {
    client: images::Client,
    namespace: Namespace,
}

impl Images {
    /// A client of a root directory's images service.
    pub fn new(peers: &gantry_api::Peers) -> Images {
        Images { client: images::Client::new(peers), namespace: Namespace::moby() }
    }

    /// Finds an image. The answer comes from the image's documents; it does not say whether the image is unpacked.
    pub async fn resolve(&self, reference: &str, platform: &str) -> Result<Image> {
        let failed = |status| Error::peer(format!("resolve image {reference}"), status);
        let wanted = parse_platform(platform).map_err(failed)?;
        let found = self.client.image(&self.namespace, reference, wanted.as_ref(), Look::Documents).await;
        found.map_err(said).map_err(|status| match status.code() {
            tonic::Code::NotFound if wanted.is_none() => Error::NoSuchImage(with_tag(reference)),
            tonic::Code::NotFound => Error::NoSuchPlatform(status.message().to_owned()),
            _ => failed(status),
        })
    }

    /// Makes an image from a container's root and returns its id. The time depends on the size of the container's
    /// files.
    pub async fn commit(&self, commit: CommitSpec) -> Result<String> {
        let made = self.client.commit_image(&self.namespace, commit).await.map_err(said);
        made.map(|id| id.to_string()).map_err(|status| match status.code() {
            // The client has chosen the reference and the changes.
            tonic::Code::InvalidArgument => Error::Invalid(status.message().to_owned()),
            _ => Error::peer("make an image", status),
        })
    }

    /// Makes sure that an image's layers are unpacked, which may take minutes.
    pub async fn unpack(&self, reference: &str, platform: &str, snapshotter: &str) -> Result<()> {
        let unpacked = async {
            let wanted = parse_platform(platform)?;
            let (wanted, snapshotter) = (wanted.as_ref(), Some(snapshotter).filter(|name| !name.is_empty()));
            self.client.unpack_image(&self.namespace, reference, wanted, snapshotter).await.map_err(said)
        };
        unpacked.await.map(drop).map_err(|status| Error::peer(format!("unpack image {reference}"), status))
    }
}

/// Parses a platform as clients write it; `None` for the empty text.
fn parse_platform(text: &str) -> Result<Option<Platform>, Status> {
    match text.trim() {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|error: gantry_types::Error| Status::invalid_argument(error.to_string())),
    }
}

/// The name that Docker shows for a missing image `x`: `x:latest`.
fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    if last.contains(':')
        || reference.contains('@')
        || crate::names::is_id_prefix(reference) && reference.len() == 64
    {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}
