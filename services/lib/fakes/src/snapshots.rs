//! A fake of snapshots: keys, names and parents by namespace and snapshotter. Nothing is collected.

mod unpack;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use gantry_api::Promise;
use gantry_api::snapshots::{
    Commit, Info, Inspect, Kind, Manage, Mount, Owner, Prepare, Service, SnapshotKey, SnapshotName,
    SnapshotRef, Usage, server,
};
use gantry_rpc::Code;
use gantry_types::filter::FilterSet;
use gantry_types::{Labels, Namespace, Relabel};
use parking_lot::Mutex;
use tonic::service::Routes;

pub use unpack::{Unpacker, Unpacking};

use crate::Refused;

/// The snapshotters.
const KNOWN: [&str; 2] = ["overlayfs", "native"];
/// The label in which an unpacker names the snapshot that it will commit.
const TARGET: &str = "containerd.io/snapshot.ref";

/// A snapshots service without files. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Snapshots(Arc<Mutex<State>>);

/// A snapshotter of the service.
#[derive(Debug, Clone)]
pub struct Snapshotter {
    all: Snapshots,
    name: String,
}

#[derive(Debug, Default)]
struct State {
    /// By namespace, snapshotter, and key or name.
    snapshots: BTreeMap<(Namespace, String, String), Snapshot>,
    /// What leases keep: the lease's id, the snapshotter, the key or name.
    leased: BTreeSet<(String, String, String)>,
    /// The directory that all mounts bind.
    shown: Option<PathBuf>,
    made: u64,
}

#[derive(Debug)]
struct Snapshot {
    info: Info,
    /// An id that does not change with the commit.
    id: u64,
    usage: Usage,
}

impl Snapshots {
    /// Snapshots whose mounts all bind this directory. The mounts of other fakes bind a path that does not exist.
    pub fn showing(directory: &Path) -> Self {
        let snapshots = Self::default();
        snapshots.edit(|state| state.shown = Some(directory.to_owned()));
        snapshots
    }

    /// The gRPC services of snapshots.
    pub fn routes(&self) -> Routes {
        Routes::new(server::service(self.clone()))
    }

    /// The keys and names of all snapshots, in all namespaces and snapshotters.
    pub fn names(&self) -> Vec<String> {
        self.edit(|state| state.snapshots.keys().map(|(_, _, name)| name.clone()).collect())
    }

    /// Adds a committed snapshot.
    pub fn put(
        &self,
        namespace: &Namespace,
        snapshotter: &str,
        name: &SnapshotName,
        parent: Option<&SnapshotName>,
        usage: Usage,
    ) {
        self.edit(|state| {
            let info = Info {
                name: name.clone().into(),
                kind: Kind::Committed,
                parent: parent.cloned(),
                created_at: SystemTime::now(),
                updated_at: SystemTime::now(),
                labels: Labels::new(),
            };
            state.made += 1;
            let snapshot = Snapshot { info, id: state.made, usage };
            state.snapshots.insert((namespace.clone(), snapshotter.to_owned(), name.to_string()), snapshot);
        });
    }

    /// Whether a snapshot exists.
    pub fn has(&self, namespace: &Namespace, snapshotter: &str, name: &str) -> bool {
        let key = (namespace.clone(), snapshotter.to_owned(), name.to_owned());
        self.edit(|state| state.snapshots.contains_key(&key))
    }

    fn lease(&self, lease: &str, snapshotter: &str, name: &str) {
        let kept = (lease.to_owned(), snapshotter.to_owned(), name.to_owned());
        self.edit(|state| state.leased.insert(kept));
    }

    /// Removes all snapshots.
    pub fn clear(&self) {
        self.edit(|state| state.snapshots.clear());
    }

    /// Whether a lease keeps a snapshot.
    pub fn is_leased(&self, lease: &str, snapshotter: &str, name: &str) -> bool {
        let wanted = (lease.to_owned(), snapshotter.to_owned(), name.to_owned());
        self.edit(|state| state.leased.contains(&wanted))
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        edit(&mut self.0.lock())
    }
}

fn refused<T>(code: Code, object: impl ToString, reason: &'static str) -> Result<T, Refused> {
    Err(Refused::new(code, object, reason))
}

fn missing(object: impl ToString) -> Refused {
    Refused::new(Code::NotFound, object, "no such snapshot")
}

/// One snapshotter of a namespace, while the state is locked.
struct Scope<'s> {
    state: &'s mut State,
    namespace: Namespace,
    snapshotter: String,
}

impl Scope<'_> {
    fn key(&self, name: &str) -> (Namespace, String, String) {
        (self.namespace.clone(), self.snapshotter.clone(), name.to_owned())
    }

    fn get(&self, name: &str) -> Result<&Snapshot, Refused> {
        self.state.snapshots.get(&self.key(name)).ok_or_else(|| missing(name))
    }

    fn all(&self) -> impl Iterator<Item = &Snapshot> {
        let mine = |key: &(Namespace, String, String)| key.0 == self.namespace && key.1 == self.snapshotter;
        self.state.snapshots.iter().filter(move |(key, _)| mine(key)).map(|(_, snapshot)| snapshot)
    }

    fn lease(&mut self, owner: &Owner, name: &str) {
        if let Some(lease) = &owner.lease {
            self.state.leased.insert((lease.clone(), self.snapshotter.clone(), name.to_owned()));
        }
    }

    fn unlease(&mut self, owner: &Owner, name: &str) {
        if let Some(lease) = &owner.lease {
            self.state.leased.remove(&(lease.clone(), self.snapshotter.clone(), name.to_owned()));
        }
    }

    fn mounts(&self, snapshot: &Snapshot) -> Vec<Mount> {
        let nowhere = || PathBuf::from("/nowhere").join(snapshot.id.to_string());
        let source = self.state.shown.clone().unwrap_or_else(nowhere);
        let mode = if snapshot.info.kind == Kind::Active { "rw" } else { "ro" };
        vec![Mount {
            fs_type: "bind".to_owned(),
            source: source.display().to_string(),
            target: String::new(),
            options: vec![mode.to_owned(), "rbind".to_owned()],
        }]
    }

    fn make(
        &mut self,
        owner: &Owner,
        kind: Kind,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> Result<Vec<Mount>, Refused> {
        self.lease(owner, key.as_str());
        labels.validate().map_err(|_| Refused::new(Code::InvalidArgument, key, "a label is too long"))?;
        if self.get(key.as_str()).is_ok() {
            return refused(Code::AlreadyExists, key, "already exists");
        }
        if let Some(parent) = parent
            && self.get(parent.as_str())?.info.kind != Kind::Committed
        {
            return refused(Code::InvalidArgument, parent, "not committed");
        }
        let target = labels.get(TARGET).and_then(|target| self.get(target).ok());
        let fits =
            |there: &&Snapshot| there.info.kind == Kind::Committed && there.info.parent.as_ref() == parent;
        if let Some(there) = target.filter(fits) {
            let name = there.info.name.to_string();
            self.lease(owner, &name);
            return refused(Code::AlreadyExists, name, "already exists");
        }
        self.state.made += 1;
        let info = Info {
            name: key.clone().into(),
            kind,
            parent: parent.cloned(),
            created_at: SystemTime::now(),
            updated_at: SystemTime::now(),
            labels: labels.without_empty(),
        };
        let snapshot = Snapshot { info, id: self.state.made, usage: Usage::default() };
        let mounts = self.mounts(&snapshot);
        self.state.snapshots.insert(self.key(key.as_str()), snapshot);
        Ok(mounts)
    }
}

impl Snapshotter {
    fn within<T>(
        &self,
        namespace: &Namespace,
        work: impl FnOnce(&mut Scope<'_>) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        if !KNOWN.contains(&self.name.as_str()) {
            return refused(Code::InvalidArgument, &self.name, "snapshotter not loaded");
        }
        self.all.edit(|state| {
            work(&mut Scope { state, namespace: namespace.clone(), snapshotter: self.name.clone() })
        })
    }
}

impl Promise for Snapshots {
    type Error = Refused;
}

impl Service for Snapshots {
    type Snapshotter = Snapshotter;

    fn snapshotter(&self, name: &str) -> Snapshotter {
        Snapshotter { all: self.clone(), name: name.to_owned() }
    }
}

impl Promise for Snapshotter {
    type Error = Refused;
}

impl Inspect for Snapshotter {
    async fn stat(&self, namespace: &Namespace, snapshot: &SnapshotRef) -> Result<Info, Refused> {
        self.within(namespace, |scope| Ok(scope.get(snapshot.as_str())?.info.clone()))
    }

    async fn list(&self, namespace: &Namespace, filters: &FilterSet) -> Result<Vec<Info>, Refused> {
        self.within(namespace, |scope| {
            let infos = scope.all().map(|snapshot| &snapshot.info);
            Ok(infos.filter(|info| filters.matches(*info)).cloned().collect())
        })
    }

    async fn usage(&self, namespace: &Namespace, snapshot: &SnapshotRef) -> Result<Usage, Refused> {
        self.within(namespace, |scope| Ok(scope.get(snapshot.as_str())?.usage))
    }
}

impl Prepare for Snapshotter {
    async fn prepare(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> Result<Vec<Mount>, Refused> {
        self.within(&owner.namespace, |scope| scope.make(owner, Kind::Active, key, parent, labels))
    }

    async fn view(
        &self,
        owner: &Owner,
        key: &SnapshotKey,
        parent: Option<&SnapshotName>,
        labels: Labels,
    ) -> Result<Vec<Mount>, Refused> {
        self.within(&owner.namespace, |scope| scope.make(owner, Kind::View, key, parent, labels))
    }

    async fn mounts(&self, namespace: &Namespace, key: &SnapshotKey) -> Result<Vec<Mount>, Refused> {
        self.within(namespace, |scope| match scope.get(key.as_str())? {
            snapshot if snapshot.info.kind == Kind::Committed => {
                refused(Code::FailedPrecondition, key, "committed")
            }
            snapshot => Ok(scope.mounts(snapshot)),
        })
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
    ) -> Result<(), Refused> {
        self.within(&owner.namespace, |scope| {
            scope.lease(owner, name.as_str());
            labels
                .validate()
                .map_err(|_| Refused::new(Code::InvalidArgument, name, "a label is too long"))?;
            let active = scope.get(key.as_str())?;
            if active.info.kind != Kind::Active {
                return refused(Code::FailedPrecondition, key, "not active");
            }
            if rebase.is_some() && rebase != active.info.parent.as_ref() {
                return refused(Code::Unimplemented, key, "cannot get a new parent");
            }
            if scope.get(name.as_str()).is_ok() {
                return refused(Code::AlreadyExists, name, "already exists");
            }
            let active = scope.key(key.as_str());
            let mut snapshot = scope.state.snapshots.remove(&active).ok_or_else(|| missing(key))?;
            let now = SystemTime::now();
            snapshot.info = Info {
                name: name.clone().into(),
                kind: Kind::Committed,
                created_at: now,
                updated_at: now,
                labels: labels.without_empty(),
                ..snapshot.info
            };
            scope.state.snapshots.insert(scope.key(name.as_str()), snapshot);
            scope.unlease(owner, key.as_str());
            Ok(())
        })
    }
}

impl Manage for Snapshotter {
    async fn update(
        &self,
        namespace: &Namespace,
        snapshot: &SnapshotRef,
        labels: &Relabel,
    ) -> Result<Info, Refused> {
        self.within(namespace, |scope| {
            let key = scope.key(snapshot.as_str());
            let found = scope.state.snapshots.get_mut(&key).ok_or_else(|| missing(snapshot))?;
            let applied = found.info.labels.relabel(labels);
            applied.map_err(|_| Refused::new(Code::InvalidArgument, snapshot, "a label is too long"))?;
            found.info.updated_at = SystemTime::now();
            Ok(found.info.clone())
        })
    }

    async fn remove(&self, owner: &Owner, snapshot: &SnapshotRef) -> Result<(), Refused> {
        self.within(&owner.namespace, |scope| {
            scope.get(snapshot.as_str())?;
            let above = |other: &Snapshot| {
                other.info.parent.as_ref().is_some_and(|it| it.as_str() == snapshot.as_str())
            };
            if scope.all().any(above) {
                return refused(Code::FailedPrecondition, snapshot, "others are on top of it");
            }
            let key = scope.key(snapshot.as_str());
            scope.state.snapshots.remove(&key);
            scope.unlease(owner, snapshot.as_str());
            Ok(())
        })
    }

    async fn cleanup(&self, namespace: &Namespace) -> Result<(), Refused> {
        self.within(namespace, |_| Ok(()))
    }
}
