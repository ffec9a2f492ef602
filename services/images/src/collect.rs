//! Images as the garbage collection and the consistency check see them.
//!
//! An image is a root that keeps its target, unless a label says that its time is over.

use std::collections::BTreeSet;
use std::time::SystemTime;

use gantry_api::fsck::{Check, Depth, Repair, Stray};
use gantry_api::gc::{Collector, Mark, Node, Resource, Swept};
use gantry_api::{Promise, records};
use gantry_types::{Namespace, gc};

use crate::content::Content;
use crate::error::Error;
use crate::names::Names;
use crate::record::Record;
use crate::store::Store;

const IMAGES: &str = "images";

/// Whether the record has a time to live, and has outlived it.
fn is_expired(record: &Record) -> bool {
    gc::has_expired(&record.labels, SystemTime::now())
}

fn node(record: &Record) -> Node {
    let mut node = Node::labelled(Resource::image(&record.name), &record.labels);
    node.references.insert(0, Resource::content(&record.target.digest));
    Node { root: !is_expired(record), ..node }
}

impl Promise for Names {
    type Error = Error;
}

impl Collector for Names {
    async fn namespaces(&self) -> Result<BTreeSet<Namespace>, Error> {
        self.store().namespaces()
    }

    async fn begin(&self, _: &Namespace) -> Result<Mark, Error> {
        Ok(Mark(Store::mark()))
    }

    async fn scan(&self, namespace: &Namespace) -> Result<Vec<Node>, Error> {
        Ok(self.store().list(namespace)?.iter().map(node).collect())
    }

    async fn sweep(
        &self,
        namespace: &Namespace,
        mark: Mark,
        unreached: Vec<Resource>,
    ) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        for resource in unreached.into_iter().filter(|resource| resource.kind == IMAGES) {
            let Some(record) = self.store().find(namespace, &resource.key)? else { continue };
            if !is_expired(&record) || self.store().touched_since(namespace, &record.name, mark.0) {
                continue;
            }
            match self.delete(namespace, &record.name, Some(&record.target.digest)).await {
                Ok(_) => swept.removed.push(resource),
                Err(Error::NoRecord(_) | Error::OtherTarget { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(swept)
    }

    async fn touch(&self, namespace: &Namespace, resources: Vec<Resource>) -> Result<Vec<Resource>, Error> {
        let mut missing = Vec::new();
        for resource in resources {
            if resource.kind != IMAGES || !self.store().touch(namespace, &resource.key)? {
                missing.push(resource);
            }
        }
        Ok(missing)
    }
}

/// Finds images whose target is gone.
pub struct Targets {
    names: Names,
    content: Content,
    /// Content's, which say what may be gone.
    records: records::Client,
}

impl Targets {
    /// Compares `names` with `content`.
    pub fn new(names: Names, content: Content, records: records::Client) -> Self {
        Self { names, content, records }
    }
}

impl Promise for Targets {
    type Error = Error;
}

impl Check for Targets {
    async fn check(&self, repair: Repair, _: Depth) -> Result<Vec<Stray>, Error> {
        let store = self.names.store();
        // A name is all that is left of an image whose blobs have lost their records: it says what to pull.
        let lost = self.records.condition().await.is_ok_and(|condition| condition.lost_at != 0);
        let mut strays = Vec::new();
        for namespace in store.namespaces()? {
            for record in store.list(&namespace)? {
                if self.content.info(&namespace, &record.target.digest).await?.is_some() {
                    continue;
                }
                let target = Some(&record.target.digest);
                let repaired = repair == Repair::Yes
                    && !lost
                    && self.names.delete(&namespace, &record.name, target).await.is_ok();
                let detail =
                    format!("namespace {namespace}: its target {} is not in the store", record.target.digest);
                strays.push(Stray { kind: "record".into(), name: record.name, detail, repaired });
            }
        }
        Ok(strays)
    }
}
