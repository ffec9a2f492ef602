//! What has to come: from a name through indexes to the manifest of one platform, its config and its layers.

use bytes::Bytes;
use gantry_api::content::Owner;
use gantry_types::{Descriptor, Digest, Labels, Platform, media_type};

use crate::content::{Content, part_ref};
use crate::document::{self, Config, MAX_DEPTH, Manifest};
use crate::error::Error;
use gantry_distribution::{self as distribution, MANIFEST_LIMIT, Repository};

/// An image that is to be fetched.
#[derive(Debug)]
pub struct Plan {
    /// What the name points at.
    pub target: Descriptor,
    /// The indexes on the way to the manifest, outermost first.
    indexes: Vec<Document>,
    /// The manifest of the platform.
    manifest: Document,
    /// The manifest, read.
    pub document: Manifest,
    /// The config, read.
    pub config: Config,
    config_json: Bytes,
}

/// A document and the labels by which it keeps what it refers to.
#[derive(Debug)]
struct Document {
    descriptor: Descriptor,
    bytes: Bytes,
    labels: Labels,
}

/// Where documents come from: the store first, then the registry.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    pub content: &'a Content,
    pub repository: &'a Repository,
    pub owner: &'a Owner,
}

impl Sources<'_> {
    /// What `reference` (a tag or a digest) points at, with its bytes when they had to be fetched to know.
    pub async fn resolve(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>), Error> {
        if let Ok(digest) = reference.parse::<Digest>() {
            let known = self.content.read(&self.owner.namespace, &digest, MANIFEST_LIMIT as u64).await?;
            if let Some(bytes) = known
                && let Some(media_type) = document::media_type_of(&bytes)
            {
                return Ok((Descriptor::new(media_type, digest, bytes.len() as u64), Some(bytes)));
            }
            let manifest = self.repository.manifest(reference, Some(&digest)).await?;
            return Ok((manifest.descriptor, Some(manifest.bytes)));
        }
        match self.repository.head(reference).await? {
            Some(descriptor) => Ok((descriptor, None)),
            None => {
                let manifest = self.repository.manifest(reference, None).await?;
                Ok((manifest.descriptor, Some(manifest.bytes)))
            }
        }
    }

    /// Follows `target` to everything that has to come.
    pub async fn plan(
        &self,
        target: Descriptor,
        bytes: Option<Bytes>,
        wanted: &Platform,
        name: &str,
    ) -> Result<Plan, Error> {
        let mut indexes = Vec::new();
        let mut current = self.document(&target, bytes).await?;
        let target = current.descriptor.clone();
        while media_type::is_index(&current.descriptor.media_type) {
            if indexes.len() == MAX_DEPTH {
                let cause = format!("indexes are nested more than {MAX_DEPTH} deep");
                return Err(Error::Document { what: "index", digest: target.digest, cause });
            }
            let index = document::index(&current.descriptor, &current.bytes)?;
            let entry = document::ranked(&index, wanted).first().map(|entry| entry.descriptor.clone());
            let entry = entry
                .ok_or_else(|| Error::NoPlatform { reference: name.to_owned(), wanted: wanted.clone() })?;
            let at = index.manifests.iter().position(|known| known.descriptor == entry).unwrap_or_default();
            current.labels.insert(format!("containerd.io/gc.ref.content.m.{at}"), entry.digest.to_string());
            indexes.push(current);
            current = self.document(&entry, None).await?;
        }
        let mut manifest = current;
        let document = document::manifest(&manifest.descriptor, &manifest.bytes)?;
        manifest
            .labels
            .insert("containerd.io/gc.ref.content.config".into(), document.config.digest.to_string());
        for (at, layer) in document.layers.iter().enumerate() {
            manifest.labels.insert(format!("containerd.io/gc.ref.content.l.{at}"), layer.digest.to_string());
        }
        let config_json = self.config(&document.config).await?;
        let config = document::config(&document, &config_json)?;
        Ok(Plan { target, indexes, manifest, document, config, config_json })
    }

    /// A manifest or index by its descriptor.
    async fn document(&self, descriptor: &Descriptor, bytes: Option<Bytes>) -> Result<Document, Error> {
        let digest = &descriptor.digest;
        let known = match bytes {
            Some(bytes) => Some(bytes),
            None => self.content.read(&self.owner.namespace, digest, MANIFEST_LIMIT as u64).await?,
        };
        let bytes = match known {
            Some(bytes) => bytes,
            None => self.repository.manifest(digest.as_str(), Some(digest)).await?.bytes,
        };
        // A HEAD without a length resolves to size 0: the bytes know better, their digest is proved.
        if descriptor.size != bytes.len() as u64 && descriptor.size != 0 {
            return Err(Error::WrongSize {
                digest: digest.clone(),
                expected: descriptor.size,
                found: bytes.len() as u64,
            });
        }
        let descriptor = Descriptor { size: bytes.len() as u64, ..descriptor.clone() };
        Ok(Document { descriptor, bytes, labels: Labels::new() })
    }

    /// A config by its descriptor.
    pub async fn config(&self, descriptor: &Descriptor) -> Result<Bytes, Error> {
        let namespace = &self.owner.namespace;
        if let Some(bytes) = self.content.read(namespace, &descriptor.digest, document::CONFIG_LIMIT).await? {
            return Ok(bytes);
        }
        let mut body = self.repository.blob(&descriptor.digest, descriptor.size, 0);
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let found = Digest::sha256(&bytes);
        if found != descriptor.digest {
            return Err(Error::WrongDigest {
                what: "config".into(),
                expected: descriptor.digest.clone(),
                found,
            });
        }
        Ok(bytes.into())
    }
}

impl Plan {
    /// Stores the documents under the owner's lease: config, manifest, and the indexes from the inside out.
    pub async fn store(&self, sources: Sources<'_>) -> Result<(), Error> {
        let Sources { content, owner, .. } = sources;
        let origin = || Labels::from([origin_label(sources.repository)]);
        let config = &self.document.config.digest;
        let reference = part_ref("config", config);
        content.write(owner, &reference, config, self.config_json.clone(), origin()).await?;
        for document in std::iter::once(&self.manifest).chain(self.indexes.iter().rev()) {
            let digest = &document.descriptor.digest;
            let kind =
                if media_type::is_index(&document.descriptor.media_type) { "index" } else { "manifest" };
            let labels = document.labels.clone().into_iter().chain(origin()).collect();
            let reference = part_ref(kind, digest);
            content.write(owner, &reference, digest, document.bytes.clone(), labels).await?;
        }
        Ok(())
    }
}

/// The label that remembers where a blob came from, so that a push can mount it from there. The host stands in it without
/// a port, as containerd has it.
pub fn origin_label(repository: &distribution::Repository) -> (String, String) {
    let domain = repository.domain();
    let host = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => domain,
    };
    let host = host.trim_matches(['[', ']']);
    (format!("containerd.io/distribution.source.{host}"), repository.path().to_owned())
}
