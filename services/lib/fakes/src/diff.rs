//! A fake of diff. Its layers are texts in a fake's content that name the mounts they were taken from. Nothing is
//! compressed: a layer has the same bytes in every media type.

use bytes::Bytes;
use gantry_api::Promise;
use gantry_api::content::{self, Expected, Ingest, Writer};
use gantry_api::diff::{Apply, Compare, Difference, Durable, Owner, server};
use gantry_api::snapshots::Mount;
use gantry_rpc::{Code, Coded};
use gantry_types::{Descriptor, Digest, Labels, media_type};
use tonic::service::Routes;

use crate::{Content, Refused};

/// The label that names the uncompressed layer of a compressed one.
const UNCOMPRESSED: &str = "containerd.io/uncompressed";

/// A diff service that reads no files. Clones share their state.
#[derive(Debug, Clone)]
pub struct Diff(Content);

impl Diff {
    /// A diff service whose layers are in this content.
    pub fn new(content: &Content) -> Self {
        Self(content.clone())
    }

    /// The gRPC services of diff.
    pub fn routes(&self) -> Routes {
        Routes::new(server::service(self.clone()))
    }
}

impl Promise for Diff {
    type Error = Refused;
}

impl Apply for Diff {
    async fn apply(
        &self,
        owner: &Owner,
        layer: &Descriptor,
        _: Vec<Mount>,
        _: Durable,
    ) -> Result<Descriptor, Refused> {
        let missing = || Refused::new(Code::NotFound, &layer.digest, "no such blob");
        let bytes = self.0.get(&owner.namespace, &layer.digest).ok_or_else(missing)?;
        Ok(Descriptor::new(media_type::OCI_LAYER, Digest::sha256(&bytes), bytes.len() as u64))
    }
}

impl Compare for Diff {
    async fn diff(&self, owner: &Owner, difference: Difference) -> Result<Descriptor, Refused> {
        let media_type = difference.media_type.as_deref().unwrap_or(media_type::OCI_LAYER_GZIP);
        if media_type::compression(media_type).is_none() {
            return Err(Refused::new(Code::Unimplemented, media_type, "no layer's media type"));
        }
        let bytes = Bytes::from(format!("{:?} -> {:?}", difference.left, difference.right));
        let digest = Digest::sha256(&bytes);
        let made = Descriptor::new(media_type, digest.clone(), bytes.len() as u64);
        let reference = difference.reference.unwrap_or_else(|| format!("diff-{digest}"));
        let reference = reference.parse().map_err(|_| Refused::new(Code::InvalidArgument, "", "no ref"))?;
        let expected = Expected { total: None, digest: Some(digest.clone()) };
        let mut writer = match self.0.open(owner, &reference, expected.clone()).await {
            Err(refused) if refused.code() == Code::AlreadyExists => return Ok(made),
            opened => opened?,
        };
        writer.truncate().await?;
        writer.write(bytes).await?;
        let mut labels = difference.labels;
        labels.extend(Labels::from([(UNCOMPRESSED, digest.to_string())]));
        writer.commit(content::Commit { expected, labels }).await?;
        Ok(made)
    }
}
