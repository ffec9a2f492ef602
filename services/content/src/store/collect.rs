//! What the garbage collector asks of this store: its part of `gantry_api::gc`.

use std::collections::BTreeSet;

use gantry_api::gc::{Collector, Mark, Node, Resource, Swept};
use gantry_types::{Digest, Labels, Namespace};

use super::{Store, blocking};
use crate::ingest::{Fate, IngestKey};
use crate::{Result, stamp};

/// A resource of this store, as the collector names it.
#[derive(Debug, Clone, PartialEq)]
enum Name {
    Blob(Digest),
    Ingest(String),
}

impl Name {
    /// `None` for a resource of another store.
    fn parse(resource: &Resource) -> Option<Self> {
        match resource.kind.as_str() {
            "content" => resource.key.parse().ok().map(Name::Blob),
            "ingests" => Some(Name::Ingest(resource.key.clone())),
            _ => None,
        }
    }
}

impl Collector for Store {
    async fn namespaces(&self) -> Result<BTreeSet<Namespace>> {
        let store = self.clone();
        blocking(move || store.namespaces()).await
    }

    async fn begin(&self, _: &Namespace) -> Result<Mark> {
        Ok(Mark(self.0.stamps.begin()))
    }

    async fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>> {
        let (store, namespace) = (self.clone(), namespace.clone());
        blocking(move || store.scan(&namespace)).await
    }

    async fn sweep(&self, namespace: &Namespace, mark: Mark, unreached: Vec<Resource>) -> Result<Swept> {
        let mut swept = Swept::default();
        if !self.0.stamps.knows_since(mark.0) {
            tracing::info!(%namespace, "not swept: what was used since the collection began is not known");
            return Ok(swept);
        }
        for resource in unreached {
            let freed = match Name::parse(&resource) {
                Some(Name::Blob(digest)) => {
                    let blob = stamp::Resource::Blob(namespace.clone(), digest.clone());
                    self.delete_unless(namespace, &digest, || self.0.stamps.touched_since(&blob, mark.0))
                        .await?
                }
                Some(Name::Ingest(reference)) => self.sweep_ingest(namespace, reference, mark.0).await?,
                None => None,
            };
            if let Some(freed) = freed {
                swept.freed += freed;
                swept.removed.push(resource);
            }
        }
        Ok(swept)
    }

    async fn touch(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<Vec<Resource>> {
        let mut missing = Vec::new();
        for resource in resources {
            let is_there = match Name::parse(&resource) {
                Some(Name::Blob(digest)) => self.touch(namespace, &digest).await?,
                Some(Name::Ingest(reference)) => self.touch_ingest(namespace, reference),
                None => false,
            };
            if !is_there {
                missing.push(resource);
            }
        }
        Ok(missing)
    }
}

impl Store {
    /// Every namespace that has a blob or an ingest.
    fn namespaces(&self) -> Result<BTreeSet<Namespace>> {
        let mut namespaces: BTreeSet<Namespace> =
            self.live_ingests(None).iter().map(|i| i.key.namespace.clone()).collect();
        for record in self.0.records.holders.iter_all() {
            let ((_, namespace), _) = record?;
            namespaces.insert(namespace);
        }
        Ok(namespaces)
    }

    /// Everything of the namespace, and what keeps it.
    fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        for record in self.0.records.blobs.iter(namespace) {
            let ((_, digest), record) = record?;
            nodes.push(Node::labelled(Resource::content(&digest), &Labels::from(record.labels)));
        }
        nodes.extend(self.live_ingests(Some(namespace)).iter().map(|ingest| Node {
            root: !Store::is_collectable(ingest),
            ..Node::labelled(Resource::ingest(&ingest.key.reference), &Labels::new())
        }));
        Ok(nodes)
    }

    async fn sweep_ingest(&self, namespace: &Namespace, reference: String, mark: u64) -> Result<Option<u64>> {
        let key = IngestKey { namespace: namespace.clone(), reference };
        let Some(ingest) = self.ingest(&key) else { return Ok(None) };
        // A writer uses it.
        let Ok(_lock) = ingest.lock(&self.0.layout) else { return Ok(None) };
        let resource = stamp::Resource::Ingest(key.namespace.clone(), key.reference.clone());
        if !Store::is_collectable(&ingest) || self.0.stamps.touched_since(&resource, mark) {
            return Ok(None);
        }
        let freed = ingest.state().written;
        self.end(&ingest, Fate::Gone("collected")).await?;
        Ok(Some(freed))
    }

    /// Stamps an ingest as used now; `false` if there is no such one.
    fn touch_ingest(&self, namespace: &Namespace, reference: String) -> bool {
        let key = IngestKey { namespace: namespace.clone(), reference };
        let is_there = self.ingest(&key).is_some();
        if is_there {
            self.0.stamps.touch(stamp::Resource::Ingest(key.namespace, key.reference));
        }
        is_there
    }
}
