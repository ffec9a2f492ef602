//! Reads indexes, manifests and configs, as far as they identify an image.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use chrono::DateTime;
use gantry_api::images::{Image, Layer};
use gantry_rpc::Code;
use gantry_types::{Descriptor, DiffId, Digest, Namespace, Platform, media_type};
use serde_json::Value;

use crate::{Content, Refused};

/// The content of a manifest's documents.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    pub manifest: Descriptor,
    pub config: Descriptor,
    pub config_json: Bytes,
    pub layers: Vec<Layer>,
    pub platform: Platform,
    pub created: Option<SystemTime>,
    pub labels: BTreeMap<String, String>,
}

fn json(content: &Content, namespace: &Namespace, digest: &Digest) -> Result<(Bytes, Value), Refused> {
    let bytes = content.get(namespace, digest);
    let bytes = Bytes::from(bytes.ok_or_else(|| Refused::new(Code::NotFound, digest, "no such blob"))?);
    let value = serde_json::from_slice(&bytes).map_err(|_| odd(digest))?;
    Ok((bytes, value))
}

fn odd(digest: &Digest) -> Refused {
    Refused::new(Code::FailedPrecondition, digest, "no document of an image")
}

fn descriptor(of: &Digest, value: &Value) -> Result<Descriptor, Refused> {
    serde_json::from_value(value.clone()).map_err(|_| odd(of))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The existing manifests below a target; the target itself if it is a manifest.
pub(super) fn manifests(
    content: &Content,
    namespace: &Namespace,
    target: &Descriptor,
) -> Result<Vec<Descriptor>, Refused> {
    if !media_type::is_index(&target.media_type) {
        return Ok(vec![target.clone()]);
    }
    let (_, index) = json(content, namespace, &target.digest)?;
    let entries = list(&index["manifests"]).map(|entry| descriptor(&target.digest, entry));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().filter(|entry| content.has(namespace, &entry.digest)).collect())
}

/// Reads a manifest and its config.
pub(super) fn read(
    content: &Content,
    namespace: &Namespace,
    manifest: &Descriptor,
) -> Result<Documents, Refused> {
    let (_, document) = json(content, namespace, &manifest.digest)?;
    let config = descriptor(&manifest.digest, &document["config"])?;
    let (config_json, about) = json(content, namespace, &config.digest)?;
    let blobs = list(&document["layers"]).map(|layer| descriptor(&manifest.digest, layer));
    let diff_ids = list(&about["rootfs"]["diff_ids"]);
    let diff_ids = diff_ids.map(|id| id.as_str().and_then(|id| id.parse::<DiffId>().ok()));
    let mut layers = Vec::new();
    for (blob, diff_id) in blobs.zip(diff_ids) {
        let diff_id = diff_id.ok_or_else(|| odd(&config.digest))?;
        layers.push(Layer { descriptor: blob?, diff_id, unpacked_size: None });
    }
    let labels = about["config"]["Labels"].as_object().into_iter().flatten();
    let labels = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
    Ok(Documents {
        manifest: manifest.clone(),
        config,
        config_json,
        layers,
        platform: Platform::new(text(&about, "os"), text(&about, "architecture"), text(&about, "variant")),
        created: DateTime::parse_from_rfc3339(text(&about, "created")).ok().map(Into::into),
        labels: labels.collect(),
    })
}

/// The existing digests below a target, including its own: documents before what they name.
pub(super) fn parts(content: &Content, namespace: &Namespace, target: &Descriptor) -> Result<Parts, Refused> {
    let mut parts = Parts::default();
    if media_type::is_index(&target.media_type) {
        parts.documents.push(target.digest.clone());
    }
    for manifest in manifests(content, namespace, target)? {
        let documents = read(content, namespace, &manifest)?;
        parts.documents.extend([manifest.digest, documents.config.digest]);
        parts.layers.extend(documents.layers.into_iter().map(|layer| layer.descriptor));
    }
    Ok(parts)
}

/// The parts of an image.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub documents: Vec<Digest>,
    pub layers: Vec<Descriptor>,
}

/// An image without parts and names, for tests of code that shows images.
pub fn image() -> Image {
    let document = Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256(b"an image"), 8);
    Image {
        target: document.clone(),
        names: Vec::new(),
        digests: Vec::new(),
        manifest: document.clone(),
        config: document,
        config_json: Bytes::new(),
        platform: Platform::host(),
        layers: Vec::new(),
        size: 0,
        content_size: 0,
        created_at: SystemTime::UNIX_EPOCH,
        tagged_at: None,
        unpacked: true,
        labels: BTreeMap::new(),
    }
}

/// A layer of this size for such an image; the text makes it unique.
pub fn layer(text: &str, size: u64, unpacked_size: Option<u64>) -> Layer {
    let digest = Digest::sha256(text.as_bytes());
    let descriptor = Descriptor::new(media_type::OCI_LAYER, digest.clone(), size);
    Layer { descriptor, diff_id: DiffId::new(digest), unpacked_size }
}
