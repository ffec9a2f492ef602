//! Snapshots' promise: the store, and what belongs to every change of it, leases and events.

use std::path::Path;
use std::sync::Arc;

use gantry_api::events::Publisher;
use gantry_api::snapshots::{
    Commit, Info, Inspect, Kind, Manage, Mount, Owner, Prepare, Service, SnapshotKey, SnapshotName,
    SnapshotRef, Usage,
};
use gantry_api::{Peers, Promise, wire};
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace, Relabel};

use crate::backend::Backend;
use crate::driver::Keeper;
use crate::record::{self, Record, Scope};
use crate::server::{Events, Leases};
use crate::settings::Settings;
use crate::store::Store;
use crate::{Error, Result, app, recover};

/// The namespace of other containerds' snapshots: theirs are in their keys, and what they collect they name without one.
const OTHERS: &str = "others";

/// All snapshotters of this service. Cheap to clone.
#[derive(Clone)]
pub struct Snapshots {
    store: Store,
    leases: Leases,
    events: Events,
}

/// One of them. Cheap to clone.
#[derive(Clone)]
pub struct Snapshotter {
    all: Snapshots,
    name: Arc<str>,
}

impl Snapshots {
    pub(crate) fn new(store: Store, leases: Leases, events: Events) -> Self {
        Self { store, leases, events }
    }

    /// The snapshotters without a service around them, for tests: what is below `state`, without announcements of
    /// changes.
    ///
    /// # Errors
    ///
    /// When the state cannot be opened, or not be put in order.
    pub async fn alone(state: &Path, peers: &Peers) -> Result<Self> {
        let (store, _) = app::open(state, &Settings::default())?;
        recover::reconcile(&store).await?;
        let (publisher, _) = Publisher::new(peers);
        Ok(Self::new(store, Leases::new(peers.clone()), Events::new(publisher)))
    }
}

impl Promise for Snapshots {
    type Error = Error;
}

impl Service for Snapshots {
    type Snapshotter = Snapshotter;

    fn snapshotter(&self, name: &str) -> Snapshotter {
        Snapshotter { all: self.clone(), name: name.into() }
    }

    fn backend_namespace(&self, name: &str) -> Option<Namespace> {
        let theirs = self.store.backend(name).is_ok_and(|backend| backend.keeper() == Keeper::Them);
        theirs.then(|| OTHERS.parse().ok()).flatten()
    }
}

impl Snapshotter {
    fn scope(&self, namespace: &Namespace) -> Scope {
        Scope { namespace: namespace.clone(), snapshotter: self.name.to_string() }
    }

    async fn make(
        &self,
        owner: &Owner,
        kind: record::Kind,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> Result<Vec<Mount>> {
        let Snapshots { store, leases, events } = &self.all;
        let scope = self.scope(&owner.namespace);
        let (key, parent) = (key.as_str(), parent.map_or("", SnapshotName::as_str));
        let (owner, told) = self.known(owner)?;
        let owner = &owner;
        leases.add(owner, &scope, key).await?;
        if let Some(there) = store.target_of(&scope, parent, labels.iter())? {
            // The caller goes on with that one instead.
            leases.add(owner, &scope, &there).await?;
        }
        let mounts = store.prepare(&scope, kind, key, parent, labels).await?;
        // containerd announces no views.
        if told && kind == record::Kind::Active {
            events.prepared(&scope, key, parent);
        }
        Ok(mounts)
    }

    /// The caller, and whether changes are announced. Another containerd keeps its leases itself, not in `control`,
    /// and its changes are not announced here.
    fn known(&self, owner: &Owner) -> Result<(Owner, bool)> {
        Ok(match self.all.store.backend(&self.name)?.keeper() {
            Keeper::Us => (owner.clone(), true),
            Keeper::Them => (Owner::of(&owner.namespace), false),
        })
    }
}

impl Promise for Snapshotter {
    type Error = Error;
}

impl Inspect for Snapshotter {
    async fn stat(&self, namespace: &Namespace, snapshot: &SnapshotRef) -> Result<Info> {
        info(snapshot.clone(), self.all.store.stat(&self.scope(namespace), snapshot.as_str())?)
    }

    async fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Info>> {
        let found = self.all.store.list(&self.scope(namespace), filters)?;
        found.into_iter().map(|(name, record)| info(name.try_into()?, record)).collect()
    }

    async fn usage(&self, namespace: &Namespace, snapshot: &SnapshotRef) -> Result<Usage> {
        let usage = self.all.store.usage(&self.scope(namespace), snapshot.as_str()).await?;
        Ok(Usage { size: usage.size, inodes: usage.inodes })
    }
}

impl Prepare for Snapshotter {
    async fn prepare(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> Result<Vec<Mount>> {
        self.make(owner, record::Kind::Active, key, parent, labels).await
    }

    async fn view(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> Result<Vec<Mount>> {
        self.make(owner, record::Kind::View, key, parent, labels).await
    }

    async fn mounts(&self, namespace: &Namespace, key: &SnapshotKey) -> Result<Vec<Mount>> {
        self.all.store.mounts(&self.scope(namespace), key.as_str()).await
    }
}

impl Commit for Snapshotter {
    async fn commit(
        &self,
        owner: &Owner,
        name: &SnapshotName,
        key: &SnapshotKey,
        labels: Labels,
        rebase: Option<&SnapshotName>,
    ) -> Result<()> {
        let Snapshots { store, leases, events } = &self.all;
        let scope = self.scope(&owner.namespace);
        let (name, key, rebase) = (name.as_str(), key.as_str(), rebase.map_or("", SnapshotName::as_str));
        let (owner, told) = self.known(owner)?;
        leases.add(&owner, &scope, name).await?;
        store.commit(&scope, name, key, labels, rebase).await?;
        if told {
            events.committed(&scope, key, name);
        }
        leases.remove(&owner, &scope, key).await;
        Ok(())
    }
}

impl Manage for Snapshotter {
    async fn update(&self, namespace: &Namespace, snapshot: &SnapshotRef, labels: &Relabel) -> Result<Info> {
        let record = self.all.store.update(&self.scope(namespace), snapshot.as_str(), labels).await?;
        info(snapshot.clone(), record)
    }

    async fn remove(&self, owner: &Owner, snapshot: &SnapshotRef) -> Result<()> {
        let Snapshots { store, leases, events } = &self.all;
        let scope = self.scope(&owner.namespace);
        let (owner, told) = self.known(owner)?;
        store.remove(&scope, snapshot.as_str()).await?;
        if told {
            events.removed(&scope, snapshot.as_str());
        }
        leases.remove(&owner, &scope, snapshot.as_str()).await;
        Ok(())
    }

    /// Returns when what was removed before is deleted.
    async fn cleanup(&self, namespace: &Namespace) -> Result<()> {
        let store = &self.all.store;
        match store.backend(&self.name)? {
            Backend::Remote(remote) => store.cleanup_at(&remote, namespace).await,
            Backend::Driver(_) => {
                recover::check(store, recover::Repair::Yes).await?;
                store.trash().flush().await;
                Ok(())
            }
        }
    }
}

fn info(name: SnapshotRef, record: Record) -> Result<Info> {
    let kind = match record.kind() {
        record::Kind::View => Kind::View,
        record::Kind::Active => Kind::Active,
        record::Kind::Committed => Kind::Committed,
        record::Kind::Unknown => return Err(Error::Invalid(format!("snapshot {name} is of no kind"))),
    };
    Ok(Info {
        name,
        kind,
        parent: SnapshotName::try_from(record.parent).ok(),
        created_at: wire::moment(record.created.as_ref()),
        updated_at: wire::moment(record.updated.as_ref()),
        labels: record.labels.into(),
    })
}

/// Mounts as they are told.
pub(crate) fn shown(mounts: Vec<gantry_mount::Mount>) -> Vec<Mount> {
    let mount = |mount: gantry_mount::Mount| Mount {
        fs_type: mount.fs_type,
        source: mount.source,
        target: mount.target,
        options: mount.options,
    };
    mounts.into_iter().map(mount).collect()
}

/// Mounts as they are made.
pub(crate) fn to_make(mounts: Vec<Mount>) -> Vec<gantry_mount::Mount> {
    let mount = |mount: Mount| gantry_mount::Mount {
        fs_type: mount.fs_type,
        source: mount.source,
        target: mount.target,
        options: mount.options,
    };
    mounts.into_iter().map(mount).collect()
}
