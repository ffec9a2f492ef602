//! Images for tests, made when they are needed.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::json;
use sha2::{Digest, Sha256};

/// A root file system with the host's busybox and all its applets.
pub fn busybox_tar() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut tar = tar::Builder::new(Vec::new());
    for folder in ["bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var"] {
        let mode = if folder == "tmp" { 0o1777 } else { 0o755 };
        entry(&mut tar, folder, tar::EntryType::Directory, mode, b"", None);
    }
    entry(&mut tar, "bin/busybox", tar::EntryType::Regular, 0o755, &busybox, None);
    let applets =
        std::process::Command::new("/bin/busybox").arg("--list").output().expect("busybox runs").stdout;
    for applet in String::from_utf8_lossy(&applets).lines().filter(|name| *name != "busybox") {
        entry(&mut tar, &format!("bin/{applet}"), tar::EntryType::Symlink, 0o777, b"", Some("busybox"));
    }
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n";
    entry(&mut tar, "etc/passwd", tar::EntryType::Regular, 0o644, passwd, None);
    let group = b"root:x:0:\nalice:x:1000:\nstaff:x:50:alice\n";
    entry(&mut tar, "etc/group", tar::EntryType::Regular, 0o644, group, None);
    tar.into_inner().expect("a Vec grows")
}

/// Incompressible bytes, always the same.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes
}

/// The tar of a layer from names and contents; a name with a trailing slash is a directory.
pub fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        match name.strip_suffix('/') {
            Some(folder) => entry(&mut tar, folder, tar::EntryType::Directory, 0o755, b"", None),
            None => entry(&mut tar, name, tar::EntryType::Regular, 0o644, content, None),
        }
    }
    tar.into_inner().expect("a Vec grows")
}

/// Appends an entry with exactly this name: the tar crate's own checks would refuse hostile names.
pub fn entry(
    tar: &mut tar::Builder<Vec<u8>>,
    name: &str,
    kind: tar::EntryType,
    mode: u32,
    content: &[u8],
    link: Option<&str>,
) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    if let Some(link) = link {
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    }
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.append(&header, content).expect("a Vec grows");
}

/// The compression of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// gzip, level 1.
    Gzip,
    /// zstd, level 1.
    Zstd,
}

/// The media types of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OCI image manifest.
    Oci,
    /// Docker image manifest, version 2, schema 2.
    Docker,
}

/// A layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The digest of the tar.
    pub diff_id: String,
    /// The compressed tar.
    pub blob: Vec<u8>,
}

impl Layer {
    /// A layer with a file of zeros, which is far longer than its gzip.
    pub fn bomb(name: &str, length: u64) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).expect("a short name");
        header.set_mode(0o644);
        header.set_size(length);
        header.set_cksum();
        let mut hasher = Sha256::new();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut write = |bytes: &[u8]| {
            hasher.update(bytes);
            encoder.write_all(bytes).expect("a Vec grows");
        };
        write(header.as_bytes());
        let zeros = vec![0; 1 << 20];
        for _ in 0..length >> 20 {
            write(&zeros);
        }
        write(&[0; 1024]);
        let blob = encoder.finish().expect("a Vec grows");
        Self { diff_id: format!("sha256:{}", hex::encode(hasher.finalize())), blob }
    }
}

/// An image as blobs, to be put into a registry or to be changed first.
#[derive(Debug, Clone)]
pub struct Image {
    /// By digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// The media type and the bytes of the manifest (or of the index).
    pub manifest: (String, Vec<u8>),
    /// The digests of the layers' blobs, the base first.
    pub layers: Vec<String>,
}

impl Image {
    /// An image with these layers (tars) that runs `command`.
    pub fn new(layers: &[Vec<u8>], compression: Compression, format: Format, command: &[&str]) -> Self {
        let layers: Vec<_> = layers
            .iter()
            .map(|tar| Layer { diff_id: digest(tar), blob: compress(tar, compression) })
            .collect();
        Self::of(layers, compression, format, command)
    }

    /// An image with compressed layers.
    pub fn of(layers: Vec<Layer>, compression: Compression, format: Format, command: &[&str]) -> Self {
        let mut blobs = BTreeMap::new();
        let mut add = |bytes: Vec<u8>| {
            let digest = digest(&bytes);
            let size = bytes.len();
            blobs.insert(digest.clone(), bytes);
            (digest, size)
        };
        let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": { "Cmd": command, "Env": ["PATH=/bin:/usr/bin"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": layers.iter().map(|_| json!({ "created": "2026-01-01T00:00:00Z", "created_by": "test" }))
                .collect::<Vec<_>>(),
        });
        let (config_digest, config_size) = add(config.to_string().into_bytes());
        let (manifest_type, config_type, layer_type) = match (format, compression) {
            (Format::Docker, _) => (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
            (Format::Oci, compression) => (
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.config.v1+json",
                match compression {
                    Compression::None => "application/vnd.oci.image.layer.v1.tar",
                    Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
                    Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
                },
            ),
        };
        let layers: Vec<_> = layers.into_iter().map(|layer| add(layer.blob)).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type,
            "config": { "mediaType": config_type, "digest": config_digest, "size": config_size },
            "layers": layers.iter()
                .map(|(digest, size)| json!({ "mediaType": layer_type, "digest": digest, "size": size }))
                .collect::<Vec<_>>(),
        });
        Self {
            manifest: (manifest_type.to_owned(), manifest.to_string().into_bytes()),
            layers: layers.into_iter().map(|(digest, _)| digest).collect(),
            blobs,
        }
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> String {
        digest(&self.manifest.1)
    }
}

/// The digest of bytes: `sha256:…`.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Compresses a tar.
pub fn compress(tar: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => tar.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(tar).expect("a Vec grows");
            encoder.finish().expect("a Vec grows")
        }
        Compression::Zstd => zstd::encode_all(tar, 1).expect("a Vec grows"),
    }
}
