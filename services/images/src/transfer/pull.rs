//! Pulls: from a name at a registry to an image here, of as many platforms as are asked for.
//!
//! ```text
//! resolve → indexes, manifests, configs of what is meant, and of the rest where their metadata is wanted
//!    → documents into the store, the inner first
//!    → layers of what is meant, unpacked while they arrive where that is asked for
//!    → names
//! ```

use std::collections::HashSet;

use ::bytes::Bytes;
use gantry_api::content::Owner;
use gantry_proto::containerd::types::transfer as pb;
use gantry_types::{Descriptor, Digest, Labels, media_type};
use tokio::sync::mpsc;

use super::Transfers;
use super::report::{Parts, Report, part_name};
use super::storage::{self, Platforms, Unpack};
use crate::content::ingest_ref;
use crate::document::{self, Config, MAX_DEPTH, Manifest};
use crate::error::Error;
use crate::progress::{Event, LayerProgress, Progress, State};
use crate::pull::{Sources, origin_label};
use crate::snapshots;
use gantry_distribution::{Access, MANIFEST_LIMIT};

/// What is to be fetched of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// The whole image.
    Whole,
    /// Itself and its config.
    Metadata,
}

/// A document that is to be stored, with the labels by which it keeps what it refers to.
struct Document {
    descriptor: Descriptor,
    bytes: Bytes,
    labels: Labels,
    was_there: bool,
}

/// A manifest of which everything is to be fetched.
struct Image {
    manifest: Manifest,
    /// The config; `None` for an artifact.
    config: Option<Config>,
}

/// The walk through what a name stands for.
struct Walk<'a> {
    sources: Sources<'a>,
    platforms: &'a Platforms,
    store: &'a pb::ImageStore,
    report: &'a Report,
    parts: Parts,
    /// The outer before the inner.
    documents: Vec<Document>,
    images: Vec<Image>,
    seen: HashSet<Digest>,
}

impl Transfers {
    /// Fetches an image, unpacks it where that is asked for, and gives it its names.
    pub(super) async fn pull(
        &self,
        owner: &Owner,
        from: pb::OciRegistry,
        to: &pb::ImageStore,
        report: &Report,
    ) -> Result<(), Error> {
        let source = self.registry(&owner.namespace, self.puller.remote(), from, Access::Pull)?;
        let content = self.catalog.content();
        let sources = Sources { content, repository: &source.repository, owner };
        let about = |error: Error| Error::Unresolved {
            reference: source.text.clone(),
            source: Box::new(error.of_image("pull", &source.reference.familiar_name(), &source.text)),
        };
        report.say(format!("Resolving from {}", source.name())).await;
        let (target, bytes) = sources.resolve(&source.object().map_err(about)?).await.map_err(about)?;
        report.say(format!("Pulling from {}", source.name())).await;
        report.image("fetching image content", &source.text, None).await;

        let platforms = Platforms::of(&to.platforms);
        let mut walk = Walk {
            sources,
            platforms: &platforms,
            store: to,
            report,
            parts: Parts::default(),
            documents: Vec::new(),
            images: Vec::new(),
            seen: HashSet::new(),
        };
        let target = walk.document(&target, bytes, &source.text).await?;
        walk.below(0, 0, Extent::Whole).await?;
        walk.store().await?;
        for image in &walk.images {
            self.bring_image(sources, image, &storage::unpacks(to), &walk.parts, report).await?;
        }
        self.catalog.forget(&owner.namespace, &target.digest);
        let names = storage::names_of(to, &target);
        storage::name(&self.names, &owner.namespace, to, &target, &names).await?;
        for name in &names {
            report.image("saved", name, None).await;
        }
        report.say(format!("Completed pull from {}", source.name())).await;
        Ok(())
    }

    /// Fetches the layers of one manifest, and unpacks them where `unpacks` wants its platform.
    async fn bring_image(
        &self,
        sources: Sources<'_>,
        image: &Image,
        unpacks: &[Unpack],
        parts: &Parts,
        report: &Report,
    ) -> Result<(), Error> {
        let layers = &image.manifest.layers;
        let present = present(sources, layers).await?;
        for digest in &present {
            parts.end(report, digest, "already exists").await;
        }
        let (progress, events) = Progress::channel();
        let bringing = async {
            let brought = self.bring_layers(sources, image, unpacks, &progress).await;
            drop(progress);
            brought
        };
        let (brought, ()) = futures::future::join(bringing, tell(events, &present, parts, report)).await;
        brought
    }

    async fn bring_layers(
        &self,
        sources: Sources<'_>,
        image: &Image,
        unpacks: &[Unpack],
        progress: &Progress,
    ) -> Result<(), Error> {
        let Image { manifest, config } = image;
        let wanted = |config: &&Config| {
            unpacks.iter().any(|unpack| unpack.platform.rank(&config.platform()).is_some())
        };
        let Some(config) = config.as_ref().filter(wanted) else {
            return self.puller.fetch(sources, &distinct(&manifest.layers), progress).await;
        };
        for unpack in unpacks.iter().filter(|unpack| unpack.platform.rank(&config.platform()).is_some()) {
            let snapshotter = unpack.snapshotter.as_deref().unwrap_or(self.catalog.snapshotter());
            let diff_ids = &config.rootfs.diff_ids;
            self.puller.bring_layers(sources, &manifest.layers, diff_ids, snapshotter, progress).await?;
            let namespace = &sources.owner.namespace;
            snapshots::keep(sources.content, namespace, snapshotter, manifest, config).await?;
        }
        Ok(())
    }
}

/// Those of the blobs that are in the store.
async fn present(sources: Sources<'_>, blobs: &[Descriptor]) -> Result<HashSet<Digest>, Error> {
    let namespace = &sources.owner.namespace;
    let mut present = HashSet::new();
    for blob in blobs {
        if sources.content.info(namespace, &blob.digest).await?.is_some() {
            present.insert(blob.digest.clone());
        }
    }
    Ok(present)
}

fn distinct(blobs: &[Descriptor]) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    blobs.iter().filter(|blob| seen.insert(&blob.digest)).cloned().collect()
}

/// Puts how the layers do in containerd's words. How they are unpacked has none.
async fn tell(mut events: mpsc::Receiver<Event>, present: &HashSet<Digest>, parts: &Parts, report: &Report) {
    while let Some(event) = events.recv().await {
        let Event::Layer(LayerProgress { digest, state, current, .. }) = event else { continue };
        if present.contains(&digest) {
            continue;
        }
        match state {
            State::Downloading => {
                if let Some(progress) = parts.progress(&digest, "downloading", current) {
                    report.count(progress);
                }
            }
            State::Downloaded => parts.end(report, &digest, "complete").await,
            _ => {}
        }
    }
}

impl Walk<'_> {
    /// Reads a document, from the store or the registry; what it really is.
    async fn document(
        &mut self,
        descriptor: &Descriptor,
        bytes: Option<Bytes>,
        parent: &str,
    ) -> Result<Descriptor, Error> {
        let Sources { content, repository, owner } = self.sources;
        self.parts.wait_for(self.report, descriptor, parent).await;
        let digest = &descriptor.digest;
        let known = content.read(&owner.namespace, digest, MANIFEST_LIMIT as u64).await?;
        let was_there = known.is_some();
        let bytes = match known.or(bytes) {
            Some(bytes) => bytes,
            None => repository.manifest(digest.as_str(), Some(digest)).await?.bytes,
        };
        // A HEAD without a length resolves to size 0: the bytes know better, their digest is proved.
        let size = bytes.len() as u64;
        if descriptor.size != size && descriptor.size != 0 {
            return Err(Error::WrongSize { digest: digest.clone(), expected: descriptor.size, found: size });
        }
        if was_there {
            self.parts.end(self.report, digest, "already exists").await;
        }
        let descriptor = Descriptor { size, ..descriptor.clone() };
        let labels = Labels::new();
        self.documents.push(Document { descriptor: descriptor.clone(), bytes, labels, was_there });
        Ok(descriptor)
    }

    /// Follows the document at `at` to all that is meant below it.
    async fn below(&mut self, at: usize, depth: usize, extent: Extent) -> Result<(), Error> {
        let (descriptor, bytes) = (self.documents[at].descriptor.clone(), self.documents[at].bytes.clone());
        if media_type::is_index(&descriptor.media_type) {
            return self.below_index(at, &descriptor, &bytes, depth, extent).await;
        }
        let parent = part_name(&descriptor);
        let mut manifest = document::any_manifest(&descriptor, &bytes)?;
        // Statements about images look like images, but for their layers.
        let is_image = media_type::is_config(&manifest.config.media_type)
            && manifest.layers.iter().all(|layer| media_type::is_layer(&layer.media_type));
        let mut config = None;
        if is_image {
            document::manifest(&descriptor, &bytes)?;
            self.keep(at, "config".into(), &manifest.config.digest);
            let json = self.config(&manifest.config, &parent).await?;
            if extent == Extent::Whole {
                config = Some(document::config(&manifest, &json)?);
            }
        }
        if extent == Extent::Metadata {
            return Ok(());
        }
        if manifest.layers.len() > document::MAX_LAYERS {
            let cause = format!("it has more than {} layers", document::MAX_LAYERS);
            return Err(Error::Document { what: "manifest", digest: descriptor.digest, cause });
        }
        for (number, layer) in manifest.layers.iter().enumerate() {
            self.keep(at, format!("l.{number}"), &layer.digest);
            if !self.parts.contains(&layer.digest) {
                self.parts.wait_for(self.report, layer, &parent).await;
            }
        }
        // An artifact's config is a blob like any other.
        if config.is_none() {
            self.keep(at, "config".into(), &manifest.config.digest);
            self.parts.wait_for(self.report, &manifest.config, &parent).await;
            manifest.layers.push(manifest.config.clone());
        }
        self.images.push(Image { manifest, config });
        Ok(())
    }

    async fn below_index(
        &mut self,
        at: usize,
        descriptor: &Descriptor,
        bytes: &[u8],
        depth: usize,
        extent: Extent,
    ) -> Result<(), Error> {
        if depth == MAX_DEPTH {
            let cause = format!("indexes are nested more than {MAX_DEPTH} deep");
            return Err(Error::Document { what: "index", digest: descriptor.digest.clone(), cause });
        }
        let parent = part_name(descriptor);
        let index = document::index(descriptor, bytes)?;
        let mut meant: Vec<(usize, usize)> = Vec::new();
        for (number, entry) in index.manifests.iter().enumerate() {
            if self.platforms.includes(entry) {
                meant.push((self.platforms.rank(entry.platform().as_ref()).unwrap_or_default(), number));
            }
        }
        meant.sort_unstable();
        if self.store.manifest_limit > 0 {
            meant.truncate(self.store.manifest_limit as usize);
        }
        let meant: HashSet<usize> = meant.into_iter().map(|(_, number)| number).collect();
        for (number, entry) in index.manifests.iter().enumerate() {
            let kind = &entry.descriptor.media_type;
            let is_document = media_type::is_manifest(kind) || media_type::is_index(kind);
            let extent = match (extent, meant.contains(&number)) {
                (Extent::Whole, true) => Extent::Whole,
                // Statements about others belong to the metadata, too.
                _ if self.store.all_metadata => Extent::Metadata,
                _ => continue,
            };
            if !is_document {
                continue;
            }
            self.keep(at, format!("m.{number}"), &entry.descriptor.digest);
            if self.seen.insert(entry.descriptor.digest.clone()) {
                let inner = self.documents.len();
                self.document(&entry.descriptor, None, &parent).await?;
                Box::pin(self.below(inner, depth + 1, extent)).await?;
            }
        }
        Ok(())
    }

    /// Makes the document at `at` keep something.
    fn keep(&mut self, at: usize, what: String, digest: &Digest) {
        self.documents[at].labels.insert(format!("containerd.io/gc.ref.content.{what}"), digest.to_string());
    }

    /// Reads a config, from the store or the registry, and puts it into the store.
    async fn config(&mut self, config: &Descriptor, parent: &str) -> Result<Bytes, Error> {
        let Sources { content, repository, owner } = self.sources;
        self.parts.wait_for(self.report, config, parent).await;
        let known = content.read(&owner.namespace, &config.digest, document::CONFIG_LIMIT).await?;
        let was_there = known.is_some();
        let json = match known {
            Some(json) => json,
            None => self.sources.config(config).await?,
        };
        let labels = Labels::from([origin_label(repository)]);
        let reference = ingest_ref(part_name(config));
        content.write(owner, &reference, &config.digest, json.clone(), labels).await?;
        let event = if was_there { "already exists" } else { "complete" };
        self.parts.end(self.report, &config.digest, event).await;
        Ok(json)
    }

    /// Puts the documents into the store, under the owner's lease.
    async fn store(&self) -> Result<(), Error> {
        let Sources { content, repository, owner } = self.sources;
        for document in self.documents.iter().rev() {
            let Document { descriptor, bytes, labels, was_there } = document;
            let labels = labels.clone().into_iter().chain([origin_label(repository)]).collect();
            let reference = ingest_ref(part_name(descriptor));
            content.write(owner, &reference, &descriptor.digest, bytes.clone(), labels).await?;
            if !was_there {
                self.parts.end(self.report, &descriptor.digest, "complete").await;
            }
        }
        Ok(())
    }
}
