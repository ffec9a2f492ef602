//! Documents and blobs that are in the store become an image: tied together, unpacked, named.

use std::collections::{HashMap, HashSet};

use gantry_api::content::Owner;
use gantry_api::images::archives::ArchiveEvent;
use gantry_failpoint::failpoint;
use gantry_types::{ChainId, Descriptor, Digest, Labels, Platform, media_type};

use super::Desk;
use crate::document::{self, MAX_DEPTH};
use crate::error::Error;
use crate::progress::{Event, Progress, State};
use crate::record::Record;
use crate::snapshots;
use gantry_distribution::MANIFEST_LIMIT;

/// An image that came in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// A manifest or an index.
    pub target: Descriptor,
    /// Its canonical name.
    pub name: Option<String>,
}

/// Makes an image of what is in the store: labels, layers unpacked where they fit `wanted` or the host, record.
pub fn create(desk: &Desk, owner: &Owner, image: &Loaded, wanted: Option<&Platform>) -> Result<(), Error> {
    let mut ties = Ties { desk, owner, tied: HashMap::new() };
    if !ties.tie(&image.target, 0)? {
        return Err(Error::Archive(format!("image {} is not complete in it", image.target.digest)));
    }
    failpoint!("images.load.tied");
    let archives = &desk.archives;
    archives.catalog.forget(&desk.namespace, &image.target.digest);
    let details = desk.wait(archives.catalog.details(&desk.namespace, &image.target, wanted))?;
    let platform = wanted.cloned().unwrap_or_else(Platform::host);
    // What cannot run here is kept as it is.
    if platform.rank(&details.config.platform()).is_some() {
        let (document, config) = (&details.document, &details.config);
        extract(desk, owner, &document.layers, &config.rootfs.diff_ids)?;
        let snapshotter = archives.catalog.snapshotter();
        desk.wait(snapshots::keep(&archives.content, &desk.namespace, snapshotter, document, config))?;
    }
    failpoint!("images.load.unpacked");
    match &image.name {
        Some(name) => {
            desk.wait(archives.names.point(&desk.namespace, Record::new(name, image.target.clone())))?;
        }
        None => desk.wait(archives.names.keep_dangling(&desk.namespace, &image.target))?,
    }
    tracing::info!(image = image.name, digest = %image.target.digest, "took an image out of an archive");
    Ok(())
}

/// Ties the documents of an image together: labels each so that it keeps what it refers to.
struct Ties<'a> {
    desk: &'a Desk,
    owner: &'a Owner,
    /// What came of the documents that were looked at.
    tied: HashMap<Digest, bool>,
}

impl Ties<'_> {
    /// False when nothing below `descriptor` is complete.
    fn tie(&mut self, descriptor: &Descriptor, depth: usize) -> Result<bool, Error> {
        if let Some(complete) = self.tied.get(&descriptor.digest) {
            return Ok(*complete);
        }
        let complete = self.tie_parts(descriptor, depth)?;
        self.tied.insert(descriptor.digest.clone(), complete);
        Ok(complete)
    }

    fn tie_parts(&mut self, descriptor: &Descriptor, depth: usize) -> Result<bool, Error> {
        let desk = self.desk;
        let content = &desk.archives.content;
        let bytes = desk.wait(content.read(&desk.namespace, &descriptor.digest, MANIFEST_LIMIT as u64))?;
        let Some(bytes) = bytes.filter(|_| depth <= MAX_DEPTH) else { return Ok(false) };
        let mut labels = Labels::new();
        let mut label = |key: String, digest: &Digest| {
            labels.insert(format!("containerd.io/gc.ref.content.{key}"), digest.to_string());
        };
        if media_type::is_index(&descriptor.media_type) {
            let mut any = false;
            for (at, entry) in document::index(descriptor, &bytes)?.manifests.iter().enumerate() {
                if self.tie(&entry.descriptor, depth + 1)? {
                    label(format!("m.{at}"), &entry.descriptor.digest);
                    any |= !entry.is_attestation();
                }
            }
            if !any {
                return Ok(false);
            }
        } else {
            let manifest = document::any_manifest(descriptor, &bytes)?;
            for (at, layer) in manifest.layers.iter().enumerate() {
                if desk.wait(content.info(&desk.namespace, &layer.digest))?.is_none() {
                    return Ok(false);
                }
                label(format!("l.{at}"), &layer.digest);
            }
            if desk.wait(content.info(&desk.namespace, &manifest.config.digest))?.is_none() {
                return Ok(false);
            }
            label("config".into(), &manifest.config.digest);
        }
        desk.wait(content.label(&self.owner.namespace, &descriptor.digest, labels))?;
        Ok(true)
    }
}

/// Unpacks the layers, and tells how far each is.
fn extract(
    desk: &Desk,
    owner: &Owner,
    layers: &[Descriptor],
    diff_ids: &[gantry_types::DiffId],
) -> Result<(), Error> {
    let catalog = &desk.archives.catalog;
    let mut fresh = HashSet::new();
    for (layer, chain_id) in layers.iter().zip(ChainId::all(diff_ids)) {
        if !desk.wait(catalog.exists(&desk.namespace, &chain_id))? {
            fresh.insert(layer.digest.clone());
        }
    }
    let (progress, mut events) = Progress::channel();
    let unpacking = async {
        for layer in layers {
            if fresh.contains(&layer.digest) {
                progress.enter(&layer.digest, State::Downloaded, layer.size, layer.size).await?;
            }
        }
        let unpacking =
            catalog.snapshots().unpack(owner, catalog.snapshotter(), layers, diff_ids, Some(&progress));
        let result = unpacking.await;
        drop(progress);
        result
    };
    let telling = async {
        while let Some(event) = events.recv().await {
            let Event::Layer(layer) = event else { continue };
            if fresh.contains(&layer.digest) && layer.state != State::Downloaded {
                desk.tell(ArchiveEvent::Layer(layer))?;
            }
        }
        Ok(())
    };
    desk.wait(async { futures::future::try_join(unpacking, telling).await }).map(drop)
}
