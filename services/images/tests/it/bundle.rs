//! Images made for tests: documents and layers in memory.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use gantry_distribution::{Access, Client, Credentials};
use gantry_types::{Digest, media_type};
use serde_json::{Value, json};

/// A document or layer.
#[derive(Clone, Debug)]
pub struct Blob {
    pub media_type: String,
    pub bytes: Bytes,
}

impl Blob {
    pub fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        Self { media_type: media_type.to_owned(), bytes: bytes.into() }
    }

    pub fn json(media_type: &str, value: &Value) -> Self {
        Self::new(media_type, serde_json::to_vec(value).expect("JSON"))
    }

    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }

    pub fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest().to_string(), "size": self.bytes.len()})
    }
}

/// A whole image.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub manifest: Blob,
    pub config: Blob,
    pub layers: Vec<Blob>,
}

/// A tar of one file.
pub fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, name, content).expect("in memory");
    builder.into_inner().expect("in memory")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

/// Bytes that do not compress well, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    next.take(length).collect()
}

impl Bundle {
    /// An image with a gzip, a zstd and a plain layer of about `length` bytes each, different by `seed`.
    pub fn new(seed: u64, length: usize) -> Self {
        let tars: Vec<Vec<u8>> =
            (0..3).map(|at| tar(&format!("file-{at}"), &noise(seed * 10 + at, length))).collect();
        let layers = vec![
            Blob::new(media_type::OCI_LAYER_GZIP, gzip(&tars[0])),
            Blob::new(
                media_type::OCI_LAYER_ZSTD,
                zstd::encode_all(tars[1].as_slice(), 1).expect("in memory"),
            ),
            Blob::new(media_type::OCI_LAYER, tars[2].clone()),
        ];
        let diff_ids: Vec<String> = tars.iter().map(|tar| Digest::sha256(tar).to_string()).collect();
        Self::of(layers, &diff_ids, seed)
    }

    /// An image of these layers.
    pub fn of(layers: Vec<Blob>, diff_ids: &[String], seed: u64) -> Self {
        let config = json!({
            "architecture": gantry_types::Platform::host().architecture(), "os": "linux",
            "created": format!("20{:02}-01-01T00:00:00Z", seed % 25),
            "config": {"Cmd": ["/bin/true"], "Labels": {"seed": seed.to_string()}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = Blob::json(media_type::OCI_CONFIG, &config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        Self { manifest: Blob::json(media_type::OCI_MANIFEST, &manifest), config, layers }
    }

    /// An index with this image for the host and another, absent one.
    pub fn index(&self) -> Blob {
        let mut own = self.manifest.descriptor();
        own["platform"] =
            json!({"os": "linux", "architecture": gantry_types::Platform::host().architecture()});
        let mut other = Blob::new(media_type::OCI_MANIFEST, "elsewhere").descriptor();
        other["platform"] = json!({"os": "linux", "architecture": "s390x"});
        let index =
            json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [other, own]});
        Blob::json(media_type::OCI_INDEX, &index)
    }

    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        self.layers.iter().chain([&self.config])
    }

    /// Puts the image into a registry.
    pub async fn push(&self, remote: &Client, domain: &str, path: &str, tag: &str, credentials: Credentials) {
        let repository = remote.repository(domain, path, credentials, Access::Push).expect("an address");
        for blob in self.blobs() {
            let mut file = tempfile::tempfile_in("/dev/shm").expect("a file");
            file.write_all(&blob.bytes).expect("written");
            let sent = Arc::new(AtomicU64::new(0));
            repository
                .upload(&blob.digest(), Arc::new(file), blob.bytes.len() as u64, sent)
                .await
                .expect("uploaded");
        }
        let put = repository.put_manifest(tag, &self.manifest.media_type, self.manifest.bytes.clone());
        put.await.expect("the manifest is accepted");
    }
}
