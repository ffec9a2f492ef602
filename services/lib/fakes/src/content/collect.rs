//! Garbage collection of the fake's blobs and ingests.

use std::collections::{BTreeMap, BTreeSet};

use gantry_api::content::IngestRef;
use gantry_api::gc::{Collector, Mark, Node, Resource, Swept};
use gantry_types::gc::{self, Edge};
use gantry_types::{Digest, Labels, Namespace};

use super::{Content, State};
use crate::Refused;

impl State {
    /// Records a use of a resource. Returns whether the resource exists.
    pub(super) fn touch(&mut self, namespace: &Namespace, resource: Resource) -> bool {
        let is_there = match resource.kind.as_str() {
            "content" => self.blob(namespace, &resource).is_some(),
            "ingests" => self.has_ingest(namespace, &resource.key),
            _ => false,
        };
        if is_there {
            self.clock += 1;
            self.touched.insert((namespace.clone(), resource), self.clock);
        }
        is_there
    }

    /// Records a use of a blob, and of all blobs that it refers to, directly or through others.
    pub(super) fn use_blob(&mut self, namespace: &Namespace, digest: &Digest) {
        let mut seen = BTreeSet::new();
        let mut open = vec![digest.clone()];
        while let Some(digest) = open.pop() {
            if !seen.insert(digest.clone()) || !self.touch(namespace, Resource::content(&digest)) {
                continue;
            }
            let labels = self.blobs[&(namespace.clone(), digest)].labels.clone();
            open.extend(gc::edges(&labels).filter_map(|edge| match edge {
                Edge::Content(digest) => Some(digest),
                Edge::Snapshot { .. } | Edge::Image(_) => None,
            }));
        }
    }

    fn nodes(&self, namespace: &Namespace) -> BTreeMap<Resource, Node> {
        let blobs = self.blobs.iter().filter(|((of, _), _)| of == namespace);
        let blobs = blobs.map(|((_, digest), info)| Node::labelled(Resource::content(digest), &info.labels));
        let ingests = self.names.keys().filter(|(of, _)| of == namespace).map(|(_, name)| Node {
            root: true,
            ..Node::labelled(Resource::ingest(name.as_str()), &Labels::new())
        });
        blobs.chain(ingests).map(|node| (node.resource.clone(), node)).collect()
    }

    fn blob(&self, namespace: &Namespace, resource: &Resource) -> Option<Digest> {
        let digest = resource.key.parse().ok()?;
        self.info(namespace, &digest).ok().map(|info| info.digest)
    }

    fn has_ingest(&self, namespace: &Namespace, reference: &str) -> bool {
        reference.parse::<IngestRef>().is_ok_and(|reference| self.live(namespace, &reference).is_some())
    }

    pub(super) fn forget(&mut self, namespace: &Namespace, digest: &Digest) -> u64 {
        let info = self.blobs.remove(&(namespace.clone(), digest.clone()));
        if !self.blobs.keys().any(|(_, held)| held == digest) {
            self.files.remove(digest);
        }
        info.map_or(0, |info| info.size)
    }
}

impl Content {
    /// Removes what is not reached from a root or from `deep`, and is not in the flat list.
    pub(crate) fn collect(&self, namespace: &Namespace, deep: Vec<Resource>, flat: Vec<Resource>) -> Swept {
        self.edit(|state| {
            let nodes = state.nodes(namespace);
            let mut open = deep;
            open.extend(nodes.values().filter(|node| node.root).map(|node| node.resource.clone()));
            let mut reached = BTreeSet::new();
            while let Some(resource) = open.pop() {
                if reached.insert(resource.clone())
                    && let Some(node) = nodes.get(&resource)
                {
                    open.extend(node.references.iter().cloned());
                }
            }
            reached.extend(flat);
            let mut swept = Swept::default();
            for resource in nodes.into_keys().filter(|resource| !reached.contains(resource)) {
                let Some(digest) = state.blob(namespace, &resource) else { continue };
                swept.freed += state.forget(namespace, &digest);
                swept.removed.push(resource);
            }
            swept
        })
    }
}

impl Collector for Content {
    async fn namespaces(&self) -> Result<BTreeSet<Namespace>, Refused> {
        Ok(self.read(|state| {
            let blobs = state.blobs.keys().map(|(namespace, _)| namespace);
            blobs.chain(state.names.keys().map(|(namespace, _)| namespace)).cloned().collect()
        }))
    }

    async fn begin(&self, _: &Namespace) -> Result<Mark, Refused> {
        Ok(self.edit(|state| {
            // The first mark is not 1, which is older than every resource.
            state.clock += 2;
            Mark(state.clock)
        }))
    }

    async fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>, Refused> {
        Ok(self.read(|state| state.nodes(namespace).into_values().collect()))
    }

    async fn sweep(
        &self,
        namespace: &Namespace,
        mark: Mark,
        unreached: Vec<Resource>,
    ) -> Result<Swept, Refused> {
        let mut swept = Swept::default();
        for resource in unreached {
            let freed = self.edit(|state| {
                let last = state.touched.get(&(namespace.clone(), resource.clone())).copied();
                // Open ingests are roots, so only blobs are removed.
                let digest = state.blob(namespace, &resource).filter(|_| resource.kind == "content")?;
                last.is_some_and(|last| last < mark.0).then(|| state.forget(namespace, &digest))
            });
            if let Some(freed) = freed {
                swept.add(Swept { removed: vec![resource], freed });
            }
            // Other tasks get their turn, as with a real store.
            tokio::task::yield_now().await;
        }
        Ok(swept)
    }

    async fn touch(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<Vec<Resource>, Refused> {
        Ok(self.edit(|state| {
            resources.into_iter().filter(|resource| !state.touch(namespace, resource.clone())).collect()
        }))
    }
}
