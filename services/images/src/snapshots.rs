//! What images asks of snapshots: layers unpacked, and what a container has changed.

use gantry_api::Peers;
use gantry_api::content::Owner;
use gantry_proto::containerd::services::diff::v1::DiffRequest;
use gantry_proto::containerd::services::snapshots::v1 as snapshots;
use gantry_proto::containerd::types::Mount;
use gantry_proto::gantry::snapshots::v1 as pb;
use gantry_rpc::context;
use gantry_types::{ChainId, Descriptor, DiffId, Labels, Namespace};
use tonic::Code;

use crate::content::{Content, part_ref};
use crate::document::{Config, Manifest};
use crate::error::Error;
use crate::progress::{Progress, State};
use crate::record;

/// A view of snapshots. A cheap clone.
#[derive(Clone, Debug)]
pub struct Snapshots {
    peers: Peers,
}

impl Snapshots {
    /// A view through `peers`.
    pub fn new(peers: &Peers) -> Self {
        Self { peers: peers.clone() }
    }

    /// Whether a stack is unpacked.
    pub async fn exists(
        &self,
        namespace: &Namespace,
        snapshotter: &str,
        chain_id: &ChainId,
    ) -> Result<bool, Error> {
        let request =
            snapshots::StatSnapshotRequest { snapshotter: snapshotter.to_owned(), key: chain_id.to_string() };
        match self.peers.snapshots().stat(context::with_namespace(request, namespace)).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(failed("look up a layer")(status)),
        }
    }

    /// The size of a stack's topmost layer, bytes; none when it is not unpacked.
    pub async fn usage(
        &self,
        namespace: &Namespace,
        snapshotter: &str,
        chain_id: &ChainId,
    ) -> Result<Option<u64>, Error> {
        let request =
            snapshots::UsageRequest { snapshotter: snapshotter.to_owned(), key: chain_id.to_string() };
        match self.peers.snapshots().usage(context::with_namespace(request, namespace)).await {
            Ok(response) => Ok(Some(unsigned(response.into_inner().size))),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(failed("measure a layer")(status)),
        }
    }

    /// The mounts of an active snapshot.
    pub async fn mounts(
        &self,
        namespace: &Namespace,
        snapshotter: &str,
        key: &str,
    ) -> Result<Vec<Mount>, Error> {
        let request = snapshots::MountsRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let request = context::with_namespace(request, namespace);
        let answer = self.peers.snapshots().mounts(request).await;
        Ok(answer.map_err(failed("find the container's root"))?.into_inner().mounts)
    }

    /// A view of a stack under the owner's lease, and its mounts.
    pub async fn view(
        &self,
        owner: &Owner,
        snapshotter: &str,
        key: &str,
        parent: &ChainId,
    ) -> Result<Vec<Mount>, Error> {
        let request = snapshots::ViewSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            key: key.to_owned(),
            parent: parent.to_string(),
            ..Default::default()
        };
        let request = context::with_lease(request, &owner.namespace, owner.lease.as_deref());
        let answer = self.peers.snapshots().view(request).await;
        Ok(answer.map_err(failed("look at the image"))?.into_inner().mounts)
    }

    /// Removes a snapshot.
    pub async fn remove(&self, namespace: &Namespace, snapshotter: &str, key: &str) -> Result<(), Error> {
        let request =
            snapshots::RemoveSnapshotRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let request = context::with_namespace(request, namespace);
        self.peers.snapshots().remove(request).await.map_err(failed("remove a view"))?;
        Ok(())
    }

    /// Packs what `right` has that `left` has not into a layer, under the owner's lease.
    pub async fn diff(
        &self,
        owner: &Owner,
        left: Vec<Mount>,
        right: Vec<Mount>,
    ) -> Result<Descriptor, Error> {
        let request = DiffRequest { left, right, ..Default::default() };
        let request = context::with_lease(request, &owner.namespace, owner.lease.as_deref());
        let answer = self.peers.diff().diff(request).await;
        let answer = answer.map_err(failed("pack what the container changed"))?.into_inner();
        record::read_descriptor(answer.diff.unwrap_or_default())
    }

    /// Unpacks all layers of an image, which may still be arriving, and tells how far each is.
    pub async fn unpack(
        &self,
        owner: &Owner,
        snapshotter: &str,
        layers: &[Descriptor],
        diff_ids: &[DiffId],
        progress: Option<&Progress>,
    ) -> Result<(), Error> {
        if layers.is_empty() {
            return Ok(());
        }
        let wanted = layers.iter().zip(diff_ids).map(|(layer, diff_id)| pb::Layer {
            descriptor: Some(record::descriptor(layer)),
            r#ref: part_ref("layer", &layer.digest).to_string(),
            diff_id: diff_id.to_string(),
        });
        let request = pb::UnpackRequest { snapshotter: snapshotter.to_owned(), layers: wanted.collect() };
        let request = context::with_lease(request, &owner.namespace, owner.lease.as_deref());
        let unpack = || failed("unpack the image");
        let mut stream = self.peers.unpacker().unpack(request).await.map_err(unpack())?.into_inner();
        while let Some(message) = stream.message().await.map_err(unpack())? {
            let (Some(layer), Some(progress)) = (layers.get(message.layer as usize), progress) else {
                continue;
            };
            let (offset, total) = (unsigned(message.offset), unsigned(message.total));
            match message.state() {
                pb::unpack_progress::State::Waiting => {}
                pb::unpack_progress::State::Extracting => {
                    progress.enter(&layer.digest, State::Extracting, offset, total).await?;
                    progress.count(&layer.digest, State::Extracting, offset, total);
                }
                pb::unpack_progress::State::Extracted | pb::unpack_progress::State::Exists => {
                    progress.enter(&layer.digest, State::Complete, total, total).await?;
                }
            }
        }
        Ok(())
    }
}

/// Makes the config keep the snapshot that was unpacked from its image.
pub async fn keep(
    content: &Content,
    namespace: &Namespace,
    snapshotter: &str,
    manifest: &Manifest,
    config: &Config,
) -> Result<(), Error> {
    let Some(chain_id) = config.chain_id() else { return Ok(()) };
    let label = (format!("containerd.io/gc.ref.snapshot.{snapshotter}"), chain_id.to_string());
    content.label(namespace, &manifest.config.digest, Labels::from([label])).await
}

fn failed(call: &'static str) -> impl FnOnce(tonic::Status) -> Error {
    Error::peer("snapshots", call)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
