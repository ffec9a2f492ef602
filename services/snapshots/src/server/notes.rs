//! What others are told of changes: control of leases, everyone of events.

use gantry_api::Peers;
use gantry_api::events::Publisher;
use gantry_api::ingest::Owner;
use gantry_proto::containerd::events::{SnapshotCommit, SnapshotPrepare, SnapshotRemove};
use gantry_proto::containerd::services::leases::v1::{AddResourceRequest, DeleteResourceRequest, Resource};
use gantry_rpc::context::with_namespace;

use crate::record::Scope;
use crate::{Error, Result};

/// Tells others. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Notes {
    peers: Peers,
    publisher: Publisher,
}

impl Notes {
    /// Tells control.
    pub fn new(peers: Peers, publisher: Publisher) -> Self {
        Self { peers, publisher }
    }

    /// Adds a snapshot to the caller's lease, if it has one. Before the snapshot is made: a lease on what is not there
    /// does no harm, and a snapshot without its lease could be collected at once.
    ///
    /// # Errors
    ///
    /// Control's: `NOT_FOUND` for a lease that does not exist.
    pub async fn protect(&self, owner: &Owner, scope: &Scope, key: &str) -> Result<()> {
        let Some(lease) = &owner.lease else { return Ok(()) };
        let request = AddResourceRequest { id: lease.clone(), resource: Some(resource(scope, key)) };
        let answer = self.peers.leases().add_resource(with_namespace(request, &owner.namespace)).await;
        answer.map(drop).map_err(|status| Error::Peer { peer: "control", status })
    }

    /// Takes what is no snapshot any more off the caller's lease, if it has one. It keeps nothing, so that a failure
    /// costs no more than an entry that means nothing.
    pub async fn release(&self, owner: &Owner, scope: &Scope, key: &str) {
        let Some(lease) = &owner.lease else { return };
        let request = DeleteResourceRequest { id: lease.clone(), resource: Some(resource(scope, key)) };
        let request = with_namespace(request, &owner.namespace);
        if let Err(status) = self.peers.leases().delete_resource(request).await {
            tracing::debug!(lease, key, error = status.message(), "a lease still names what is gone");
        }
    }

    /// A snapshot was made.
    pub fn prepared(&self, scope: &Scope, key: &str, parent: &str) {
        let (key, parent, snapshotter) = (key.to_owned(), parent.to_owned(), scope.snapshotter.clone());
        self.publisher.publish(
            &scope.namespace,
            "/snapshot/prepare",
            &SnapshotPrepare { key, parent, snapshotter },
        );
    }

    /// A snapshot was committed.
    pub fn committed(&self, scope: &Scope, key: &str, name: &str) {
        let (key, name, snapshotter) = (key.to_owned(), name.to_owned(), scope.snapshotter.clone());
        self.publisher.publish(
            &scope.namespace,
            "/snapshot/commit",
            &SnapshotCommit { key, name, snapshotter },
        );
    }

    /// A snapshot was removed.
    pub fn removed(&self, scope: &Scope, key: &str) {
        let (key, snapshotter) = (key.to_owned(), scope.snapshotter.clone());
        self.publisher.publish(&scope.namespace, "/snapshot/remove", &SnapshotRemove { key, snapshotter });
    }
}

/// A snapshot as leases name it.
fn resource(scope: &Scope, key: &str) -> Resource {
    Resource { id: key.to_owned(), r#type: format!("snapshots/{}", scope.snapshotter) }
}
