//! `docker load`: archives of Docker's forms and OCI layouts, and those that are both.
//!
//! Files of the archive go into content one after the other as they are read, each named by its digest; what they
//! mean is decided when the archive has ended. No path of an archive is ever used as a path: it is a key of a map.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use gantry_api::content::Owner;
use gantry_api::images::archives::ArchiveEvent;
use gantry_archive::compression::Form;
use gantry_archive::tar::{Kind, Reader};
use gantry_failpoint::failpoint;
use gantry_types::{Descriptor, Digest, Labels, Platform, Reference, media_type};
use serde::Deserialize;

use super::Desk;
use super::create::{Loaded, create};
use super::input::{self, Stored, unreadable};
use super::legacy::Legacy;
use crate::content::{ingest_ref, part_ref};
use crate::document::{self, Entry, Index, MAX_LAYERS, Manifest};
use crate::error::Error;

/// Entries of an archive beyond this number are refused.
const MAX_ENTRIES: usize = 100_000;
/// The documents at the top are read into memory up to this length.
const MAX_DOCUMENT: u64 = 16 << 20;
/// All names in an archive may be so long together.
const MAX_NAMES: usize = 16 << 20;

/// What an archive held.
#[derive(Default)]
pub(super) struct Contents {
    /// Files that are in the store, by their name in the archive.
    files: HashMap<String, Stored>,
    /// Names that stand for other names.
    links: HashMap<String, String>,
    index: Option<Vec<u8>>,
    manifest: Option<Vec<u8>>,
    /// What an archive of the first form says, for one that has neither of the two.
    legacy: Legacy,
}

/// One image in `manifest.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Vec<String>,
}

/// Reads an archive off the socket and makes images of it.
pub fn load(desk: &Desk, wanted: Option<&Platform>) -> Result<(), Error> {
    desk.leased("load", |owner| {
        let contents = receive(desk, owner)?;
        failpoint!("images.load.received");
        let images = contents.images(desk, owner)?;
        if images.is_empty() {
            return Err(Error::Archive(
                "it holds no image: neither index.json nor manifest.json names one".into(),
            ));
        }
        for image in &images {
            create(desk, owner, image, wanted.filter(|wanted| **wanted != Platform::host()))?;
            desk.tell(match &image.name {
                Some(name) => ArchiveEvent::Loaded(familiar(name)),
                None => ArchiveEvent::LoadedId(image.target.digest.clone()),
            })?;
        }
        Ok(())
    })
}

/// Reads an archive off the socket; tells what it says is in it.
pub fn read(desk: &Desk, owner: &Owner) -> Result<Index, Error> {
    let index = receive(desk, owner)?.index(desk, owner)?;
    match index.manifests.is_empty() {
        true => {
            Err(Error::Archive("it holds no image: neither index.json nor manifest.json names one".into()))
        }
        false => Ok(index),
    }
}

fn familiar(name: &str) -> String {
    name.parse::<Reference>().map_or_else(|_| name.to_owned(), |reference| reference.familiar())
}

/// Stores the archive's files as they come.
fn receive(desk: &Desk, owner: &Owner) -> Result<Contents, Error> {
    let mut contents = Contents::default();
    let mut reader = Reader::new(input::buffered(input::decompressed(input::buffered(&desk.stream))?));
    let (mut number, mut names) = (0, 0);
    while let Some(entry) = reader.next_entry().map_err(|error| unreadable(&error))? {
        if number >= MAX_ENTRIES {
            return Err(Error::Archive(format!("it has more than {MAX_ENTRIES} entries")));
        }
        let name = clean(&entry.path);
        names += name.len();
        match entry.kind {
            // Its holes may be longer than anything.
            Kind::File if entry.segments.is_some() => {
                return Err(Error::Archive(format!("{name:?} in it is a sparse file")));
            }
            Kind::File => {
                contents.take(desk, owner, number, name, entry.size, &mut reader.content())?;
            }
            Kind::Symlink | Kind::HardLink => {
                let target = match entry.kind {
                    Kind::HardLink => clean(&entry.link),
                    _ => clean(&[parent(&name).as_bytes(), b"/", &entry.link].concat()),
                };
                names += target.len();
                contents.links.insert(name, target);
            }
            _ => {}
        }
        if names > MAX_NAMES {
            return Err(Error::Archive(format!("its names have more than {MAX_NAMES} bytes")));
        }
        number += 1;
    }
    // Bytes after the end of a tar are ignored, but read so that the sender can finish.
    let _ = io::copy(&mut reader.into_source().take(16 << 20), &mut io::sink());
    Ok(contents)
}

impl Contents {
    fn take(
        &mut self,
        desk: &Desk,
        owner: &Owner,
        number: usize,
        name: String,
        size: u64,
        entry: &mut dyn Read,
    ) -> Result<(), Error> {
        let document = match name.as_str() {
            "index.json" => Some(&mut self.index),
            "manifest.json" => Some(&mut self.manifest),
            "oci-layout" => return Ok(()),
            _ if name.ends_with("/VERSION") => return Ok(()),
            _ if Legacy::is_document(&name) => return self.legacy.take(name, size, entry),
            _ => None,
        };
        if let Some(document) = document {
            if size > MAX_DOCUMENT {
                return Err(Error::Archive(format!(
                    "{name} has {size} bytes, more than {MAX_DOCUMENT} are not accepted"
                )));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(input::cut)?;
            *document = Some(bytes);
            return Ok(());
        }
        let expected = blob_digest(&name);
        let reference = match &expected {
            Some(digest) => part_ref("load", digest),
            None => ingest_ref(format!("load-{}-{number}", owner.lease.as_deref().unwrap_or_default())),
        };
        let mut stored = desk.store(owner, &reference, size, expected.as_ref(), entry)?;
        stored.size = size;
        self.files.insert(name, stored);
        Ok(())
    }

    /// Follows links to a file that is in the store.
    pub(super) fn file(&self, name: &str) -> Result<&Stored, Error> {
        let mut name = clean(name.as_bytes());
        for _ in 0..8 {
            if let Some(stored) = self.files.get(&name) {
                return Ok(stored);
            }
            match self.links.get(&name) {
                Some(target) => name.clone_from(target),
                None => break,
            }
        }
        Err(Error::Archive(format!("{name:?} is named in it, but not there")))
    }

    /// The images, by the newest of the forms that the archive has.
    fn images(&self, desk: &Desk, owner: &Owner) -> Result<Vec<Loaded>, Error> {
        let docker = self.docker_manifests()?;
        let Some(bytes) = &self.index else {
            if self.manifest.is_none() {
                return self.legacy.images(desk, owner, self);
            }
            let mut images = Vec::new();
            for manifest in &docker {
                images.extend(self.convert(desk, owner, manifest)?);
            }
            return Ok(images);
        };
        let index: Index =
            serde_json::from_slice(bytes).map_err(|error| Error::Archive(format!("index.json: {error}")))?;
        let mut images: Vec<Loaded> = Vec::new();
        for entry in index.manifests.into_iter().filter(|entry| !entry.is_attestation()) {
            let mut target = entry.descriptor;
            let names = match name_of(&target.annotations) {
                Some(name) => vec![name],
                None => self.names_by_config(desk, &target, &docker)?,
            };
            target.annotations = BTreeMap::new();
            if names.is_empty() {
                images.push(Loaded { target: target.clone(), name: None });
            }
            images.extend(names.into_iter().map(|name| Loaded { target: target.clone(), name: Some(name) }));
        }
        images.dedup();
        Ok(images)
    }

    /// What the archive says is in it: its own index, or one made of Docker's forms.
    fn index(&self, desk: &Desk, owner: &Owner) -> Result<Index, Error> {
        if let Some(bytes) = &self.index {
            return serde_json::from_slice(bytes)
                .map_err(|error| Error::Archive(format!("index.json: {error}")));
        }
        let entry = |Loaded { mut target, name }: Loaded| {
            target.annotations.extend(name.map(|name| ("io.containerd.image.name".to_owned(), name)));
            Entry { descriptor: target, platform: None }
        };
        let manifests = self.images(desk, owner)?.into_iter().map(entry).collect();
        Ok(Index { schema_version: 2, media_type: Some(media_type::OCI_INDEX.to_owned()), manifests })
    }

    fn docker_manifests(&self) -> Result<Vec<DockerManifest>, Error> {
        match &self.manifest {
            None => Ok(Vec::new()),
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|error| Error::Archive(format!("manifest.json: {error}"))),
        }
    }

    /// The names that manifest.json gives to the image whose config is that of `target`.
    fn names_by_config(
        &self,
        desk: &Desk,
        target: &Descriptor,
        docker: &[DockerManifest],
    ) -> Result<Vec<String>, Error> {
        if docker.is_empty() || media_type::is_index(&target.media_type) {
            return Ok(Vec::new());
        }
        let content = &desk.archives.content;
        let bytes = desk.wait(content.read(
            &desk.namespace,
            &target.digest,
            gantry_distribution::MANIFEST_LIMIT as u64,
        ))?;
        let Some(bytes) = bytes else { return Ok(Vec::new()) };
        let config = document::any_manifest(target, &bytes)?.config.digest;
        let same = docker
            .iter()
            .filter(|manifest| blob_digest(&clean(manifest.config.as_bytes())).as_ref() == Some(&config));
        same.flat_map(|manifest| manifest.repo_tags.iter().flatten()).map(|tag| canonical(tag)).collect()
    }

    /// Makes an OCI manifest of an image in Docker's form.
    fn convert(&self, desk: &Desk, owner: &Owner, docker: &DockerManifest) -> Result<Vec<Loaded>, Error> {
        if docker.layers.len() > MAX_LAYERS {
            return Err(Error::Archive(format!(
                "an image in it has {} layers, more than {MAX_LAYERS}",
                docker.layers.len()
            )));
        }
        let config = self.file(&docker.config)?;
        let mut layers = Vec::new();
        for name in &docker.layers {
            layers.push(layer(desk, owner, self.file(name)?)?);
        }
        let config = Descriptor::new(media_type::OCI_CONFIG, config.digest.clone(), config.size);
        let target = compose(desk, owner, config, layers)?;
        let names =
            docker.repo_tags.iter().flatten().map(|tag| canonical(tag)).collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() {
            return Ok(vec![Loaded { target, name: None }]);
        }
        Ok(names.into_iter().map(|name| Loaded { target: target.clone(), name: Some(name) }).collect())
    }
}

/// Writes the manifest of a config and its layers.
pub(super) fn compose(
    desk: &Desk,
    owner: &Owner,
    config: Descriptor,
    layers: Vec<Descriptor>,
) -> Result<Descriptor, Error> {
    let media_type = Some(media_type::OCI_MANIFEST.to_owned());
    let manifest = Manifest { schema_version: 2, media_type, config, layers };
    let bytes = serde_json::to_vec(&manifest).expect("a manifest of our own serialises");
    let digest = Digest::sha256(&bytes);
    let target = Descriptor::new(media_type::OCI_MANIFEST, digest.clone(), bytes.len() as u64);
    let content = &desk.archives.content;
    let reference = part_ref("manifest", &digest);
    desk.wait(content.write(owner, &reference, &digest, bytes.into(), Labels::new()))?;
    Ok(target)
}

/// A layer by its first bytes: the store's own, as it may not have been read this time. What no media type has a word for
/// is stored once more, as it is uncompressed.
fn layer(desk: &Desk, owner: &Owner, stored: &Stored) -> Result<Descriptor, Error> {
    let descriptor =
        |media_type: &str, stored: &Stored| Descriptor::new(media_type, stored.digest.clone(), stored.size);
    Ok(match form(desk, stored)?.0 {
        Form::Plain => descriptor(media_type::OCI_LAYER, stored),
        Form::Gzip => descriptor(media_type::OCI_LAYER_GZIP, stored),
        Form::Zstd => descriptor(media_type::OCI_LAYER_ZSTD, stored),
        Form::Bzip2 | Form::Xz => descriptor(media_type::OCI_LAYER, &uncompressed(desk, owner, stored)?),
    })
}

/// A stored file as it is uncompressed, in the store as well.
pub(super) fn uncompressed(desk: &Desk, owner: &Owner, stored: &Stored) -> Result<Stored, Error> {
    let (form, file) = form(desk, stored)?;
    if form == Form::Plain {
        return Ok(stored.clone());
    }
    let mut plain =
        form.decoder(input::buffered(file)).map_err(|source| Error::Stream { op: "read", source })?;
    let lease = owner.lease.as_deref().unwrap_or_default();
    let reference = ingest_ref(format!("plain-{lease}-{}", stored.digest));
    desk.store(owner, &reference, 0, None, &mut plain)
}

fn form(desk: &Desk, stored: &Stored) -> Result<(Form, std::fs::File), Error> {
    let opened = desk.wait(desk.archives.content.open(&desk.namespace, &stored.digest))?;
    let missing = || Error::Missing { digest: stored.digest.clone(), image: "the archive".into() };
    let (file, _) = opened.ok_or_else(missing)?;
    let broke = |source| crate::content::local("read", &stored.digest, source);
    let mut start = [0; Form::MAGIC];
    let length = std::os::unix::fs::FileExt::read_at(&file, &mut start, 0).map_err(broke)?;
    Ok((Form::of(&start[..length]), file))
}

/// A name as it is stored; one that is no reference is an error of the archive.
pub(super) fn canonical(name: &str) -> Result<String, Error> {
    let reference = Reference::parse_normalized(name).map_err(|error| Error::Archive(error.to_string()))?;
    Ok(reference.with_default_tag().to_string())
}

/// The name in an index entry's annotations, when there is a whole one.
fn name_of(annotations: &BTreeMap<String, String>) -> Option<String> {
    if let Some(name) = annotations.get("io.containerd.image.name") {
        return canonical(name).ok();
    }
    // By the OCI layout's own rules this may be a tag alone, which names nothing.
    let name = annotations.get("org.opencontainers.image.ref.name")?;
    name.contains(['/', ':']).then(|| canonical(name).ok()).flatten()
}

/// The digest that a file's name promises.
fn blob_digest(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// A name in one way of writing it: without `.`, `..` and empty parts.
fn clean(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keys_and_nothing_more() {
        assert_eq!(clean(b"./blobs//sha256/x"), "blobs/sha256/x");
        assert_eq!(clean(b"../../etc/passwd"), "etc/passwd");
        assert_eq!(clean(b"/a/./b/../c"), "a/c");
        assert_eq!(
            clean(&[parent("a/layer.tar").as_bytes(), b"/", b"../b/layer.tar"].concat()),
            "b/layer.tar"
        );
    }

    #[test]
    fn only_whole_names_are_names() {
        let annotations = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
        let name = |key: &str, value: &str| name_of(&annotations(key, value));
        assert_eq!(
            name("io.containerd.image.name", "docker.io/library/a:1").as_deref(),
            Some("docker.io/library/a:1")
        );
        assert_eq!(
            name("org.opencontainers.image.ref.name", "a:1").as_deref(),
            Some("docker.io/library/a:1")
        );
        assert_eq!(name("org.opencontainers.image.ref.name", "latest"), None);
    }
}
