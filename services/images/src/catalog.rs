//! What images are: from a name or an id to target, manifest, config, layers and sizes.
//!
//! Documents are immutable, so what was read once of a target is kept in memory; only whether it is unpacked, and
//! how large that is, is asked again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use gantry_types::{ChainId, Descriptor, Digest, Namespace, Platform, Reference, media_type};
use parking_lot::Mutex;

use crate::content::Content;
use crate::document::{self, CONFIG_LIMIT, Config, MAX_DEPTH, Manifest};
use crate::error::Error;
use crate::record::Record;
use crate::snapshots::Snapshots;
use crate::store::Store;
use gantry_distribution::MANIFEST_LIMIT;

/// Finds and reads images. A cheap clone.
#[derive(Clone)]
pub struct Catalog {
    store: Store,
    content: Content,
    snapshots: Snapshots,
    snapshotter: Arc<str>,
    /// Guards single reads and writes of the maps.
    known: Arc<Mutex<Known>>,
}

/// What was read before. Bounded: it is emptied when it has grown large.
#[derive(Default)]
struct Known {
    details: HashMap<(Namespace, Digest, Option<Platform>), Arc<Details>>,
    /// The length of the configs among them, at most.
    bytes: usize,
    usage: HashMap<(Namespace, ChainId), u64>,
}

const KNOWN_LIMIT: usize = 4096;
const KNOWN_BYTES: usize = 32 << 20;

/// An image by one of the ways to name it.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub target: Descriptor,
    /// All records that point at it.
    pub records: Vec<Record>,
    /// The record by whose name it was found; none when it was found by its id.
    pub by_name: Option<Record>,
}

/// The documents of an image for one platform.
#[derive(Debug)]
pub struct Details {
    /// The manifest's descriptor; the target itself when that is no index.
    pub manifest: Descriptor,
    /// The manifest.
    pub document: Manifest,
    /// The config.
    pub config: Config,
    /// The config as it is in the store.
    pub config_json: Bytes,
}

/// What is unpacked of an image.
#[derive(Clone, Debug, Default)]
pub struct Unpacked {
    /// Whether the whole stack is there.
    pub complete: bool,
    /// Per layer, base first; none where it is not unpacked.
    pub sizes: Vec<Option<u64>>,
}

impl Details {
    /// The content's size: manifest, config and layers, bytes.
    pub fn content_size(&self) -> u64 {
        let layers: u64 = self.document.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
        layers.saturating_add(self.document.config.size).saturating_add(self.manifest.size)
    }
}

impl Catalog {
    /// Images of `store`, whose documents are in `content`, unpacked by `snapshotter`.
    pub fn new(store: Store, content: Content, snapshots: Snapshots, snapshotter: &str) -> Self {
        Self { store, content, snapshots, snapshotter: snapshotter.into(), known: Arc::default() }
    }

    /// The content it reads from.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The snapshotter for requests that name none.
    pub fn snapshotter(&self) -> &str {
        &self.snapshotter
    }

    /// Where its layers are unpacked.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Finds an image by name, digest reference, or the beginning of its id.
    pub fn find(&self, namespace: &Namespace, text: &str) -> Result<Found, Error> {
        let records = self.store.list(namespace)?;
        let text = text.trim();
        let reference = Reference::parse_normalized(text);
        if let Some(digits) = text.strip_prefix("sha256:") {
            let found = by_id(&records, digits, text);
            // An archive may bring a repository of this name.
            let named = reference.as_ref().ok().and_then(|reference| by_reference(&records, reference));
            return match (found, named) {
                (Err(Error::NoImage(_)), Some(record)) => {
                    Ok(gather(&records, record.target.clone(), Some(record.clone())))
                }
                (found, _) => found,
            };
        }
        let named = match &reference {
            Ok(reference) => by_reference(&records, reference),
            Err(_) => records.iter().find(|record| record.name == text),
        };
        if let Some(record) = named.or_else(|| records.iter().find(|record| record.name == text)) {
            return Ok(gather(&records, record.target.clone(), Some(record.clone())));
        }
        match by_id(&records, text, text) {
            Err(Error::NoImage(_)) => match reference {
                Ok(reference) => Err(Error::NoImage(reference.with_default_tag().familiar())),
                Err(_) if is_hex(text) => Err(Error::NoImage(text.to_owned())),
                Err(error) => Err(error.into()),
            },
            found => found,
        }
    }

    /// All images, each once, by the names that point at it.
    pub fn all(&self, namespace: &Namespace) -> Result<Vec<Found>, Error> {
        let mut images: BTreeMap<Digest, Found> = BTreeMap::new();
        for record in self.store.list(namespace)? {
            let target = &record.target;
            let empty = || Found { target: target.clone(), records: Vec::new(), by_name: None };
            images.entry(target.digest.clone()).or_insert_with(empty).records.push(record);
        }
        Ok(images.into_values().collect())
    }

    /// Reads the documents of `target` for `wanted`, or for the host, or for what is there.
    pub async fn details(
        &self,
        namespace: &Namespace,
        target: &Descriptor,
        wanted: Option<&Platform>,
    ) -> Result<Arc<Details>, Error> {
        let key = (namespace.clone(), target.digest.clone(), wanted.cloned());
        if let Some(known) = self.known(|known| known.details.get(&key).cloned()) {
            return Ok(known);
        }
        let platform = wanted.cloned().unwrap_or_else(Platform::host);
        let candidates = self.candidates(namespace, target, &platform, wanted.is_none()).await?;
        let (mut others, mut missing) = (Vec::new(), None);
        for manifest in candidates {
            match self.read(namespace, &manifest).await {
                Ok(details) => {
                    let platform = details.config.platform();
                    if let Some(wanted) = wanted
                        && wanted.rank(&platform).is_none()
                    {
                        others.push(platform.to_string());
                        continue;
                    }
                    let details = Arc::new(details);
                    self.known(|known| {
                        known.bytes += details.config_json.len();
                        if known.details.len() >= KNOWN_LIMIT || known.bytes > KNOWN_BYTES {
                            known.details.clear();
                            known.bytes = details.config_json.len();
                        }
                        known.details.insert(key.clone(), Arc::clone(&details));
                    });
                    return Ok(details);
                }
                Err(error @ Error::Missing { .. }) => missing = missing.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match (wanted, missing) {
            (Some(wanted), _) => {
                let (reference, found) = (target.digest.to_string(), others.join(", "));
                Err(Error::OtherPlatform { reference, found, wanted: wanted.clone() })
            }
            (None, Some(missing)) => Err(missing),
            (None, None) => Err(Error::NoPlatform { reference: target.digest.to_string(), wanted: platform }),
        }
    }

    /// Reads the documents of `digest` anew when they are asked for next: more of them may be here.
    pub fn forget(&self, namespace: &Namespace, digest: &Digest) {
        self.known(|known| known.details.retain(|(of, target, _), _| of != namespace || target != digest));
    }

    /// The manifests below `target`, the most fitting first; all of them when `any` will do.
    async fn candidates(
        &self,
        namespace: &Namespace,
        target: &Descriptor,
        platform: &Platform,
        any: bool,
    ) -> Result<Vec<Descriptor>, Error> {
        let mut found = Vec::new();
        // Each once: indexes that name each other's entries again and again would take for ever.
        let mut seen = HashSet::new();
        let mut open = vec![(target.clone(), 0)];
        while let Some((descriptor, depth)) = open.pop() {
            if !seen.insert(descriptor.digest.clone()) {
                continue;
            }
            if !media_type::is_index(&descriptor.media_type) {
                found.push(descriptor);
                continue;
            }
            if depth == MAX_DEPTH {
                continue;
            }
            let Some(bytes) = self.content.read(namespace, &descriptor.digest, MANIFEST_LIMIT as u64).await?
            else {
                match depth {
                    0 => return Err(missing(&descriptor.digest, &target.digest)),
                    _ => continue,
                }
            };
            let index = document::index(&descriptor, &bytes)?;
            let ranked: Vec<Descriptor> = document::ranked(&index, platform)
                .into_iter()
                .map(|entry| entry.descriptor.clone())
                .collect();
            let others = index.manifests.iter().filter(|entry| any && !entry.is_attestation());
            let others = others.map(|entry| entry.descriptor.clone()).filter(|entry| !ranked.contains(entry));
            let ordered: Vec<Descriptor> = ranked.iter().cloned().chain(others).collect();
            // A stack: the best is pushed last.
            open.extend(ordered.into_iter().rev().map(|entry| (entry, depth + 1)));
        }
        Ok(found)
    }

    async fn read(&self, namespace: &Namespace, manifest: &Descriptor) -> Result<Details, Error> {
        let bytes = self.content.read(namespace, &manifest.digest, MANIFEST_LIMIT as u64).await?;
        let bytes = bytes.ok_or_else(|| missing(&manifest.digest, &manifest.digest))?;
        let document = document::manifest(manifest, &bytes)?;
        let config_json = self.content.read(namespace, &document.config.digest, CONFIG_LIMIT).await?;
        let config_json = config_json.ok_or_else(|| missing(&document.config.digest, &manifest.digest))?;
        let config = document::config(&document, &config_json)?;
        Ok(Details { manifest: manifest.clone(), document, config, config_json })
    }

    /// The images below `target` that are here, and what each was built for.
    pub async fn present(
        &self,
        namespace: &Namespace,
        target: &Descriptor,
    ) -> Result<Vec<(Descriptor, Platform)>, Error> {
        let mut present = Vec::new();
        for manifest in self.candidates(namespace, target, &Platform::host(), true).await? {
            match self.read(namespace, &manifest).await {
                Ok(details) => present.push((manifest, details.config.platform())),
                Err(Error::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(present)
    }

    /// Whether and how large an image's layers are unpacked.
    pub async fn unpacked(&self, namespace: &Namespace, details: &Details) -> Result<Unpacked, Error> {
        let chain = ChainId::all(&details.config.rootfs.diff_ids);
        let Some(top) = chain.last() else { return Ok(Unpacked { complete: true, sizes: Vec::new() }) };
        let complete = self.exists(namespace, top).await?;
        let mut sizes = Vec::with_capacity(chain.len());
        for chain_id in &chain {
            sizes.push(match complete {
                true => self.usage(namespace, chain_id).await?,
                false => None,
            });
        }
        Ok(Unpacked { complete, sizes })
    }

    /// Whether a stack is unpacked.
    pub async fn exists(&self, namespace: &Namespace, chain_id: &ChainId) -> Result<bool, Error> {
        self.snapshots.exists(namespace, &self.snapshotter, chain_id).await
    }

    async fn usage(&self, namespace: &Namespace, chain_id: &ChainId) -> Result<Option<u64>, Error> {
        let key = (namespace.clone(), chain_id.clone());
        if let Some(known) = self.known(|known| known.usage.get(&key).copied()) {
            return Ok(Some(known));
        }
        let size = self.snapshots.usage(namespace, &self.snapshotter, chain_id).await?;
        if let Some(size) = size {
            self.known(|known| {
                if known.usage.len() >= KNOWN_LIMIT {
                    known.usage.clear();
                }
                known.usage.insert(key, size);
            });
        }
        Ok(size)
    }

    fn known<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.known.lock())
    }
}

fn missing(digest: &Digest, image: &Digest) -> Error {
    Error::Missing { digest: digest.clone(), image: image.to_string() }
}

fn by_reference<'a>(records: &'a [Record], reference: &Reference) -> Option<&'a Record> {
    if let Some(digest) = reference.digest() {
        return records.iter().find(|record| {
            record.target.digest == *digest
                && Reference::parse_normalized(&record.name).is_ok_and(|name| name.name() == reference.name())
        });
    }
    let name = reference.clone().with_default_tag().to_string();
    records.iter().find(|record| record.name == name)
}

/// Ids may be shortened to four digits.
fn by_id(records: &[Record], digits: &str, text: &str) -> Result<Found, Error> {
    let targets: BTreeSet<&Digest> = match is_hex(digits) && (4..=64).contains(&digits.len()) {
        true => records
            .iter()
            .map(|record| &record.target.digest)
            .filter(|digest| digest.hex().starts_with(digits))
            .collect(),
        false => BTreeSet::new(),
    };
    let mut targets = targets.into_iter();
    match (targets.next(), targets.next()) {
        (None, _) => Err(Error::NoImage(text.to_owned())),
        (Some(_), Some(_)) => Err(Error::AmbiguousId(text.to_owned())),
        (Some(digest), None) => {
            let record = records.iter().find(|record| record.target.digest == *digest);
            let record = record.expect("the digest is that of a record");
            Ok(gather(records, record.target.clone(), None))
        }
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn gather(records: &[Record], target: Descriptor, by_name: Option<Record>) -> Found {
    let records = records.iter().filter(|record| record.target.digest == target.digest).cloned().collect();
    Found { target, records, by_name }
}

impl Found {
    /// The canonical names with tags.
    pub fn names(&self) -> Vec<String> {
        self.references()
            .filter(|reference| reference.tag().is_some())
            .map(|reference| reference.to_string())
            .collect()
    }

    /// `repository@digest` for each repository that it is known in.
    pub fn digests(&self) -> Vec<String> {
        let digests: BTreeSet<String> = self
            .references()
            .map(|reference| reference.with_digest(self.target.digest.clone()).to_string())
            .collect();
        digests.into_iter().collect()
    }

    /// Its names as references; records whose names are none are left out.
    pub fn references(&self) -> impl Iterator<Item = Reference> + '_ {
        let named = self.records.iter().filter(|record| !record.is_dangling());
        named.filter_map(|record| Reference::parse_normalized(&record.name).ok())
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::Peers;

    use super::*;

    fn record(name: &str, content: &str) -> Record {
        Record::new(name, Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(content.as_bytes()), 3))
    }

    #[tokio::test]
    async fn images_are_found_by_name_digest_and_id() {
        let directory = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let store = Store::open(directory.path()).expect("a store");
        let moby: Namespace = "moby".parse().expect("an identifier");
        for (name, content) in [
            ("docker.io/library/a:latest", "1"),
            ("host:5000/b:2", "1"),
            ("docker.io/u/c:1", "2"),
            ("odd name", "3"),
        ] {
            store.create(&moby, record(name, content)).await.expect("free");
        }
        let peers = Peers::new(directory.path());
        let catalog = Catalog::new(store, Content::new(&peers), Snapshots::new(&peers), "overlayfs");
        let (one, three) = (Digest::sha256(b"1"), Digest::sha256(b"3"));
        let id = |text: &str| catalog.find(&moby, text).map(|found| found.target.digest);
        for text in [
            "a",
            "a:latest",
            "docker.io/library/a",
            "host:5000/b:2",
            one.as_str(),
            one.hex(),
            one.short(),
            &format!("a@{one}"),
            &format!("host:5000/b:9@{one}"),
        ] {
            assert_eq!(id(text).expect(text), one, "{text}");
        }
        assert_eq!(id("odd name").expect("by its raw name"), three);
        for text in ["b:2", "a:2", &format!("c@{one}"), "sha256:0000", "0000", "abc"] {
            assert!(matches!(id(text), Err(Error::NoImage(_))), "{text}");
        }
        assert!(matches!(id("UPPER"), Err(Error::Invalid(_))));
        let found = catalog.find(&moby, "a").expect("there");
        assert_eq!(found.names(), ["docker.io/library/a:latest", "host:5000/b:2"]);
        assert_eq!(found.digests(), [format!("docker.io/library/a@{one}"), format!("host:5000/b@{one}")]);
        assert_eq!(catalog.all(&moby).expect("readable").len(), 3);
    }
}
