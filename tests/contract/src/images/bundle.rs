//! Images for the suite: documents and layers in memory.

use gantry_types::{Descriptor, Digest, Platform, media_type};
use serde_json::json;

/// An image for this host.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its tag in the registry.
    pub tag: String,
    /// The target of the tag.
    pub manifest: Descriptor,
    /// The manifest's bytes.
    pub document: Vec<u8>,
    /// The layers and the config.
    pub blobs: Vec<Vec<u8>>,
}

/// The images of the registry, oldest first. Each has a label `n`; all of them share their lowest layer.
pub fn bundles() -> Vec<Bundle> {
    (0..3).map(bundle).collect()
}

/// An archive without entries, whose length depends on `number`.
fn tar(number: usize) -> Vec<u8> {
    vec![0; 1024 * (number + 1)]
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
}

fn bundle(number: usize) -> Bundle {
    let layers = [tar(0), tar(number + 1)];
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::sha256(layer).to_string()).collect();
    let config = json!({
        "architecture": Platform::host().architecture(), "os": "linux",
        "created": format!("202{number}-01-01T00:00:00Z"),
        "config": { "Cmd": ["/bin/true"], "Labels": { "n": number.to_string() } },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = config.to_string().into_bytes();
    let document = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_CONFIG, &config),
        "layers": layers.iter().map(|layer| descriptor(media_type::OCI_LAYER, layer)).collect::<Vec<_>>(),
    });
    let document = document.to_string().into_bytes();
    let manifest = descriptor(media_type::OCI_MANIFEST, &document);
    let blobs = layers.into_iter().chain([config]).collect();
    Bundle { tag: number.to_string(), manifest, document, blobs }
}
