//! Imports: what an archive holds becomes images here, called as the archive says or as it is told.

use std::collections::HashSet;

use gantry_api::content::Owner;
use gantry_proto::containerd::types::transfer as pb;
use gantry_types::{Descriptor, Digest, Labels, media_type};
use tokio::net::UnixStream;

use super::report::{Report, part_name};
use super::storage::{self, Platforms, Unpack};
use super::{Transfers, flow};
use crate::content::ingest_ref;
use crate::document::{self, CONFIG_LIMIT, Index};
use crate::error::Error;
use crate::graph::{Document, Graph};
use crate::snapshots;

impl Transfers {
    /// Reads an archive and makes images of what it holds.
    pub(super) async fn import(
        &self,
        owner: &Owner,
        from: &pb::ImageImportStream,
        to: &pb::ImageStore,
        report: &Report,
    ) -> Result<(), Error> {
        if from.force_compress {
            return Err(Error::Unsupported("the compression of an archive's layers".into()));
        }
        let stream = self.streams.take(owner.namespace.as_str(), &from.stream)?;
        report.say("Importing").await;
        // What reads an archive blocks, and reads sockets.
        let pipe = |source| Error::Stream { op: "opened", source };
        let (ours, theirs) = UnixStream::pair().map_err(pipe)?;
        let reading = self.archives.read(owner.clone(), theirs);
        let (received, index) = futures::future::join(flow::receive(stream, ours), reading).await;
        received?;
        let index = index?;

        let whole = self.store_index(owner, &index).await?;
        let (platforms, unpacks) = (Platforms::of(&to.platforms), storage::unpacks(to));
        for entry in index.manifests.iter().filter(|entry| platforms.includes(entry)) {
            let target = &entry.descriptor;
            let graph = self.graph(&owner.namespace, target, &platforms, target.digest.as_str()).await?;
            self.tie(owner, &graph).await?;
            self.unpack(owner, &graph, &unpacks).await?;
            self.catalog.forget(&owner.namespace, &target.digest);
        }
        let of_all = (&whole, storage::names_of(to, &whole));
        let of_each = index.manifests.iter().map(|entry| {
            let target = &entry.descriptor;
            (target, storage::names_in_archive(to, target))
        });
        for (target, names) in [of_all].into_iter().chain(of_each) {
            storage::name(&self.names, &owner.namespace, to, target, &names).await?;
            for name in &names {
                report.image("saved", name, Some(target)).await;
            }
        }
        report.say("Completed import").await;
        Ok(())
    }

    /// Stores what the archive says is in it, as an image of its own that keeps the others.
    async fn store_index(&self, owner: &Owner, index: &Index) -> Result<Descriptor, Error> {
        let bytes = serde_json::to_vec(index).expect("an index of our own serialises");
        let digest = Digest::sha256(&bytes);
        let descriptor = Descriptor::new(media_type::OCI_INDEX, digest.clone(), bytes.len() as u64);
        let keep = |(at, entry): (usize, &document::Entry)| {
            (format!("containerd.io/gc.ref.content.m.{at}"), entry.descriptor.digest.to_string())
        };
        let labels = index.manifests.iter().enumerate().map(keep).collect();
        let content = self.catalog.content();
        content.write(owner, &ingest_ref(part_name(&descriptor)), &digest, bytes.into(), labels).await?;
        Ok(descriptor)
    }

    /// Labels each document so that it keeps what it refers to, as far as that is here.
    async fn tie(&self, owner: &Owner, graph: &Graph) -> Result<(), Error> {
        let documents = graph.documents.iter().map(|document| &document.descriptor.digest);
        let here: HashSet<&Digest> = documents.chain(graph.blobs.iter().map(|blob| &blob.digest)).collect();
        for Document { descriptor, bytes } in &graph.documents {
            let parts: Vec<(String, Digest)> = match media_type::is_index(&descriptor.media_type) {
                true => {
                    let entries = document::index(descriptor, bytes)?.manifests.into_iter().enumerate();
                    entries.map(|(at, entry)| (format!("m.{at}"), entry.descriptor.digest)).collect()
                }
                false => {
                    let manifest = document::any_manifest(descriptor, bytes)?;
                    let layers = manifest.layers.into_iter().enumerate();
                    let layers = layers.map(|(at, layer)| (format!("l.{at}"), layer.digest));
                    layers.chain([("config".to_owned(), manifest.config.digest)]).collect()
                }
            };
            let labels: Labels = parts
                .into_iter()
                .filter(|(_, digest)| here.contains(digest))
                .map(|(part, digest)| (format!("containerd.io/gc.ref.content.{part}"), digest.to_string()))
                .collect();
            self.catalog.content().label(&owner.namespace, &descriptor.digest, labels).await?;
        }
        Ok(())
    }

    /// Unpacks those images whose platform is wanted unpacked.
    async fn unpack(&self, owner: &Owner, graph: &Graph, unpacks: &[Unpack]) -> Result<(), Error> {
        let content = self.catalog.content();
        for Document { descriptor, bytes } in &graph.documents {
            let Ok(manifest) = document::manifest(descriptor, bytes) else { continue };
            let Some(json) = content.read(&owner.namespace, &manifest.config.digest, CONFIG_LIMIT).await?
            else {
                continue;
            };
            let config = document::config(&manifest, &json)?;
            let wanted = unpacks.iter().filter(|unpack| unpack.platform.rank(&config.platform()).is_some());
            for wanted in wanted {
                let snapshotter = wanted.snapshotter.as_deref().unwrap_or(self.catalog.snapshotter());
                let (layers, diff_ids) = (&manifest.layers, &config.rootfs.diff_ids);
                self.catalog.snapshots().unpack(owner, snapshotter, layers, diff_ids, None).await?;
                snapshots::keep(content, &owner.namespace, snapshotter, &manifest, &config).await?;
                for (layer, diff_id) in layers.iter().zip(diff_ids) {
                    let label = ("containerd.io/uncompressed".to_owned(), diff_id.to_string());
                    content.label(&owner.namespace, &layer.digest, Labels::from([label])).await?;
                }
            }
        }
        Ok(())
    }
}
