//! Events: what everyone is told of changes, in containerd's words.

use gantry_api::events::Publisher;
use gantry_proto::containerd::events::{SnapshotCommit, SnapshotPrepare, SnapshotRemove};

use crate::record::Scope;

/// Publishes what becomes of snapshots. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events(Publisher);

impl Events {
    /// Publishes by `publisher`.
    pub fn new(publisher: Publisher) -> Self {
        Self(publisher)
    }

    /// A snapshot was made.
    pub fn prepared(&self, scope: &Scope, key: &str, parent: &str) {
        let (key, parent, snapshotter) = (key.to_owned(), parent.to_owned(), scope.snapshotter.clone());
        self.0.publish(&scope.namespace, "/snapshot/prepare", &SnapshotPrepare { key, parent, snapshotter });
    }

    /// A snapshot was committed.
    pub fn committed(&self, scope: &Scope, key: &str, name: &str) {
        let (key, name, snapshotter) = (key.to_owned(), name.to_owned(), scope.snapshotter.clone());
        self.0.publish(&scope.namespace, "/snapshot/commit", &SnapshotCommit { key, name, snapshotter });
    }

    /// A snapshot was removed.
    pub fn removed(&self, scope: &Scope, key: &str) {
        let (key, snapshotter) = (key.to_owned(), scope.snapshotter.clone());
        self.0.publish(&scope.namespace, "/snapshot/remove", &SnapshotRemove { key, snapshotter });
    }
}
