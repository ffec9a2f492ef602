//! Leases: what a caller works on stays until its lease ends. `control` keeps them.

use gantry_api::Owner;
use gantry_api::Peers;
use gantry_proto::containerd::services::leases::v1::{AddResourceRequest, DeleteResourceRequest, Resource};
use gantry_rpc::context::with_namespace;

use crate::record::Scope;
use crate::{Error, Result};

/// The leases of callers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Leases(Peers);

impl Leases {
    /// Leases that `control` keeps.
    pub fn new(peers: Peers) -> Self {
        Self(peers)
    }

    /// Adds a snapshot to the caller's lease, if it has one. Before the snapshot is made: a lease on what is not there
    /// does no harm, and a snapshot without its lease could be collected at once.
    ///
    /// # Errors
    ///
    /// Control's: `NOT_FOUND` for a lease that does not exist.
    pub async fn add(&self, owner: &Owner, scope: &Scope, key: &str) -> Result<()> {
        let Some(lease) = &owner.lease else { return Ok(()) };
        let request = AddResourceRequest { id: lease.clone(), resource: Some(resource(scope, key)) };
        let answer = self.0.leases().add_resource(with_namespace(request, &owner.namespace)).await;
        answer.map(drop).map_err(|status| Error::Peer { peer: "control", status })
    }

    /// Takes what is no snapshot any more off the caller's lease, if it has one. An entry for what is not there keeps
    /// nothing, so a failure does no harm.
    pub async fn remove(&self, owner: &Owner, scope: &Scope, key: &str) {
        let Some(lease) = &owner.lease else { return };
        let request = DeleteResourceRequest { id: lease.clone(), resource: Some(resource(scope, key)) };
        let request = with_namespace(request, &owner.namespace);
        if let Err(status) = self.0.leases().delete_resource(request).await {
            tracing::debug!(lease, key, error = status.message(), "a lease still names what is gone");
        }
    }
}

/// A snapshot as leases name it.
fn resource(scope: &Scope, key: &str) -> Resource {
    Resource { id: key.to_owned(), r#type: format!("snapshots/{}", scope.snapshotter) }
}
