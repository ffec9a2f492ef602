//! `docker save`: images as one tar that Docker (`manifest.json`) and all OCI tools (OCI layout) can read.
//!
//! ```text
//! blobs/sha256/<hex>    every document, config and layer, once
//! index.json            the images, with their names as annotations
//! manifest.json         the same for Docker, one platform each
//! oci-layout
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};

use bytes::Bytes;
use gantry_api::images::archives::SaveSpec;
use gantry_archive::tar::{self, END, Kind, head, padding};
use gantry_types::{Algorithm, Descriptor, Digest, Namespace, Reference, media_type};
use serde::Serialize;

use super::{Archives, Desk};
use crate::document::{Entry, Index};
use crate::error::Error;
use crate::graph::{Gaps, Graph};

/// How many blobs of an archive are opened before it is begun. Few images have as many layers.
const MOST_OPEN: usize = 128;

/// An archive that is known to the last byte before it is begun: afterwards a client can be told nothing but that it is
/// cut off.
pub struct Plan {
    documents: BTreeMap<Digest, Bytes>,
    blobs: BTreeMap<Digest, Blob>,
    index: Index,
    manifests: Vec<DockerManifest>,
}

/// A blob of an archive.
struct Blob {
    size: u64,
    /// `None` for those beyond [`MOST_OPEN`], which are opened when their turn comes.
    file: Option<File>,
}

/// One image in `manifest.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerManifest {
    /// The config's file.
    pub config: String,
    /// The image's names as people write them.
    pub repo_tags: Vec<String>,
    /// The layers' files, base first.
    pub layers: Vec<String>,
}

/// Finds all that the archive will hold.
pub async fn plan(archives: &Archives, namespace: &Namespace, spec: &SaveSpec) -> Result<Plan, Error> {
    let wanted = spec.platform.as_ref();
    if spec.texts.is_empty() {
        return Err(Error::Request("at least one image has to be named".into()));
    }
    let mut images: Vec<(Descriptor, BTreeSet<String>)> = Vec::new();
    for text in &spec.texts {
        for (target, name) in named(archives, namespace, text)? {
            let at =
                images.iter().position(|(known, _)| known.digest == target.digest).unwrap_or_else(|| {
                    images.push((target, BTreeSet::new()));
                    images.len() - 1
                });
            images[at].1.extend(name);
        }
    }
    let mut plan = Plan {
        documents: BTreeMap::new(),
        blobs: BTreeMap::new(),
        index: Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests: Vec::new(),
        },
        manifests: Vec::new(),
    };
    for (target, names) in images {
        let details = archives.catalog.details(namespace, &target, wanted).await?;
        let root = if wanted.is_some() { &details.manifest } else { &target };
        let graph = Graph::gather(&archives.content, namespace, root, Gaps::Allow).await?;
        let graph = graph.ok_or_else(|| Error::Missing {
            digest: root.digest.clone(),
            image: target.digest.to_string(),
        })?;
        let digests = graph.documents.iter().map(|document| &document.descriptor.digest);
        if let Some(odd) = digests.chain(graph.blobs.iter().map(|blob| &blob.digest)).find(|digest| {
            // Longer ones have names that do not fit into a tar's header alone.
            digest.algorithm() != Algorithm::Sha256
        }) {
            return Err(Error::Request(format!("{odd} cannot be saved: only sha256 digests can")));
        }
        for document in graph.documents {
            plan.documents.insert(document.descriptor.digest, document.bytes);
        }
        let blobs = graph.blobs.into_iter().map(|blob| (blob.digest, Blob { size: blob.size, file: None }));
        plan.blobs.extend(blobs);
        plan.index.manifests.extend(entries(root, &names));
        plan.manifests.push(DockerManifest {
            config: path(&details.document.config.digest),
            repo_tags: names
                .iter()
                .filter_map(|name| Some(name.parse::<Reference>().ok()?.familiar()))
                .collect(),
            layers: details.document.layers.iter().map(|layer| path(&layer.digest)).collect(),
        });
    }
    for (digest, blob) in plan.blobs.iter_mut().take(MOST_OPEN) {
        blob.file = Some(open(archives, namespace, digest, blob.size).await?);
    }
    Ok(plan)
}

/// Opens a blob, whose bytes then stay, whatever happens to its record or to `content`.
async fn open(archives: &Archives, namespace: &Namespace, digest: &Digest, size: u64) -> Result<File, Error> {
    let missing = || Error::Missing { digest: digest.clone(), image: "the archive".into() };
    let (file, found) = archives.content.open(namespace, digest).await?.ok_or_else(missing)?;
    match found == size {
        true => Ok(file),
        false => Err(Error::WrongSize { digest: digest.clone(), expected: size, found }),
    }
}

/// The image that `text` names, and the name to save it under; a repository without a tag means all its tags.
fn named(
    archives: &Archives,
    namespace: &Namespace,
    text: &str,
) -> Result<Vec<(Descriptor, Option<String>)>, Error> {
    let found = archives.catalog.find(namespace, text);
    if let Ok(reference) = Reference::parse_normalized(text)
        && reference.tag().is_none()
        && reference.digest().is_none()
        && !found.as_ref().is_ok_and(|found| found.by_name.is_none())
    {
        let records = archives.names.store().list(namespace)?;
        let tags = records.into_iter().filter(|record| {
            Reference::parse_normalized(&record.name)
                .is_ok_and(|name| name.name() == reference.name() && name.tag().is_some())
        });
        let tags: Vec<_> = tags.map(|record| (record.target, Some(record.name))).collect();
        if !tags.is_empty() {
            return Ok(tags);
        }
    }
    let found = found?;
    let name = found.by_name.filter(|record| {
        Reference::parse_normalized(&record.name)
            .is_ok_and(|name| name.tag().is_some() && name.digest().is_none())
    });
    Ok(vec![(found.target, name.map(|record| record.name))])
}

/// The image's entries in the index: one per name, or one without.
fn entries(target: &Descriptor, names: &BTreeSet<String>) -> Vec<Entry> {
    let plain =
        Entry { descriptor: Descriptor { annotations: BTreeMap::new(), ..target.clone() }, platform: None };
    if names.is_empty() {
        return vec![plain];
    }
    let entry = |name: &String| {
        let mut entry = plain.clone();
        let tag =
            name.parse::<Reference>().ok().and_then(|name| name.tag().map(str::to_owned)).unwrap_or_default();
        entry.descriptor.annotations.insert("io.containerd.image.name".into(), name.clone());
        entry.descriptor.annotations.insert("org.opencontainers.image.ref.name".into(), tag);
        entry
    };
    names.iter().map(entry).collect()
}

/// The file of a blob.
pub fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// Writes the archive. An error in the middle leaves it without its end, which the reader notices.
pub fn write(desk: &Desk, plan: &Plan) -> Result<(), Error> {
    let broke = |source: io::Error| Error::Stream { op: "written", source };
    let json =
        |value: &dyn Fn() -> serde_json::Result<Vec<u8>>| value().map_err(io::Error::other).map_err(broke);
    for (digest, bytes) in &plan.documents {
        put(desk, &path(digest), bytes).map_err(broke)?;
    }
    for (digest, blob) in &plan.blobs {
        let size = blob.size;
        let late;
        let file = match &blob.file {
            Some(file) => file,
            None => {
                late = desk.wait(open(&desk.archives, &desk.namespace, digest, size))?;
                &late
            }
        };
        let mut stream = &desk.stream;
        stream.write_all(&head(&regular(&path(digest), size))).map_err(broke)?;
        let sent = desk.stream.send_file(file, size).map_err(broke)?;
        if sent != size {
            return Err(Error::WrongSize { digest: digest.clone(), expected: size, found: sent });
        }
        stream.write_all(padding(size)).map_err(broke)?;
    }
    put(desk, "index.json", &json(&|| serde_json::to_vec(&plan.index))?).map_err(broke)?;
    put(desk, "manifest.json", &json(&|| serde_json::to_vec(&plan.manifests))?).map_err(broke)?;
    put(desk, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#).map_err(broke)?;
    (&desk.stream).write_all(&END).map_err(broke)
}

fn put(desk: &Desk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut stream = &desk.stream;
    let size = bytes.len() as u64;
    stream.write_all(&head(&regular(name, size)))?;
    stream.write_all(bytes)?;
    stream.write_all(padding(size))
}

/// A file in the archive.
fn regular(name: &str, size: u64) -> tar::Entry {
    tar::Entry { size, ..tar::Entry::new(name, Kind::File) }
}
