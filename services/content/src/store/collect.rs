//! What the garbage collector asks of this store.

use std::collections::BTreeSet;

use gantry_types::gc;
use gantry_types::{Digest, Labels, Namespace};

use super::Store;
use crate::Result;
use crate::ingest::{Fate, IngestKey};
use crate::stamp::Resource;

/// A resource of this store, as the collector names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ResourceName {
    Blob(Digest),
    Ingest(String),
}

impl ResourceName {
    /// Reads the collector's type and key; `None` for what is not of this store.
    pub(crate) fn parse(kind: &str, key: &str) -> Option<Self> {
        match kind {
            "content" => key.parse().ok().map(ResourceName::Blob),
            "ingests" => Some(ResourceName::Ingest(key.to_owned())),
            _ => None,
        }
    }

    /// The collector's type and key.
    pub(crate) fn type_and_key(&self) -> (&'static str, &str) {
        match self {
            ResourceName::Blob(digest) => ("content", digest.as_str()),
            ResourceName::Ingest(reference) => ("ingests", reference),
        }
    }
}

/// A resource, whether it is a root, and its neighbours as types and keys.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: ResourceName,
    pub(crate) root: bool,
    pub(crate) references: Vec<(String, String)>,
    pub(crate) kept_by: Vec<(String, String)>,
}

/// What a sweep did.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    pub(crate) removed: Vec<ResourceName>,
    pub(crate) freed: u64,
}

impl Store {
    /// Every namespace that has a blob or an ingest.
    pub(crate) fn namespaces(&self) -> Result<BTreeSet<Namespace>> {
        let mut namespaces: BTreeSet<Namespace> =
            self.live_ingests(None).iter().map(|i| i.key.namespace.clone()).collect();
        for record in self.0.records.holders.iter_all() {
            let ((_, namespace), _) = record?;
            namespaces.insert(namespace);
        }
        Ok(namespaces)
    }

    /// Begins a collection: what is created or touched from now on survives a sweep with this mark.
    pub(crate) fn begin_collection(&self) -> u64 {
        self.0.stamps.begin()
    }

    /// Everything of the namespace, and what keeps it.
    pub(crate) fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        for record in self.0.records.blobs.iter(namespace) {
            let ((_, digest), record) = record?;
            let labels = Labels::from(record.labels);
            nodes.push(Node {
                root: gc::is_root(&labels),
                references: gc::edges(&labels)
                    .map(|edge| (edge.resource_type(), edge.key().to_owned()))
                    .collect(),
                kept_by: gc::back_references(&labels).map(|(kind, key)| (kind, key.to_owned())).collect(),
                name: ResourceName::Blob(digest),
            });
        }
        nodes.extend(self.live_ingests(Some(namespace)).iter().map(|ingest| Node {
            name: ResourceName::Ingest(ingest.key.reference.clone()),
            root: !Store::is_collectable(ingest),
            references: Vec::new(),
            kept_by: Vec::new(),
        }));
        Ok(nodes)
    }

    /// Deletes what nothing reaches, but what was used since the mark.
    pub(crate) async fn sweep(
        &self,
        namespace: &Namespace,
        mark: u64,
        names: Vec<ResourceName>,
    ) -> Result<Swept> {
        let mut swept = Swept::default();
        if !self.0.stamps.knows_since(mark) {
            tracing::info!(%namespace, "not swept: what was used since the collection began is not known");
            return Ok(swept);
        }
        for name in names {
            let freed = match &name {
                ResourceName::Blob(digest) => {
                    let resource = Resource::Blob(namespace.clone(), digest.clone());
                    self.delete_unless(namespace, digest, || self.0.stamps.touched_since(&resource, mark))
                        .await?
                }
                ResourceName::Ingest(reference) => self.sweep_ingest(namespace, reference, mark).await?,
            };
            if let Some(freed) = freed {
                swept.freed += freed;
                swept.removed.push(name);
            }
        }
        Ok(swept)
    }

    async fn sweep_ingest(&self, namespace: &Namespace, reference: &str, mark: u64) -> Result<Option<u64>> {
        let key = IngestKey { namespace: namespace.clone(), reference: reference.to_owned() };
        let Some(ingest) = self.ingest(&key) else { return Ok(None) };
        // Who is writing is using it.
        let Ok(_lock) = ingest.lock(&self.0.layout) else { return Ok(None) };
        let resource = Resource::Ingest(key.namespace.clone(), key.reference.clone());
        if !Store::is_collectable(&ingest) || self.0.stamps.touched_since(&resource, mark) {
            return Ok(None);
        }
        let freed = ingest.state().written;
        self.end(&ingest, Fate::Gone("collected")).await?;
        Ok(Some(freed))
    }

    /// Stamps a resource as used now; `false` if there is no such one.
    pub(crate) async fn touch_resource(&self, namespace: &Namespace, name: &ResourceName) -> Result<bool> {
        match name {
            ResourceName::Blob(digest) => self.touch(namespace, digest).await,
            ResourceName::Ingest(reference) => {
                let key = IngestKey { namespace: namespace.clone(), reference: reference.clone() };
                let is_there = self.ingest(&key).is_some();
                if is_there {
                    self.0.stamps.touch(Resource::Ingest(key.namespace, key.reference));
                }
                Ok(is_there)
            }
        }
    }
}
