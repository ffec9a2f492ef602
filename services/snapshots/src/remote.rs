//! A snapshotter of somebody else's, over containerd's contract: a proxy plugin.
//!
//! It is a plain backend, as it is for containerd: it makes snapshots and shows them, and removes those that it is told to.
//! Keys, names, labels, leases and collection are the store's, as of every other snapshotter. What it calls a snapshot is
//! new for each one, in the form that containerd's metadata gives such names: `<namespace>/<number>/<key or name>`; so
//! several may share a backend. It is connected to when it is first needed.
//!
//! Of labels it gets those that are a backend's business, as from containerd, and one that keeps what is made from being
//! collected, for a backend that is a whole containerd.

use std::collections::BTreeMap;

use gantry_api::snapshots::{
    Client, Commit, Inspect, Kind, Manage, Mount, Owner, Prepare, Service, SnapshotKey, SnapshotName,
    SnapshotRef, Usage, client,
};
use gantry_api::terms;
use gantry_rpc::{Channel, Code, Coded};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace};

use crate::settings::Plugin;
use crate::{Error, Result, record};

/// By which an unpacker says what it will commit.
pub(crate) const TARGET: &str = "containerd.io/snapshot.ref";
/// What begins so is a backend's business.
const INHERITED: &str = "containerd.io/snapshot/";
/// Roots are not collected.
const ROOT: &str = "containerd.io/gc.root";

/// A remote snapshotter.
#[derive(Debug)]
pub struct Remote {
    name: String,
    client: client::Snapshotter,
    capabilities: Vec<String>,
    exports: BTreeMap<String, String>,
    platform: Option<String>,
}

impl Remote {
    /// The snapshotter that a plugin's settings name; it is not connected to yet.
    pub fn new(name: &str, plugin: &Plugin) -> Self {
        let peer = peer(name);
        let channel = Channel::unix(peer, plugin.address.clone(), terms::of_others);
        Self {
            name: name.to_owned(),
            client: Client::over(channel, peer).snapshotter(plugin.snapshotter.as_deref().unwrap_or(name)),
            capabilities: plugin.capabilities.clone(),
            exports: plugin.exports.clone(),
            platform: plugin.platform.clone(),
        }
    }

    /// What it is called here.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its settings say that it can do.
    pub fn capabilities(&self) -> &[String] {
        &self.capabilities
    }

    /// What its settings say of it beside.
    pub fn exports(&self) -> &BTreeMap<String, String> {
        &self.exports
    }

    /// What its settings say it is for.
    pub fn platform(&self) -> Option<&str> {
        self.platform.as_deref()
    }

    /// Makes an active snapshot or a view, under a name of the backend's.
    pub async fn make(
        &self,
        namespace: &Namespace,
        kind: record::Kind,
        name: &str,
        parent: Option<&str>,
        labels: &Labels,
    ) -> Result<Vec<Mount>> {
        let (owner, key) = (Owner::of(namespace), key(name)?);
        let parent = parent.map(committed).transpose()?;
        let labels = told(labels);
        Ok(match kind {
            record::Kind::View => self.client.view(&owner, &key, parent.as_ref(), labels).await?,
            _ => self.client.prepare(&owner, &key, parent.as_ref(), labels).await?,
        })
    }

    /// The snapshot that the backend has by itself for what an unpacker would commit.
    pub async fn target(
        &self,
        namespace: &Namespace,
        target: &str,
        parent: Option<&str>,
    ) -> Result<Option<String>> {
        let filter = format!("labels.{TARGET:?}=={target:?}");
        let found = self.client.list(namespace, &FilterSet::parse(&[filter])?).await?;
        let fits = |info: &gantry_api::snapshots::Info| {
            info.kind == Kind::Committed && info.parent.as_ref().map(SnapshotName::as_str) == parent
        };
        Ok(found.into_iter().find(fits).map(|info| info.name.to_string()))
    }

    /// The mounts of a snapshot.
    pub async fn mounts(&self, namespace: &Namespace, name: &str) -> Result<Vec<Mount>> {
        Ok(self.client.mounts(namespace, &key(name)?).await?)
    }

    /// Makes a snapshot unchangeable, under another name.
    pub async fn commit(
        &self,
        namespace: &Namespace,
        name: &str,
        active: &str,
        labels: &Labels,
        rebase: Option<&str>,
    ) -> Result<()> {
        let (owner, name, key) = (Owner::of(namespace), committed(name)?, key(active)?);
        let rebase = rebase.map(committed).transpose()?;
        Ok(self.client.commit(&owner, &name, &key, told(labels), rebase.as_ref()).await?)
    }

    /// Whether a snapshot is there, and committed.
    pub async fn is_committed(&self, namespace: &Namespace, name: &str) -> Result<bool> {
        match self.client.stat(namespace, &either(name)?).await {
            Err(failure) if failure.code() == Code::NotFound => Ok(false),
            info => Ok(info?.kind == Kind::Committed),
        }
    }

    /// What a snapshot takes.
    pub async fn usage(&self, namespace: &Namespace, name: &str) -> Result<Usage> {
        Ok(self.client.usage(namespace, &either(name)?).await?)
    }

    /// Removes a snapshot; none is fine.
    pub async fn remove(&self, namespace: &Namespace, name: &str) -> Result<()> {
        match self.client.remove(&Owner::of(namespace), &either(name)?).await {
            Err(failure) if failure.code() == Code::NotFound => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Has it free what removed snapshots took, if it knows how to.
    pub async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        match self.client.cleanup(namespace).await {
            Err(failure) if failure.code() == Code::Unimplemented => Ok(()),
            outcome => Ok(outcome?),
        }
    }
}

/// A peer's name, for errors. It is never freed: plugins are few, and live as long as the process.
pub(crate) fn peer(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

fn key(name: &str) -> Result<SnapshotKey> {
    Ok(name.parse()?)
}

fn committed(name: &str) -> Result<SnapshotName> {
    Ok(name.parse()?)
}

fn either(name: &str) -> Result<SnapshotRef> {
    Ok(name.parse()?)
}

/// The labels that a backend is told.
fn told(labels: &Labels) -> Labels {
    let inherited = labels.iter().filter(|(label, _)| *label == TARGET || label.starts_with(INHERITED));
    let mut told: Labels = inherited.map(|(label, value)| (label.clone(), value.clone())).collect();
    told.insert(ROOT.to_owned(), "gantry".to_owned());
    told
}

impl From<gantry_api::Failure> for Error {
    fn from(failure: gantry_api::Failure) -> Self {
        Self::Remote(failure)
    }
}
