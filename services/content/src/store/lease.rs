//! What a write is done under: control is told that the lease keeps it.

use gantry_proto::containerd::services::leases::v1 as leases;
use gantry_rpc::context;
use gantry_types::{Digest, Namespace};

use super::Store;
use crate::ingest::IngestKey;
use crate::{Error, Result};

impl Store {
    /// Adds an ingest to the lease, if there is one.
    pub(super) async fn lease_ingest(&self, key: &IngestKey, lease: Option<&str>) -> Result<()> {
        self.add_to_lease(&key.namespace, lease, "ingests", &key.reference).await
    }

    /// Adds a blob to the lease, if there is one.
    pub(super) async fn lease_blob(
        &self,
        namespace: &Namespace,
        lease: Option<&str>,
        digest: &Digest,
    ) -> Result<()> {
        self.add_to_lease(namespace, lease, "content", digest.as_str()).await
    }

    /// Takes an ingest that has ended off the lease, if there is one. What is not there is kept by nobody, so that a
    /// failure costs no more than an entry that means nothing.
    pub(crate) async fn unlease_ingest(&self, key: &IngestKey, lease: Option<&str>) {
        self.remove_from_lease(&key.namespace, lease, "ingests", &key.reference).await;
    }

    /// Takes a blob that was deleted off the lease, if there is one.
    pub(crate) async fn unlease_blob(&self, namespace: &Namespace, lease: Option<&str>, digest: &Digest) {
        self.remove_from_lease(namespace, lease, "content", digest.as_str()).await;
    }

    async fn remove_from_lease(&self, namespace: &Namespace, lease: Option<&str>, kind: &str, id: &str) {
        let Some(lease) = lease else { return };
        let resource = leases::Resource { id: id.to_owned(), r#type: kind.to_owned() };
        let request = leases::DeleteResourceRequest { id: lease.to_owned(), resource: Some(resource) };
        let request = context::with_namespace(request, namespace);
        if let Err(status) = self.0.peers.leases().delete_resource(request).await {
            tracing::debug!(lease, kind, id, error = status.message(), "a lease still names what is gone");
        }
    }

    async fn add_to_lease(
        &self,
        namespace: &Namespace,
        lease: Option<&str>,
        kind: &str,
        id: &str,
    ) -> Result<()> {
        let Some(lease) = lease else { return Ok(()) };
        let resource = leases::Resource { id: id.to_owned(), r#type: kind.to_owned() };
        let request = leases::AddResourceRequest { id: lease.to_owned(), resource: Some(resource) };
        let answer = self.0.peers.leases().add_resource(context::with_namespace(request, namespace)).await;
        answer.map(drop).map_err(|source| Error::Lease {
            lease: lease.to_owned(),
            namespace: namespace.clone(),
            source: Box::new(source),
        })
    }
}
