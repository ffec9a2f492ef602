//! Manifests, indexes and configs, read as leniently as the images in the world demand and no further.
//!
//! Invariant: the result has valid digests, as many diff-ids as layers, and no more layers and entries than an image
//! can need, because each costs descriptors and calls.

use std::collections::BTreeMap;

use gantry_types::{ChainId, Descriptor, DiffId, Digest, Platform, media_type};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The largest config that is read.
pub const CONFIG_LIMIT: u64 = 8 << 20;
/// Layers of one image beyond this number are refused: overlayfs stacks no more (`OVL_MAX_STACK`).
pub const MAX_LAYERS: usize = 500;
/// Entries of one index beyond this number are refused.
const MAX_ENTRIES: usize = 1000;
/// Indexes within indexes deeper than this are refused.
pub const MAX_DEPTH: usize = 4;

/// The manifest of one image.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image's config.
    pub config: Descriptor,
    /// Base first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
}

/// An index of manifests.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its entries.
    #[serde(default)]
    pub manifests: Vec<Entry>,
}

/// One entry of an index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// What it points at.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// What it was built for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<EntryPlatform>,
}

/// A platform as it stands in an index.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EntryPlatform {
    /// Go's name of the architecture.
    #[serde(default)]
    pub architecture: String,
    /// Go's name of the operating system.
    #[serde(default)]
    pub os: String,
    /// `v7`, `v8`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Entry {
    /// Its platform, when it states one that is known.
    pub fn platform(&self) -> Option<Platform> {
        let platform = self.platform.as_ref()?;
        (platform.os != "unknown" && !platform.architecture.is_empty())
            .then(|| Platform::new(&platform.os, &platform.architecture, &platform.variant))
    }

    /// Whether it is a statement about another entry, and no image.
    pub fn is_attestation(&self) -> bool {
        self.descriptor
            .annotations
            .get("vnd.docker.reference.type")
            .is_some_and(|kind| kind == "attestation-manifest")
            || self.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
    }
}

/// What is needed of an image's config; the rest travels as JSON.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Config {
    /// Go's name of the architecture.
    #[serde(default)]
    pub architecture: String,
    /// Go's name of the operating system.
    #[serde(default)]
    pub os: String,
    /// `v7`, `v8`.
    #[serde(default)]
    pub variant: String,
    /// RFC 3339.
    #[serde(default)]
    pub created: Option<String>,
    /// The configuration of containers.
    #[serde(default)]
    pub config: Option<RunConfig>,
    /// What it is made of.
    #[serde(default)]
    pub rootfs: RootFs,
}

/// The part of a config that images are filtered by.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RunConfig {
    /// The image's labels.
    #[serde(rename = "Labels", default)]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A config's layers.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RootFs {
    /// Base first.
    #[serde(default)]
    pub diff_ids: Vec<DiffId>,
}

impl Config {
    /// What the image was built for.
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, &self.variant)
    }

    /// The labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.config.as_ref().and_then(|config| config.labels.clone()).unwrap_or_default()
    }

    /// The name of the whole stack; none for an image without layers.
    pub fn chain_id(&self) -> Option<ChainId> {
        ChainId::fold(&self.rootfs.diff_ids)
    }
}

/// Reads an index.
pub fn index(descriptor: &Descriptor, bytes: &[u8]) -> Result<Index, Error> {
    let index: Index = parse("index", &descriptor.digest, bytes)?;
    let count = index.manifests.len();
    if count > MAX_ENTRIES {
        let cause = format!("it has {count} entries, more than {MAX_ENTRIES} are not accepted");
        return Err(Error::Document { what: "index", digest: descriptor.digest.clone(), cause });
    }
    Ok(index)
}

/// Reads a manifest, whose layers have to be layers.
pub fn manifest(descriptor: &Descriptor, bytes: &[u8]) -> Result<Manifest, Error> {
    let manifest: Manifest = parse("manifest", &descriptor.digest, bytes)?;
    let refuse =
        |cause: String| Err(Error::Document { what: "manifest", digest: descriptor.digest.clone(), cause });
    if !media_type::is_config(&manifest.config.media_type) {
        return refuse(format!("it is no container image: its config is a {:?}", manifest.config.media_type));
    }
    if manifest.config.size > CONFIG_LIMIT {
        return refuse(format!(
            "its config has {} bytes, more than {CONFIG_LIMIT} are not accepted",
            manifest.config.size
        ));
    }
    let count = manifest.layers.len();
    if count > MAX_LAYERS {
        return refuse(format!("it has {count} layers, more than {MAX_LAYERS} are not accepted"));
    }
    if let Some(odd) = manifest.layers.iter().find(|layer| !media_type::is_layer(&layer.media_type)) {
        return refuse(format!("layer {} has the unsupported media type {:?}", odd.digest, odd.media_type));
    }
    Ok(manifest)
}

/// Reads any manifest, an artifact's too.
pub fn any_manifest(descriptor: &Descriptor, bytes: &[u8]) -> Result<Manifest, Error> {
    parse("manifest", &descriptor.digest, bytes)
}

/// Reads the config of `manifest`, which has to have a diff-id for each layer.
pub fn config(manifest: &Manifest, bytes: &[u8]) -> Result<Config, Error> {
    let digest = &manifest.config.digest;
    let config: Config = parse("config", digest, bytes)?;
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        let cause = format!("the manifest has {layers} layers and the config {diff_ids} diff-ids");
        return Err(Error::Document { what: "config", digest: digest.clone(), cause });
    }
    Ok(config)
}

/// The media type that a manifest or index states of itself, or shows by its shape.
pub fn media_type_of(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(rename = "mediaType", default)]
        media_type: String,
        #[serde(default)]
        manifests: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        config: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = serde_json::from_slice(bytes).ok()?;
    match (shape.media_type, shape.manifests, shape.config) {
        (stated, ..) if media_type::is_manifest(&stated) || media_type::is_index(&stated) => Some(stated),
        (stated, Some(_), _) if stated.is_empty() => Some(media_type::OCI_INDEX.to_owned()),
        (stated, _, Some(_)) if stated.is_empty() => Some(media_type::OCI_MANIFEST.to_owned()),
        _ => None,
    }
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, digest: &Digest, bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Document {
        what,
        digest: digest.clone(),
        cause: error.to_string(),
    })
}

/// The entries of an index that `wanted` can run, the best first.
pub fn ranked<'a>(index: &'a Index, wanted: &Platform) -> Vec<&'a Entry> {
    let mut ranked: Vec<(usize, &Entry)> = index
        .manifests
        .iter()
        .filter(|entry| !entry.is_attestation())
        .filter(|entry| {
            let kind = &entry.descriptor.media_type;
            media_type::is_manifest(kind) || media_type::is_index(kind)
        })
        // An entry without a platform may be anything: it comes last.
        .filter_map(|entry| match entry.platform() {
            Some(platform) => wanted.rank(&platform).map(|rank| (rank, entry)),
            None => Some((usize::MAX, entry)),
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(architecture: &str, variant: &str, os: &str) -> Entry {
        Entry {
            descriptor: Descriptor::new(
                media_type::OCI_MANIFEST,
                Digest::sha256(format!("{architecture}{variant}").as_bytes()),
                2,
            ),
            platform: Some(EntryPlatform {
                architecture: architecture.into(),
                os: os.into(),
                variant: variant.into(),
            }),
        }
    }

    #[test]
    fn the_best_platform_comes_first_and_attestations_never() {
        let index = Index {
            schema_version: 2,
            media_type: None,
            manifests: vec![
                entry("386", "", "linux"),
                entry("arm64", "v8", "linux"),
                entry("amd64", "", "linux"),
                entry("unknown", "", "unknown"),
            ],
        };
        let ranked = ranked(&index, &Platform::new("linux", "amd64", ""));
        assert_eq!(
            ranked
                .iter()
                .map(|e| e.platform().expect("stated").architecture().to_owned())
                .collect::<Vec<_>>(),
            ["amd64", "386"]
        );
    }

    #[test]
    fn an_entry_reads_its_descriptor_and_platform() {
        let digest = Digest::sha256(b"x");
        let text = format!(
            r#"{{"mediaType":"m","size":3,"digest":"{digest}","platform":{{"os":"linux","architecture":"arm","variant":"v7","os.version":"1"}}}}"#
        );
        let entry: Entry = serde_json::from_str(&text).expect("valid");
        assert_eq!((entry.descriptor.digest.clone(), entry.descriptor.size), (digest, 3));
        assert_eq!(entry.platform(), Some(Platform::new("linux", "arm", "v7")));
    }

    #[test]
    fn artifacts_and_odd_layers_are_refused() {
        let digest = Digest::sha256(b"x");
        let descriptor = Descriptor::new(media_type::OCI_MANIFEST, digest.clone(), 1);
        let text = |config: &str, layer: &str| {
            format!(
                r#"{{"schemaVersion":2,"config":{{"mediaType":"{config}","size":2,"digest":"{digest}"}},"layers":[{{"mediaType":"{layer}","size":2,"digest":"{digest}"}}]}}"#
            )
        };
        assert!(
            manifest(&descriptor, text(media_type::OCI_CONFIG, media_type::OCI_LAYER_ZSTD).as_bytes())
                .is_ok()
        );
        assert!(
            manifest(&descriptor, text(media_type::OCI_EMPTY, media_type::OCI_LAYER).as_bytes()).is_err()
        );
        assert!(manifest(&descriptor, text(media_type::OCI_CONFIG, "text/plain").as_bytes()).is_err());
        assert!(
            manifest(&descriptor, br#"{"schemaVersion":2,"config":{"mediaType":"x","size":-1}}"#).is_err()
        );
    }

    #[test]
    fn crowds_of_layers_and_entries_are_refused() {
        let layer = Descriptor::new(media_type::OCI_LAYER, Digest::sha256(b"x"), 1);
        let config = Descriptor::new(media_type::OCI_CONFIG, Digest::sha256(b"x"), 1);
        let descriptor = Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b"x"), 1);
        let read = |count| {
            let layers = vec![layer.clone(); count];
            let document = Manifest { schema_version: 2, media_type: None, config: config.clone(), layers };
            manifest(&descriptor, &serde_json::to_vec(&document).expect("JSON"))
        };
        assert!(read(MAX_LAYERS).is_ok());
        let error = read(MAX_LAYERS + 1).expect_err("too many");
        assert!(error.to_string().contains("it has 501 layers"), "{error}");
        let manifests = vec![entry("amd64", "", "linux"); MAX_ENTRIES + 1];
        let crowd = Index { schema_version: 2, media_type: None, manifests };
        let error = index(&descriptor, &serde_json::to_vec(&crowd).expect("JSON")).expect_err("too many");
        assert!(error.to_string().contains("it has 1001 entries"), "{error}");
    }
}
