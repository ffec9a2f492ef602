//! Leases: control is told that a lease keeps what is written under it.

use gantry_api::leases::{Keep, Resource};
use gantry_rpc::chain;
use gantry_types::{Digest, Namespace};

use super::Store;
use crate::ingest::IngestKey;
use crate::{Error, Result};

impl Store {
    /// Adds an ingest to the lease, if there is one.
    pub(super) async fn lease_ingest(&self, key: &IngestKey, lease: Option<&str>) -> Result<()> {
        self.add_to_lease(&key.namespace, lease, &ingest(key)).await
    }

    /// Adds a blob to the lease, if there is one.
    pub(super) async fn lease_blob(
        &self,
        namespace: &Namespace,
        lease: Option<&str>,
        digest: &Digest,
    ) -> Result<()> {
        self.add_to_lease(namespace, lease, &blob(digest)).await
    }

    /// Takes an ingest that has ended off the lease, if there is one. An entry for what is not
    /// there keeps nothing, so a failure does no harm.
    pub(crate) async fn unlease_ingest(&self, key: &IngestKey, lease: Option<&str>) {
        self.remove_from_lease(&key.namespace, lease, &ingest(key)).await;
    }

    /// Takes a blob that was deleted off the lease, if there is one.
    pub(crate) async fn unlease_blob(&self, namespace: &Namespace, lease: Option<&str>, digest: &Digest) {
        self.remove_from_lease(namespace, lease, &blob(digest)).await;
    }

    async fn remove_from_lease(&self, namespace: &Namespace, lease: Option<&str>, resource: &Resource) {
        let Some(lease) = lease else { return };
        if let Err(error) = self.0.leases.remove(namespace, lease, resource).await {
            let (kind, key) = (resource.kind(), resource.key());
            tracing::debug!(lease, %kind, key, error = chain(&error), "a lease still names what is gone");
        }
    }

    async fn add_to_lease(
        &self,
        namespace: &Namespace,
        lease: Option<&str>,
        resource: &Resource,
    ) -> Result<()> {
        let Some(lease) = lease else { return Ok(()) };
        self.0.leases.add(namespace, lease, resource).await.map_err(|source| Error::Lease {
            lease: lease.to_owned(),
            namespace: namespace.clone(),
            source,
        })
    }
}

fn blob(digest: &Digest) -> Resource {
    Resource::parse("content", digest.as_str()).expect("a digest is not empty")
}

fn ingest(key: &IngestKey) -> Resource {
    Resource::parse("ingests", &key.reference).expect("a ref is not empty")
}
