//! What images asks of snapshots: layers unpacked, and what a container has changed.

use gantry_api::Peers;
use gantry_api::diff::{self, Compare as _, Difference};
use gantry_api::snapshots::{
    Client, Inspect as _, Layer, Manage as _, Mount, Owner, Prepare as _, Service as _, SnapshotKey,
    SnapshotName, Step, Unpack as _, Unpacking as _, client,
};
use gantry_types::{ChainId, Descriptor, DiffId, Labels, Namespace};

use crate::content::{Content, part_ref};
use crate::document::{Config, Manifest};
use crate::error::{Error, found};
use crate::progress::{Progress, State};

/// A view of snapshots. A cheap clone.
#[derive(Clone, Debug)]
pub struct Snapshots {
    client: Client,
    differ: diff::Client,
}

impl Snapshots {
    /// A view through `peers`.
    pub fn new(peers: &Peers) -> Self {
        Self { client: Client::new(peers), differ: diff::Client::new(peers) }
    }

    fn of(&self, snapshotter: &str) -> client::Snapshotter {
        self.client.snapshotter(snapshotter)
    }

    /// Whether a stack is unpacked.
    pub async fn exists(
        &self,
        namespace: &Namespace,
        snapshotter: &str,
        chain_id: &ChainId,
    ) -> Result<bool, Error> {
        let info = self.of(snapshotter).stat(namespace, &name(chain_id).into()).await;
        Ok(found(info)?.is_some())
    }

    /// The size of a stack's topmost layer, bytes; none when it is not unpacked.
    pub async fn usage(
        &self,
        namespace: &Namespace,
        snapshotter: &str,
        chain_id: &ChainId,
    ) -> Result<Option<u64>, Error> {
        let usage = self.of(snapshotter).usage(namespace, &name(chain_id).into()).await;
        Ok(found(usage)?.map(|usage| usage.size))
    }

    /// The mounts of an active snapshot.
    pub async fn mounts(
        &self,
        namespace: &Namespace,
        snapshotter: &str,
        key: &SnapshotKey,
    ) -> Result<Vec<Mount>, Error> {
        Ok(self.of(snapshotter).mounts(namespace, key).await?)
    }

    /// A view of a stack under the owner's lease, and its mounts.
    pub async fn view(
        &self,
        owner: &Owner,
        snapshotter: &str,
        key: &SnapshotKey,
        parent: &ChainId,
    ) -> Result<Vec<Mount>, Error> {
        Ok(self.of(snapshotter).view(owner, key, Some(&name(parent)), Labels::default()).await?)
    }

    /// Removes a view.
    pub async fn remove(
        &self,
        namespace: &Namespace,
        snapshotter: &str,
        key: SnapshotKey,
    ) -> Result<(), Error> {
        Ok(self.of(snapshotter).remove(&Owner::of(namespace), &key.into()).await?)
    }

    /// Packs what `right` has that `left` has not into a layer, under the owner's lease.
    pub async fn diff(
        &self,
        owner: &Owner,
        left: Vec<Mount>,
        right: Vec<Mount>,
    ) -> Result<Descriptor, Error> {
        Ok(self.differ.diff(owner, Difference { left, right, ..Difference::default() }).await?)
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
        let wanted = layers.iter().zip(diff_ids).map(|(layer, diff_id)| Layer {
            blob: layer.digest.clone(),
            size: layer.size,
            reference: Some(part_ref("layer", &layer.digest)),
            diff_id: diff_id.clone(),
        });
        let mut unpacking = self.client.unpack(owner, Some(snapshotter), wanted.collect()).await?;
        while let Some(news) = unpacking.next().await? {
            let (Some(layer), Some(progress)) = (layers.get(news.layer), progress) else { continue };
            let (offset, total) = (news.offset, news.total);
            match news.step {
                Step::Waiting => {}
                Step::Extracting => {
                    progress.enter(&layer.digest, State::Extracting, offset, total).await?;
                    progress.count(&layer.digest, State::Extracting, offset, total);
                }
                Step::Extracted | Step::Exists => {
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

/// What a stack is committed as.
fn name(chain_id: &ChainId) -> SnapshotName {
    chain_id.to_string().try_into().expect("a chain id is not empty")
}
