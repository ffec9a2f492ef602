//! Exports: images as an archive that others can read, OCI's layout and Docker's beside it.
//!
//! ```text
//! blobs/sha256/<hex>    what the platforms that are meant consist of, once, by digest
//! index.json            the images, each under each of its names
//! manifest.json         the same for Docker, unless it is not wanted
//! oci-layout
//! ```

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::FileExt;

use ::bytes::Bytes;
use gantry_archive::tar::{self, END, Kind, padding};
use gantry_proto::containerd::types::transfer as pb;
use gantry_types::{Algorithm, Descriptor, Digest, Namespace, Reference, media_type};

use super::Transfers;
use super::flow::Writer;
use super::report::Report;
use super::storage::{IMAGE_NAME, Platforms, REF_NAME};
use crate::archive::{DockerManifest, path};
use crate::content::blocking;
use crate::document::{self, Entry, Index};
use crate::error::Error;
use crate::graph::Graph;

/// Blobs are read in portions of this size.
const PORTION: u64 = 1 << 20;
/// Read-only, because a blob's content must match its name.
const BLOB_MODE: u32 = 0o444;
const DOCUMENT_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;

/// An archive that is known to the last byte before it is begun.
struct Plan {
    /// Documents by their bytes, blobs by their size.
    blobs: BTreeMap<Digest, Result<Bytes, u64>>,
    index: Index,
    docker: Vec<DockerManifest>,
}

impl Transfers {
    /// Sends the images that `from` names as an archive.
    pub(super) async fn export(
        &self,
        namespace: &Namespace,
        from: &pb::ImageStore,
        to: &pb::ImageExportStream,
        report: &Report,
    ) -> Result<(), Error> {
        let stream = self.streams.take(namespace.as_str(), &to.stream)?;
        report.say("Exporting").await;
        let plan = self.plan(namespace, from, to).await?;
        let mut writer = Writer::new(stream);
        for folder in ["blobs/", "blobs/sha256/"] {
            writer.write(head(folder, Kind::Directory, FOLDER_MODE, 0)).await?;
        }
        for (digest, blob) in &plan.blobs {
            match blob {
                Ok(bytes) => put(&mut writer, &path(digest), BLOB_MODE, bytes.clone()).await?,
                Err(size) => self.send_blob(&mut writer, namespace, digest, *size).await?,
            }
        }
        put(&mut writer, "index.json", DOCUMENT_MODE, json(&plan.index)).await?;
        if !to.skip_compatibility_manifest {
            put(&mut writer, "manifest.json", DOCUMENT_MODE, json(&plan.docker)).await?;
        }
        let layout = Bytes::from_static(br#"{"imageLayoutVersion":"1.0.0"}"#);
        put(&mut writer, "oci-layout", BLOB_MODE, layout).await?;
        writer.write(Bytes::from_static(&END)).await?;
        writer.finish().await;
        report.say("Completed export").await;
        Ok(())
    }

    async fn plan(
        &self,
        namespace: &Namespace,
        from: &pb::ImageStore,
        to: &pb::ImageExportStream,
    ) -> Result<Plan, Error> {
        let mut names: Vec<&str> = if from.name.is_empty() { Vec::new() } else { vec![&from.name] };
        for reference in &from.extra_references {
            if reference.is_prefix {
                return Err(Error::Unsupported("an export of all images with a prefix".into()));
            }
            names.push(&reference.name);
        }
        if names.is_empty() {
            return Err(Error::Request("at least one image has to be named".into()));
        }
        let platforms = match (to.all_platforms, to.platforms.is_empty()) {
            (true, _) => Platforms::all(),
            (false, true) => Platforms::host(),
            (false, false) => Platforms::of(&to.platforms),
        };
        let index = Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests: Vec::new(),
        };
        let mut plan = Plan { blobs: BTreeMap::new(), index, docker: Vec::new() };
        for name in names {
            let target = self.names.store().get(namespace, name)?.target;
            let graph = self.graph(namespace, &target, &platforms, name).await?;
            plan.add(&target, name, graph, &platforms, to.skip_non_distributable)?;
        }
        Ok(plan)
    }

    async fn send_blob(
        &self,
        writer: &mut Writer,
        namespace: &Namespace,
        digest: &Digest,
        size: u64,
    ) -> Result<(), Error> {
        let missing = || Error::Missing { digest: digest.clone(), image: "the archive".into() };
        let (file, found) = self.catalog.content().open(namespace, digest).await?.ok_or_else(missing)?;
        if found != size {
            return Err(Error::WrongSize { digest: digest.clone(), expected: size, found });
        }
        let file = std::sync::Arc::new(file);
        writer.write(head(&path(digest), Kind::File, BLOB_MODE, size)).await?;
        let mut offset = 0;
        while offset < size {
            let (file, length) = (file.clone(), (size - offset).min(PORTION));
            let portion = blocking("read", digest, move || {
                let mut portion = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
                file.read_exact_at(&mut portion, offset).map(|()| portion)
            });
            writer.write(portion.await?.into()).await?;
            offset += length;
        }
        writer.write(Bytes::from_static(padding(size))).await
    }
}

impl Plan {
    fn add(
        &mut self,
        target: &Descriptor,
        name: &str,
        graph: Graph,
        platforms: &Platforms,
        skip_foreign: bool,
    ) -> Result<(), Error> {
        let mut entry = Entry { descriptor: target.clone(), platform: None };
        let annotations = &mut entry.descriptor.annotations;
        annotations.insert(IMAGE_NAME.into(), name.to_owned());
        annotations.insert(REF_NAME.into(), reference_name(name));
        self.index.manifests.push(entry);
        if let Some(manifest) = docker_manifest(&graph, name, platforms) {
            match self.docker.iter_mut().find(|known| known.config == manifest.config) {
                Some(known) => known.repo_tags.extend(manifest.repo_tags),
                None => self.docker.push(manifest),
            }
        }
        for document in graph.documents {
            self.blobs.insert(sha256(document.descriptor.digest)?, Ok(document.bytes));
        }
        for blob in graph.blobs {
            if !(skip_foreign && is_foreign(&blob.media_type)) {
                self.blobs.entry(sha256(blob.digest)?).or_insert(Err(blob.size));
            }
        }
        Ok(())
    }
}

/// Longer digests have names that do not fit into a tar's header alone.
fn sha256(digest: Digest) -> Result<Digest, Error> {
    match digest.algorithm() {
        Algorithm::Sha256 => Ok(digest),
        _ => Err(Error::Request(format!("{digest} cannot be exported: only sha256 digests can"))),
    }
}

fn is_foreign(kind: &str) -> bool {
    kind.starts_with(media_type::OCI_LAYER_FOREIGN) || kind == media_type::DOCKER_LAYER_FOREIGN
}

/// What an OCI layout calls an image: its tag, or its digest.
fn reference_name(name: &str) -> String {
    let Ok(reference) = Reference::parse_normalized(name) else { return name.to_owned() };
    match (reference.tag(), reference.digest()) {
        (Some(tag), _) => tag.to_owned(),
        (None, Some(digest)) => digest.to_string(),
        (None, None) => name.to_owned(),
    }
}

/// The one platform of an image that Docker is told of: the first that is meant.
fn docker_manifest(graph: &Graph, name: &str, platforms: &Platforms) -> Option<DockerManifest> {
    let mut ranked: Vec<(usize, Descriptor)> = Vec::new();
    let mut entries = HashSet::new();
    for document in graph.documents.iter().rev() {
        if media_type::is_index(&document.descriptor.media_type) {
            for entry in document::index(&document.descriptor, &document.bytes).ok()?.manifests {
                if let Some(rank) =
                    platforms.rank(entry.platform().as_ref()).filter(|_| !entry.is_attestation())
                {
                    ranked.push((rank, entry.descriptor.clone()));
                }
                entries.insert(entry.descriptor.digest);
            }
        } else if !entries.contains(&document.descriptor.digest) {
            ranked.push((0, document.descriptor.clone()));
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let manifest = ranked.iter().find_map(|(_, descriptor)| {
        let document =
            graph.documents.iter().find(|document| document.descriptor.digest == descriptor.digest)?;
        document::manifest(&document.descriptor, &document.bytes).ok()
    })?;
    let reference = Reference::parse_normalized(name).ok().filter(|name| name.tag().is_some());
    Some(DockerManifest {
        config: path(&manifest.config.digest),
        repo_tags: reference.iter().map(Reference::familiar).collect(),
        layers: manifest.layers.iter().map(|layer| path(&layer.digest)).collect(),
    })
}

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("a value of our own serialises").into()
}

fn head(name: &str, kind: Kind, mode: u32, size: u64) -> Bytes {
    tar::head(&tar::Entry { mode, size, ..tar::Entry::new(name, kind) }).into()
}

async fn put(writer: &mut Writer, name: &str, mode: u32, bytes: Bytes) -> Result<(), Error> {
    let size = bytes.len() as u64;
    writer.write(head(name, Kind::File, mode, size)).await?;
    writer.write(bytes).await?;
    writer.write(Bytes::from_static(padding(size))).await
}
