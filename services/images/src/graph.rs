//! The graph of an image: the documents and blobs that a push or an archive takes along.

use std::collections::HashSet;

use bytes::Bytes;
use gantry_types::{Descriptor, Digest, Namespace, media_type};

use crate::content::Content;
use crate::document::{self, Entry, MAX_DEPTH};
use crate::error::Error;
use gantry_distribution::MANIFEST_LIMIT;

/// Everything that an image leads to.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The inner before the outer; the last one is the image itself.
    pub documents: Vec<Document>,
    /// Configs and layers, each once.
    pub blobs: Vec<Descriptor>,
}

/// A manifest or index and its bytes.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it is.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Bytes,
}

/// What to do about platforms of an index that are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// The image is not complete.
    Refuse,
    /// They are left out, as long as one is here.
    Allow,
}

impl Graph {
    /// The graph below `target`; none when a part of it is not here.
    pub async fn gather(
        content: &Content,
        namespace: &Namespace,
        target: &Descriptor,
        gaps: Gaps,
    ) -> Result<Option<Self>, Error> {
        Self::gather_those(content, namespace, target, gaps, &|_| true).await
    }

    /// As [`gather`](Self::gather), of those entries of indexes that are `meant`.
    pub async fn gather_those(
        content: &Content,
        namespace: &Namespace,
        target: &Descriptor,
        gaps: Gaps,
        meant: &(dyn Fn(&Entry) -> bool + Send + Sync),
    ) -> Result<Option<Self>, Error> {
        let graph = Self::default();
        let mut gathering = Gathering { content, namespace, gaps, meant, graph, absent: HashSet::new() };
        Ok(gathering.add(target, 0).await?.then_some(gathering.graph))
    }
}

/// The walk through an image.
struct Gathering<'a> {
    content: &'a Content,
    namespace: &'a Namespace,
    gaps: Gaps,
    meant: &'a (dyn Fn(&Entry) -> bool + Send + Sync),
    graph: Graph,
    /// What was found not to be complete.
    absent: HashSet<Digest>,
}

impl Gathering<'_> {
    /// Adds what belongs to `descriptor`; false, and nothing is added, when that is not complete.
    async fn add(&mut self, descriptor: &Descriptor, depth: usize) -> Result<bool, Error> {
        let (documents, blobs) = (self.graph.documents.len(), self.graph.blobs.len());
        if self.absent.contains(&descriptor.digest) {
            return Ok(false);
        }
        let complete = self.add_parts(descriptor, depth).await?;
        if !complete {
            self.absent.insert(descriptor.digest.clone());
            self.graph.documents.truncate(documents);
            self.graph.blobs.truncate(blobs);
        }
        Ok(complete)
    }

    async fn add_parts(&mut self, descriptor: &Descriptor, depth: usize) -> Result<bool, Error> {
        if self.graph.documents.iter().any(|known| known.descriptor.digest == descriptor.digest) {
            return Ok(true);
        }
        if depth > MAX_DEPTH {
            return Ok(false);
        }
        let bytes = self.content.read(self.namespace, &descriptor.digest, MANIFEST_LIMIT as u64).await?;
        let Some(bytes) = bytes else { return Ok(false) };
        if media_type::is_index(&descriptor.media_type) {
            let mut any = false;
            for entry in document::index(descriptor, &bytes)?.manifests {
                if !(self.meant)(&entry) {
                    continue;
                }
                if Box::pin(self.add(&entry.descriptor, depth + 1)).await? {
                    any |= !entry.is_attestation();
                } else if self.gaps == Gaps::Refuse {
                    return Ok(false);
                }
            }
            if !any {
                return Ok(false);
            }
        } else {
            // Attestations and artifacts travel too: their parts are blobs like any other.
            let manifest = document::any_manifest(descriptor, &bytes)?;
            for blob in manifest.layers.into_iter().chain([manifest.config]) {
                if self.graph.blobs.iter().any(|known| known.digest == blob.digest) {
                    continue;
                }
                if self.content.info(self.namespace, &blob.digest).await?.is_none() {
                    return Ok(false);
                }
                self.graph.blobs.push(blob);
            }
        }
        self.graph.documents.push(Document { descriptor: descriptor.clone(), bytes });
        Ok(true)
    }
}
