//! Resources for the tests of a store.

use bytes::Bytes;
use gantry_api::content::{self, Commit, Expected, Owner, Writer};
use gantry_api::gc::{Collector, Resource};
use gantry_types::{Digest, Labels, Namespace};

use super::rooted;

/// A store under test.
pub trait Stock: Sync {
    /// The store's collector trait.
    type Collector: Collector;

    /// The collector trait of the store.
    fn collector(&self) -> &Self::Collector;

    /// Makes a resource with this name and these labels that nothing keeps.
    fn garbage(
        &self,
        namespace: &Namespace,
        name: &str,
        labels: Labels,
    ) -> impl Future<Output = Resource> + Send;

    /// Makes a root.
    fn root(
        &self,
        namespace: &Namespace,
        name: &str,
        labels: Labels,
    ) -> impl Future<Output = Resource> + Send;
}

/// Blobs whose bytes are their names.
#[derive(Debug)]
pub struct Blobs<S, C> {
    /// The store to write to.
    pub store: S,
    /// The collector trait of the same store.
    pub collector: C,
}

impl<S: content::Store, C: Collector> Stock for Blobs<S, C> {
    type Collector = C;

    fn collector(&self) -> &C {
        &self.collector
    }

    async fn garbage(&self, namespace: &Namespace, name: &str, labels: Labels) -> Resource {
        let digest = Digest::sha256(name.as_bytes());
        let expected = Expected { total: Some(name.len() as u64), digest: Some(digest.clone()) };
        let reference = format!("put-{name}").parse().expect("a ref");
        let opened = self.store.open(&Owner::of(namespace), &reference, expected.clone()).await;
        let mut writer = opened.expect("nobody else writes it");
        if writer.status().offset == 0 {
            writer.write(Bytes::copy_from_slice(name.as_bytes())).await.expect("written");
        }
        writer.commit(Commit { expected, labels }).await.expect("committed");
        Resource::content(&digest)
    }

    async fn root(&self, namespace: &Namespace, name: &str, mut labels: Labels) -> Resource {
        labels.extend([rooted()]);
        self.garbage(namespace, name, labels).await
    }
}
