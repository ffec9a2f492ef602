//! A fake of images, made of the documents in a fake's content, with registries for pulls and pushes. Nothing is
//! collected, and the bytes of layers are not read: unpacking only records a layer, with its length as its size.

mod commit;
mod documents;
mod find;
mod records;
mod removal;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gantry_api::Promise;
use gantry_api::images::{
    Credentials, Distribution, Filter, Image, Inspect, Look, Record, Registries, Registry, Unpack, server,
};
use gantry_rpc::Code;
use gantry_types::{Descriptor, Namespace, Platform, Reference};
use parking_lot::Mutex;
use tonic::service::Routes;

pub use documents::{image, layer};
pub use transfer::Moving;

use crate::{Content, Refused};

/// The default snapshotter.
const SNAPSHOTTER: &str = "overlayfs";

/// An images service without a disk and a network. Clones share their state.
#[derive(Debug, Clone)]
pub struct Images {
    content: Content,
    /// The content of the registries.
    remote: Content,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: BTreeMap<(Namespace, String), Record>,
    /// Chain ids by namespace and snapshotter.
    unpacked: BTreeSet<(Namespace, String, String)>,
    /// The registries that answer, by host.
    hosts: BTreeSet<String>,
    /// The targets of names at the registries.
    offered: BTreeMap<String, Descriptor>,
    /// Keys of containers' roots.
    roots: BTreeSet<String>,
}

impl Images {
    /// Images whose documents and layers are in `content`.
    pub fn new(content: &Content) -> Self {
        Self { content: content.clone(), remote: Content::default(), state: Arc::default() }
    }

    /// The gRPC services of images.
    pub fn routes(&self) -> Routes {
        Routes::new(server::images(self.clone())).add_service(server::records(self.clone()))
    }

    /// Adds a registry of this name that accepts all pulls and pushes.
    pub fn add_registry(&self, host: &str) {
        self.state.lock().hosts.insert(host.to_owned());
    }

    /// Adds a name to a registry.
    pub fn offer<'a>(&self, name: &str, target: &Descriptor, blobs: impl IntoIterator<Item = &'a Vec<u8>>) {
        for blob in blobs {
            self.remote.put(&Namespace::moby(), blob);
        }
        self.state.lock().offered.insert(name.to_owned(), target.clone());
    }

    /// Adds a container's root with this key, from which an image can be made.
    pub fn add_root(&self, key: &str) {
        self.state.lock().roots.insert(key.to_owned());
    }

    /// Points a name at a target, even if the target's documents do not exist.
    pub fn point(&self, namespace: &Namespace, name: &str, target: &Descriptor) {
        let mut state = self.state.lock();
        let record = Record::new(name, target.clone());
        let previous = state.records.insert((namespace.clone(), name.to_owned()), record);
        if let Some(previous) = previous.filter(|previous| previous.target.digest != target.digest) {
            state.keep(namespace, &previous.target);
        }
        state.records.remove(&(namespace.clone(), Record::dangling_name(target)));
    }
}

impl State {
    /// Keeps an image that has no name.
    fn keep(&mut self, namespace: &Namespace, target: &Descriptor) {
        let mut records = self.records.iter().filter(|((of, _), _)| of == namespace);
        if !records.any(|(_, record)| record.target.digest == target.digest) {
            let record = Record::new(Record::dangling_name(target), target.clone());
            self.records.insert((namespace.clone(), record.name.clone()), record);
        }
    }
}

impl Promise for Images {
    type Error = Refused;
}

impl Inspect for Images {
    async fn image(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: Option<&Platform>,
        look: Look,
    ) -> Result<Image, Refused> {
        let found = self.find(namespace, text)?;
        self.describe(namespace, &found, platform, look)
    }

    async fn images(&self, namespace: &Namespace, filters: &[Filter]) -> Result<Vec<Image>, Refused> {
        const KNOWN: [&str; 7] = ["dangling", "label", "label!", "before", "since", "reference", "until"];
        let choice = self.choice(namespace, filters, &KNOWN)?;
        let mut images = Vec::new();
        for found in self.all(namespace) {
            // Docker does not list an image with missing parts.
            let Ok(image) = self.describe(namespace, &found, None, Look::Everything) else { continue };
            if choice.takes(&found, &image) {
                images.push(choice.shown(image));
            }
        }
        images.sort_by_key(|image| std::cmp::Reverse(image.created_at));
        Ok(images)
    }
}

impl Unpack for Images {
    async fn unpack_image(
        &self,
        namespace: &Namespace,
        text: &str,
        platform: Option<&Platform>,
        snapshotter: Option<&str>,
    ) -> Result<Image, Refused> {
        let found = self.find(namespace, text)?;
        let image = self.describe(namespace, &found, platform, Look::Documents)?;
        if let Some(gone) =
            image.layers.iter().find(|layer| !self.content.has(namespace, &layer.descriptor.digest))
        {
            return Err(Refused::new(Code::NotFound, &gone.descriptor.digest, "no such blob"));
        }
        self.note_unpacked(namespace, snapshotter.unwrap_or(SNAPSHOTTER), &image);
        self.describe(namespace, &found, platform, Look::Everything)
    }
}

impl Images {
    fn note_unpacked(&self, namespace: &Namespace, snapshotter: &str, image: &Image) {
        if let Some(chain) = image.chain_id() {
            let unpacked = (namespace.clone(), snapshotter.to_owned(), chain.to_string());
            self.state.lock().unpacked.insert(unpacked);
        }
    }

    fn answers(&self, host: &str) -> Result<(), Refused> {
        match self.state.lock().hosts.contains(host) {
            true => Ok(()),
            false => Err(Refused::new(Code::Unavailable, host, "no registry answers")),
        }
    }
}

impl Registries for Images {
    async fn distribution(&self, reference: &Reference, _: &Credentials) -> Result<Distribution, Refused> {
        self.answers(reference.domain())?;
        let name = reference.clone().with_default_tag().to_string();
        let offered = self.state.lock().offered.get(&name).cloned();
        let descriptor =
            offered.ok_or_else(|| Refused::new(Code::NotFound, name, "the registry has it not"))?;
        let manifests = documents::manifests(&self.remote, &Namespace::moby(), &descriptor)?;
        let platform = |manifest| Ok(documents::read(&self.remote, &Namespace::moby(), manifest)?.platform);
        let platforms = manifests.iter().map(platform).collect::<Result<_, Refused>>()?;
        Ok(Distribution { descriptor, platforms })
    }

    async fn login(&self, address: &str, _: &Credentials) -> Result<(), Refused> {
        let address = address.trim_start_matches("https://").trim_start_matches("http://");
        self.answers(address.split('/').next().filter(|host| !host.is_empty()).unwrap_or("docker.io"))
    }

    async fn registries(&self) -> Result<Vec<Registry>, Refused> {
        Ok(Vec::new())
    }
}
