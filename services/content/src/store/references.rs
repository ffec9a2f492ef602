//! References that labels make: what a blob's new labels name must survive a collection that has already passed it by.
//!
//! Blobs are this store's own: they are stamped, and what their labels name in turn. Snapshots and images are others':
//! control is asked to hold them. Labels may name what does not exist (yet), so nothing here fails a request.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use gantry_api::gc::{Hold, Resource};
use gantry_rpc::chain;
use gantry_types::gc::{self, Edge};
use gantry_types::{Digest, Labels, Namespace};

use super::Store;
use crate::stamp;

/// How long a sweep may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(10);

impl Store {
    /// Protects what the labels refer to, directly and through other blobs.
    pub(super) async fn protect_references(&self, namespace: &Namespace, labels: &Labels) {
        let mut todo: Vec<Digest> = Vec::new();
        let mut seen: HashSet<Digest> = HashSet::new();
        let mut of_others: BTreeSet<Edge> = BTreeSet::new();
        let mut sort = |labels: &Labels, todo: &mut Vec<Digest>| {
            for edge in gc::edges(labels) {
                match edge {
                    Edge::Content(digest) => todo.push(digest),
                    other @ (Edge::Snapshot { .. } | Edge::Image(_)) => {
                        of_others.insert(other);
                    }
                }
            }
        };
        sort(labels, &mut todo);
        while let Some(digest) = todo.pop() {
            if !seen.insert(digest.clone()) {
                continue;
            }
            // Under the lock a sweep either sees the stamp or has deleted the blob already.
            let _lock = self.0.digests.lock(digest.clone()).await;
            if let Ok(info) = self.info(namespace, &digest) {
                self.0.stamps.touch(stamp::Resource::Blob(namespace.clone(), digest));
                sort(&info.labels, &mut todo);
            }
        }
        if !of_others.is_empty() {
            self.hold(namespace, of_others).await;
        }
    }

    async fn hold(&self, namespace: &Namespace, edges: BTreeSet<Edge>) {
        let resources = edges.into_iter().map(Resource::from).collect();
        match tokio::time::timeout(PATIENCE, self.0.collector.hold(namespace, resources)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error = chain(&error), "references of labels are not held"),
            Err(_) => tracing::warn!("control did not hold the references of labels in time"),
        }
    }
}
