//! Pushes: an image of the store, or the platforms of it that are asked for, to a registry.

use gantry_proto::containerd::types::transfer as pb;
use gantry_types::{Descriptor, Namespace};
use tokio::sync::mpsc;

use super::Transfers;
use super::report::{Parts, Report, part_name};
use super::storage::Platforms;
use crate::document::{self, Entry};
use crate::error::Error;
use crate::graph::{Gaps, Graph};
use crate::push::{Event, PushProgress, State, Told};
use gantry_distribution::Access;

impl Transfers {
    /// Pushes the image that `from` names.
    pub(super) async fn push(
        &self,
        namespace: &Namespace,
        from: &pb::ImageStore,
        to: pb::OciRegistry,
        report: &Report,
    ) -> Result<(), Error> {
        let target = self.names.store().get(namespace, &from.name)?.target;
        let destination = self.registry(namespace, self.pusher.remote(), to, Access::Push)?;
        let object = destination.object()?;
        let platforms = Platforms::of(&from.platforms);
        let graph = self.graph(namespace, &target, &platforms, &from.name).await?;

        report.say(format!("Pushing to {}", destination.name())).await;
        report.image("pushing content", &from.name, Some(&target)).await;
        let parts = parts(&graph, &target, &from.name, report).await;
        let documents: Vec<Descriptor> =
            graph.documents.iter().map(|document| document.descriptor.clone()).collect();
        let (sender, events) = mpsc::channel(64);
        let shipping = async {
            let repository = &destination.repository;
            let shipped =
                self.pusher.ship(namespace, repository, &object, graph, Told::Everything, &sender).await;
            drop(sender);
            shipped
        };
        let (shipped, ()) = futures::future::join(shipping, tell(events, &parts, report)).await;
        let familiar = destination.reference.familiar_name();
        shipped.map_err(|error| error.of_image("push", &familiar, &destination.text))?;
        for document in &documents {
            parts.end(report, &document.digest, "complete").await;
        }
        report.image("pushed content", &from.name, Some(&target)).await;
        report.image(&format!("Completed push to {}", destination.name()), "", Some(&target)).await;
        Ok(())
    }

    /// All that belongs to the platforms of an image, which has to be here.
    pub(super) async fn graph(
        &self,
        namespace: &Namespace,
        target: &Descriptor,
        platforms: &Platforms,
        name: &str,
    ) -> Result<Graph, Error> {
        let content = self.catalog.content();
        let meant = |entry: &Entry| platforms.includes(entry);
        let graph = Graph::gather_those(content, namespace, target, Gaps::Refuse, &meant).await?;
        match graph {
            Some(graph) => Ok(graph),
            None => Err(Error::Incomplete { image: name.to_owned() }),
        }
    }
}

/// Notes all parts of what is shipped, the outer before the inner, and says that they are waited for.
async fn parts(graph: &Graph, target: &Descriptor, name: &str, report: &Report) -> Parts {
    let mut parts = Parts::default();
    let mut open = vec![(target.clone(), name.to_owned())];
    while let Some((descriptor, parent)) = open.pop() {
        if parts.contains(&descriptor.digest) {
            continue;
        }
        parts.wait_for(report, &descriptor, &parent).await;
        let known = graph.documents.iter().find(|known| known.descriptor.digest == descriptor.digest);
        let Some(known) = known else { continue };
        let own = part_name(&descriptor);
        let inner: Vec<Descriptor> = match document::index(&known.descriptor, &known.bytes) {
            Ok(index) if !index.manifests.is_empty() => {
                index.manifests.into_iter().map(|entry| entry.descriptor).collect()
            }
            _ => match document::any_manifest(&known.descriptor, &known.bytes) {
                Ok(manifest) => manifest.layers.into_iter().chain([manifest.config]).collect(),
                Err(_) => Vec::new(),
            },
        };
        let shipped = |descriptor: &Descriptor| {
            graph.blobs.iter().any(|blob| blob.digest == descriptor.digest)
                || graph.documents.iter().any(|known| known.descriptor.digest == descriptor.digest)
        };
        open.extend(inner.into_iter().filter(shipped).rev().map(|inner| (inner, own.clone())));
    }
    parts
}

/// Puts how the blobs do in containerd's words.
async fn tell(mut events: mpsc::Receiver<Event>, parts: &Parts, report: &Report) {
    while let Some(event) = events.recv().await {
        let Event::Layer(PushProgress { digest, state, current, .. }) = event else { continue };
        match state {
            State::Pushing => {
                if let Some(progress) = parts.progress(&digest, "uploading", current) {
                    report.count(progress);
                }
            }
            State::Pushed => parts.end(report, &digest, "complete").await,
            State::Exists | State::Mounted => parts.end(report, &digest, "already exists").await,
            State::Preparing | State::Waiting => {}
        }
    }
}
