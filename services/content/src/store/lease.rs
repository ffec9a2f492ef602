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
