//! All that belongs to an image: its documents and blobs, for leaving this machine by a push or an archive.

use std::collections::HashSet;

use bytes::Bytes;
use gantry_types::{Descriptor, Digest, Namespace, media_type};

use crate::content::Content;
use crate::document::{self, MAX_DEPTH};
use crate::error::Error;
use crate::remote::MANIFEST_LIMIT;

/// One image, spread out.
#[derive(Clone, Debug, Default)]
pub struct Cargo {
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

impl Cargo {
    /// Spreads `target` out; none when it is not complete.
    pub async fn gather(
        content: &Content,
        namespace: &Namespace,
        target: &Descriptor,
        gaps: Gaps,
    ) -> Result<Option<Self>, Error> {
        let mut cargo = Self::default();
        let mut absent = HashSet::new();
        Ok(cargo.add(content, namespace, target, gaps, 0, &mut absent).await?.then_some(cargo))
    }

    /// Adds what belongs to `descriptor`; false, and nothing is added, when that is not complete. What is in `absent`
    /// was found to be incomplete before.
    async fn add(
        &mut self,
        content: &Content,
        namespace: &Namespace,
        descriptor: &Descriptor,
        gaps: Gaps,
        depth: usize,
        absent: &mut HashSet<Digest>,
    ) -> Result<bool, Error> {
        let (documents, blobs) = (self.documents.len(), self.blobs.len());
        if absent.contains(&descriptor.digest) {
            return Ok(false);
        }
        let complete = self.gather_below(content, namespace, descriptor, gaps, depth, absent).await?;
        if !complete {
            absent.insert(descriptor.digest.clone());
            self.documents.truncate(documents);
            self.blobs.truncate(blobs);
        }
        Ok(complete)
    }

    async fn gather_below(
        &mut self,
        content: &Content,
        namespace: &Namespace,
        descriptor: &Descriptor,
        gaps: Gaps,
        depth: usize,
        absent: &mut HashSet<Digest>,
    ) -> Result<bool, Error> {
        if self.documents.iter().any(|known| known.descriptor.digest == descriptor.digest) {
            return Ok(true);
        }
        if depth > MAX_DEPTH {
            return Ok(false);
        }
        let bytes = content.read(namespace, &descriptor.digest, MANIFEST_LIMIT as u64).await?;
        let Some(bytes) = bytes else { return Ok(false) };
        if media_type::is_index(&descriptor.media_type) {
            let mut any = false;
            for entry in document::index(descriptor, &bytes)?.manifests {
                let below = self.add(content, namespace, &entry.descriptor, gaps, depth + 1, absent);
                if Box::pin(below).await? {
                    any |= !entry.is_attestation();
                } else if gaps == Gaps::Refuse {
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
                if self.blobs.iter().any(|known| known.digest == blob.digest) {
                    continue;
                }
                if content.info(namespace, &blob.digest).await?.is_none() {
                    return Ok(false);
                }
                self.blobs.push(blob);
            }
        }
        self.documents.push(Document { descriptor: descriptor.clone(), bytes });
        Ok(true)
    }
}
