//! The root file systems of containers.

use gantry_mount::Mount;
use gantry_proto::containerd::services::snapshots::v1 as snapshots;
use gantry_proto::containerd::types;

use super::{DEADLINE, Peers, call, gone};
use crate::error::{Error, Result};

impl Peers {
    /// Makes the writable root of a container, or finds it made.
    pub async fn prepare(&self, snapshotter: &str, key: &str, parent: &str) -> Result<Vec<Mount>> {
        let request = snapshots::PrepareSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            ..Default::default()
        };
        match call(DEADLINE, self.peers.snapshots().prepare(self.request(request))).await {
            Ok(answer) => Ok(answer.mounts.into_iter().map(parse).collect()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => self.mounts(snapshotter, key).await,
            Err(status) => Err(Error::peer(format!("prepare root of container {key}"), status)),
        }
    }

    /// Makes a read-only view of an image, or finds it made.
    pub async fn view(&self, snapshotter: &str, key: &str, parent: &str) -> Result<()> {
        let request = snapshots::ViewSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            ..Default::default()
        };
        match call(DEADLINE, self.peers.snapshots().view(self.request(request))).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => Ok(()),
            Err(status) => Err(Error::peer(format!("prepare view {key}"), status)),
        }
    }

    /// How a container's root is mounted.
    pub async fn mounts(&self, snapshotter: &str, key: &str) -> Result<Vec<Mount>> {
        let request = snapshots::MountsRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let answer = call(DEADLINE, self.peers.snapshots().mounts(self.request(request))).await;
        answer
            .map(|answer| answer.mounts.into_iter().map(parse).collect())
            .map_err(|status| Error::peer(format!("find root of container {key}"), status))
    }

    /// Removes a container's root; none is fine.
    pub async fn remove_snapshot(&self, snapshotter: &str, key: &str) -> Result<()> {
        let request =
            snapshots::RemoveSnapshotRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let answer = call(DEADLINE, self.peers.snapshots().remove(self.request(request))).await;
        gone(answer).map_err(|status| Error::peer(format!("remove root of container {key}"), status))
    }

    /// Bytes that a snapshot takes by itself.
    pub async fn usage(&self, snapshotter: &str, key: &str) -> Result<i64> {
        let request = snapshots::UsageRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let answer = call(DEADLINE, self.peers.snapshots().usage(self.request(request))).await;
        answer
            .map(|answer| answer.size)
            .map_err(|status| Error::peer(format!("measure root of container {key}"), status))
    }

    /// A snapshot's parent; empty when it has none.
    pub async fn parent(&self, snapshotter: &str, key: &str) -> Result<String> {
        let request =
            snapshots::StatSnapshotRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let answer = call(DEADLINE, self.peers.snapshots().stat(self.request(request))).await;
        answer
            .map(|answer| answer.info.unwrap_or_default().parent)
            .map_err(|status| Error::peer(format!("look at snapshot {key}"), status))
    }
}

fn parse(mount: types::Mount) -> Mount {
    Mount { fs_type: mount.r#type, source: mount.source, target: mount.target, options: mount.options }
}
