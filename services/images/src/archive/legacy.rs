//! Archives of Docker's first form: a directory for each layer, with the image that ends in it, and its parent's id.
//!
//! ```text
//! repositories        {"name": {"tag": "<id>"}}
//! <id>/json           the image's configuration, and whose child it is
//! <id>/layer.tar
//! ```
//!
//! Ids are keys of maps here, as all names of an archive. A chain of parents is as long as an image may have layers, and
//! leads nowhere twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

use gantry_api::content::Owner;
use gantry_types::{Descriptor, Digest, Labels, Platform, media_type};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Desk;
use super::create::Loaded;
use super::input::{Stored, cut};
use super::load::{Contents, canonical, compose, uncompressed};
use crate::content::part_ref;
use crate::document::MAX_LAYERS;
use crate::error::Error;

/// All documents may be so long together: they are read into memory.
const MAX_DOCUMENTS: u64 = 16 << 20;

/// What belongs to an image's place in the archive, and not to the image.
const PLACE: [&str; 6] = ["id", "parent", "Size", "parent_id", "layer_id", "throwaway"];

/// The documents of an archive's first form.
#[derive(Default)]
pub struct Legacy {
    /// By their names in the archive.
    documents: HashMap<String, Vec<u8>>,
    length: u64,
}

/// What is read of an image.
#[derive(Deserialize)]
struct Image {
    #[serde(default)]
    parent: String,
    created: Option<String>,
    author: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    container_config: Option<ContainerConfig>,
    #[serde(default)]
    os: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerConfig {
    #[serde(default)]
    cmd: Option<Vec<String>>,
}

/// Images of an archive, as they are made.
struct Maker<'a> {
    desk: &'a Desk,
    owner: &'a Owner,
    contents: &'a Contents,
    legacy: &'a Legacy,
    /// Uncompressed layers by the ids of their images.
    layers: HashMap<String, Stored>,
    /// Manifests by the ids of their images.
    images: HashMap<String, Descriptor>,
}

impl Legacy {
    /// Whether a file is one of these documents.
    pub fn is_document(name: &str) -> bool {
        name == "repositories" || name.ends_with("/json")
    }

    /// Keeps a document. One too many is only missed when it is needed.
    pub fn take(&mut self, name: String, size: u64, document: &mut dyn Read) -> Result<(), Error> {
        if size <= MAX_DOCUMENTS - self.length {
            let mut bytes = Vec::new();
            document.read_to_end(&mut bytes).map_err(cut)?;
            self.length += bytes.len() as u64;
            self.documents.insert(name, bytes);
        }
        Ok(())
    }

    /// Makes the images that the archive names.
    pub fn images(&self, desk: &Desk, owner: &Owner, contents: &Contents) -> Result<Vec<Loaded>, Error> {
        if !self.documents.contains_key("repositories") {
            return Ok(Vec::new());
        }
        let repositories: BTreeMap<String, BTreeMap<String, String>> = self.parse("repositories")?;
        let (layers, images) = (HashMap::new(), HashMap::new());
        let mut maker = Maker { desk, owner, contents, legacy: self, layers, images };
        let mut made = Vec::new();
        for (repository, tags) in &repositories {
            for (tag, id) in tags {
                let name = Some(canonical(&format!("{repository}:{tag}"))?);
                made.push(Loaded { target: maker.image(id)?, name });
            }
        }
        Ok(made)
    }

    fn parse<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<T, Error> {
        let document = self.documents.get(name);
        let document = document.ok_or_else(|| {
            Error::Archive(format!(
                "{name:?} is needed, but is not in it, or behind {MAX_DOCUMENTS} bytes of such documents"
            ))
        })?;
        serde_json::from_slice(document).map_err(|error| Error::Archive(format!("{name}: {error}")))
    }

    /// An image and its ancestors, the oldest first.
    fn chain(&self, id: &str) -> Result<Vec<(String, Image)>, Error> {
        let mut chain = Vec::new();
        let mut seen = HashSet::new();
        let mut next = id.to_owned();
        while !next.is_empty() {
            if next.len() != 64 || !next.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(Error::Archive(format!("{next:?} in it is no image's id")));
            }
            if !seen.insert(next.clone()) {
                return Err(Error::Archive(format!("image {next} in it is its own ancestor")));
            }
            if chain.len() >= MAX_LAYERS {
                return Err(Error::Archive(format!("image {id} in it has more than {MAX_LAYERS} layers")));
            }
            let image: Image = self.parse(&format!("{next}/json"))?;
            if !image.os.is_empty() && image.os != Platform::host().os() {
                let host = Platform::host();
                return Err(Error::Archive(format!("cannot load {} image on {}", image.os, host.os())));
            }
            let parent = image.parent.clone();
            chain.push((std::mem::replace(&mut next, parent), image));
        }
        chain.reverse();
        Ok(chain)
    }
}

impl Maker<'_> {
    /// The manifest of an image.
    fn image(&mut self, id: &str) -> Result<Descriptor, Error> {
        if let Some(made) = self.images.get(id) {
            return Ok(made.clone());
        }
        let chain = self.legacy.chain(id)?;
        if chain.is_empty() {
            return Err(Error::Archive(format!("{id:?} in it is no image's id")));
        }
        let (mut layers, mut history) = (Vec::new(), Vec::new());
        for (id, image) in &chain {
            let layer = self.layer(id)?;
            layers.push(Descriptor::new(media_type::OCI_LAYER, layer.digest, layer.size));
            history.push(story(image));
        }
        let mut config: Map<String, Value> = self.legacy.parse(&format!("{id}/json"))?;
        config.retain(|key, _| !PLACE.contains(&key.as_str()));
        let host = Platform::host();
        for (key, value) in [("os", host.os()), ("architecture", host.architecture())] {
            if config.get(key).and_then(Value::as_str).unwrap_or_default().is_empty() {
                config.insert(key.to_owned(), value.into());
            }
        }
        let diff_ids: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
        config.insert("rootfs".into(), json!({"type": "layers", "diff_ids": diff_ids}));
        config.insert("history".into(), history.into());
        let bytes = serde_json::to_vec(&config).expect("what was parsed serialises");
        let digest = Digest::sha256(&bytes);
        let descriptor = Descriptor::new(media_type::OCI_CONFIG, digest.clone(), bytes.len() as u64);
        let (desk, owner) = (self.desk, self.owner);
        let reference = part_ref("config", &digest);
        let content = &desk.archives.content;
        desk.wait(content.write(owner, &reference, &digest, bytes.into(), Labels::new()))?;
        let target = compose(desk, owner, descriptor, layers)?;
        self.images.insert(id.to_owned(), target.clone());
        Ok(target)
    }

    fn layer(&mut self, id: &str) -> Result<Stored, Error> {
        if let Some(layer) = self.layers.get(id) {
            return Ok(layer.clone());
        }
        let stored = self.contents.file(&format!("{id}/layer.tar"))?;
        let plain = uncompressed(self.desk, self.owner, stored)?;
        self.layers.insert(id.to_owned(), plain.clone());
        Ok(plain)
    }
}

/// What an image's history says of one layer.
fn story(image: &Image) -> Value {
    let command = image.container_config.as_ref().and_then(|config| config.cmd.as_ref());
    let by = command.map(|words| words.join(" "));
    let said = [
        ("created", &image.created),
        ("author", &image.author),
        ("created_by", &by),
        ("comment", &image.comment),
    ];
    let said = said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into())));
    Value::Object(said.filter(|(_, value): &(String, Value)| value != "").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legacy(images: &[(&str, &str)]) -> Legacy {
        let mut legacy = Legacy::default();
        for (id, parent) in images {
            let json = json!({"id": id, "parent": parent}).to_string();
            legacy.take(format!("{id}/json"), json.len() as u64, &mut json.as_bytes()).expect("in memory");
        }
        legacy
    }

    #[test]
    fn chains_of_parents_end() {
        let id = |digit: char| digit.to_string().repeat(64);
        let (a, b, c) = (id('a'), id('b'), id('c'));
        let ids = |legacy: &Legacy, of: &str| -> Result<Vec<String>, String> {
            let chain = legacy.chain(of).map_err(|error| error.to_string())?;
            Ok(chain.into_iter().map(|(id, _)| id).collect())
        };
        let good = legacy(&[(&a, ""), (&b, &a), (&c, &b)]);
        assert_eq!(ids(&good, &c), Ok(vec![a.clone(), b.clone(), c.clone()]));
        let ring = legacy(&[(&a, &b), (&b, &a)]);
        assert!(ids(&ring, &a).expect_err("a ring").contains("its own ancestor"));
        let torn = legacy(&[(&b, &a)]);
        assert!(ids(&torn, &b).expect_err("torn").contains("is needed"));
        let out = legacy(&[(&b, "../../etc")]);
        assert!(ids(&out, &b).expect_err("no id").contains("is no image's id"));
        let images: Vec<(String, String)> =
            (0..=MAX_LAYERS).map(|at| (format!("{at:064x}"), format!("{:064x}", at + 1))).collect();
        let images: Vec<_> = images.iter().map(|(id, parent)| (id.as_str(), parent.as_str())).collect();
        assert!(ids(&legacy(&images), &format!("{:064x}", 0)).expect_err("long").contains("more than"));
    }

    #[test]
    fn documents_beyond_the_bound_are_not_kept() {
        let mut legacy = Legacy::default();
        legacy.take("a/json".into(), MAX_DOCUMENTS + 1, &mut std::io::repeat(0)).expect("left out");
        assert!(legacy.documents.is_empty());
    }
}
