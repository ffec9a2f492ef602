//! What registries and archives send, read without them: for tests that send what none would.

use gantry_types::{Descriptor, Digest, Platform, media_type};

use crate::document;

/// Reads a document as each of what it may be asked for as: an index, a manifest, a config.
pub fn document(bytes: &[u8]) {
    let digest = Digest::sha256(bytes);
    let of = |kind: &str| Descriptor::new(kind, digest.clone(), bytes.len() as u64);
    let _ = document::media_type_of(bytes);
    if let Ok(index) = document::index(&of(media_type::OCI_INDEX), bytes) {
        let ranked = document::ranked(&index, &Platform::host());
        assert!(ranked.len() <= index.manifests.len());
    }
    for kind in [media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST] {
        if let Ok(manifest) = document::any_manifest(&of(kind), bytes) {
            let _ = document::config(&manifest, bytes);
        }
        if let Ok(manifest) = document::manifest(&of(kind), bytes) {
            assert!(manifest.layers.len() <= document::MAX_LAYERS);
        }
    }
    // Any manifest will do to read a config by.
    let layers = Vec::new();
    let manifest = document::Manifest {
        schema_version: 2,
        media_type: None,
        config: of(media_type::OCI_CONFIG),
        layers,
    };
    if let Ok(config) = document::config(&manifest, bytes) {
        let _ = (config.platform(), config.labels(), config.chain_id());
    }
}
