//! The snapshots service: the root file systems of containers.

use gantry_api::snapshots::{
    self, Inspect as _, Manage as _, Owner, Prepare as _, Service as _, SnapshotKey, SnapshotName,
    SnapshotRef,
};
use gantry_mount::Mount;
use gantry_rpc::{Code, Coded as _};
use gantry_types::{Labels, Namespace};

use super::{gone, said};
use crate::error::{Error, Result};

/// A client of the snapshots service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshots {
    client: snapshots::Client,
    owner: Owner,
}

impl Snapshots {
    /// A client of a root directory's snapshots service.
    pub fn new(peers: &gantry_api::Peers) -> Snapshots {
        Snapshots { client: snapshots::Client::new(peers), owner: Owner::of(&Namespace::moby()) }
    }

    fn of(&self, snapshotter: &str) -> snapshots::client::Snapshotter {
        self.client.snapshotter(snapshotter)
    }

    /// Makes the writable root of a container; succeeds if it exists.
    pub async fn prepare(&self, snapshotter: &str, key: &str, parent: &str) -> Result<Vec<Mount>> {
        let (own, parent) = (named::<SnapshotKey>(key)?, parent_of(parent)?);
        let made = self.of(snapshotter).prepare(&self.owner, &own, parent.as_ref(), Labels::default()).await;
        match made {
            Ok(mounts) => Ok(mounts.into_iter().map(mount).collect()),
            Err(failure) if failure.code() == Code::AlreadyExists => self.mounts(snapshotter, key).await,
            Err(failure) => Err(Error::peer(format!("prepare root of container {key}"), said(failure))),
        }
    }

    /// Makes a read-only view of an image; succeeds if it exists.
    pub async fn view(&self, snapshotter: &str, key: &str, parent: &str) -> Result<()> {
        let (own, parent) = (named::<SnapshotKey>(key)?, parent_of(parent)?);
        match self.of(snapshotter).view(&self.owner, &own, parent.as_ref(), Labels::default()).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.code() == Code::AlreadyExists => Ok(()),
            Err(failure) => Err(Error::peer(format!("prepare view {key}"), said(failure))),
        }
    }

    /// The mounts that make up a container's root.
    pub async fn mounts(&self, snapshotter: &str, key: &str) -> Result<Vec<Mount>> {
        let own = named::<SnapshotKey>(key)?;
        let answer = self.of(snapshotter).mounts(&self.owner.namespace, &own).await;
        answer
            .map(|mounts| mounts.into_iter().map(mount).collect())
            .map_err(|failure| Error::peer(format!("find root of container {key}"), said(failure)))
    }

    /// Removes a container's root; succeeds if there is none.
    pub async fn remove(&self, snapshotter: &str, key: &str) -> Result<()> {
        let own = named::<SnapshotRef>(key)?;
        let answer = self.of(snapshotter).remove(&self.owner, &own).await.map_err(said);
        gone(answer).map_err(|status| Error::peer(format!("remove root of container {key}"), status))
    }

    /// Bytes of a snapshot without its parents.
    pub async fn usage(&self, snapshotter: &str, key: &str) -> Result<i64> {
        let own = named::<SnapshotRef>(key)?;
        let answer = self.of(snapshotter).usage(&self.owner.namespace, &own).await;
        answer
            .map(|usage| i64::try_from(usage.size).unwrap_or(i64::MAX))
            .map_err(|failure| Error::peer(format!("measure root of container {key}"), said(failure)))
    }

    /// The key of a snapshot's parent; empty if it has none.
    pub async fn parent(&self, snapshotter: &str, key: &str) -> Result<String> {
        let own = named::<SnapshotRef>(key)?;
        let answer = self.of(snapshotter).stat(&self.owner.namespace, &own).await;
        answer
            .map(|info| info.parent.map(|parent| parent.to_string()).unwrap_or_default())
            .map_err(|failure| Error::peer(format!("look at snapshot {key}"), said(failure)))
    }
}

/// Parses a snapshot's key; only the empty text is not valid.
fn named<N: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<N> {
    text.parse().map_err(|error: N::Err| Error::Broken(error.to_string()))
}

fn parent_of(text: &str) -> Result<Option<SnapshotName>> {
    if text.is_empty() { Ok(None) } else { named(text).map(Some) }
}

fn mount(mount: snapshots::Mount) -> Mount {
    let snapshots::Mount { fs_type, source, target, options } = mount;
    Mount { fs_type, source, target, options }
}
