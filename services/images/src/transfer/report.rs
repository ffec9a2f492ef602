//! How a transfer goes, in containerd's words, on the stream that the client has opened for it.
//!
//! A client that does not listen any more is no failure of the transfer; one that is slow misses counts, but no change.

use std::collections::HashMap;

use gantry_proto::containerd::types::transfer::Progress;
use gantry_types::{Descriptor, Digest, media_type};

use crate::record;
use crate::streams::Stream;

/// Reports progress to a client, or nowhere.
#[derive(Debug)]
pub struct Report(Option<Stream>);

/// What is said of the parts of an image: their names, and below which they are.
#[derive(Clone, Debug, Default)]
pub struct Parts(HashMap<Digest, Part>);

#[derive(Clone, Debug)]
struct Part {
    descriptor: Descriptor,
    parent: String,
}

impl Report {
    /// A report to a client.
    pub fn on(stream: Stream) -> Self {
        Self(Some(stream))
    }

    /// A report that goes nowhere.
    pub fn silent() -> Self {
        Self(None)
    }

    /// Says that something as a whole has begun or ended.
    pub async fn say(&self, event: impl Into<String>) {
        self.send(Progress { event: event.into(), ..Default::default() }).await;
    }

    /// Says what became of an image.
    pub async fn image(&self, event: &str, name: &str, target: Option<&Descriptor>) {
        let (event, name) = (event.to_owned(), name.to_owned());
        self.send(Progress { event, name, desc: target.map(record::descriptor), ..Default::default() }).await;
    }

    /// Sends what must not be lost.
    pub async fn send(&self, progress: Progress) {
        if let Some(stream) = &self.0 {
            let _ = stream.send(gantry_proto::pack(&progress)).await;
        }
    }

    /// Sends a count, if the client keeps up.
    pub fn count(&self, progress: Progress) {
        if let Some(stream) = &self.0 {
            stream.offer(gantry_proto::pack(&progress));
        }
    }

    /// Waits until all is on its way, and ends the stream.
    pub async fn finish(self) {
        if let Some(stream) = self.0 {
            stream.drained().await;
        }
    }
}

impl Parts {
    /// Notes a part, and says that it is waited for.
    pub async fn wait_for(&mut self, report: &Report, descriptor: &Descriptor, parent: &str) {
        let part = Part { descriptor: descriptor.clone(), parent: parent.to_owned() };
        self.0.insert(descriptor.digest.clone(), part);
        if let Some(progress) = self.progress(&descriptor.digest, "waiting", 0) {
            report.send(progress).await;
        }
    }

    /// Whether a part was noted.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }

    /// What is said of a part; nothing of one that was never noted.
    pub fn progress(&self, digest: &Digest, event: &str, current: u64) -> Option<Progress> {
        let Part { descriptor, parent } = self.0.get(digest)?;
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        // Of what was there already, containerd does not say below what it is.
        let parents = if event == "already exists" { Vec::new() } else { vec![parent.clone()] };
        Some(Progress {
            event: event.to_owned(),
            name: part_name(descriptor),
            parents,
            progress: signed(current),
            total: signed(descriptor.size),
            desc: Some(record::descriptor(descriptor)),
        })
    }

    /// Says that a part has come to its end.
    pub async fn end(&self, report: &Report, digest: &Digest, event: &str) {
        let Some(part) = self.0.get(digest) else { return };
        if let Some(progress) = self.progress(digest, event, part.descriptor.size) {
            report.send(progress).await;
        }
    }
}

/// The name of a part: what it is, and its digest; that of a named one has its name between.
pub fn part_name(descriptor: &Descriptor) -> String {
    let kind = match descriptor.media_type.as_str() {
        kind if media_type::is_manifest(kind) => "manifest",
        kind if media_type::is_index(kind) => "index",
        kind if media_type::compression(kind).is_some() => "layer",
        kind if media_type::is_config(kind) => "config",
        "application/vnd.in-toto+json" => "attestation",
        _ => "unknown",
    };
    match descriptor.annotations.get("org.opencontainers.image.ref.name") {
        Some(name) => format!("{kind}-{name}@{}", descriptor.digest),
        None => format!("{kind}-{}", descriptor.digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_containerds_names() {
        let digest = Digest::sha256(b"x");
        let name = |kind: &str| part_name(&Descriptor::new(kind, digest.clone(), 3));
        assert_eq!(name(media_type::OCI_INDEX), format!("index-{digest}"));
        assert_eq!(name(media_type::DOCKER_MANIFEST), format!("manifest-{digest}"));
        assert_eq!(name(media_type::OCI_CONFIG), format!("config-{digest}"));
        assert_eq!(name(media_type::DOCKER_LAYER_GZIP), format!("layer-{digest}"));
        assert_eq!(name("text/plain"), format!("unknown-{digest}"));
        let mut named = Descriptor::new(media_type::OCI_INDEX, digest.clone(), 3);
        named.annotations.insert("org.opencontainers.image.ref.name".into(), "1".into());
        assert_eq!(part_name(&named), format!("index-1@{digest}"));
    }

    #[tokio::test]
    async fn a_parts_progress_tells_its_parent_until_it_proves_to_be_there() {
        let layer = Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::sha256(b"x"), 30);
        let mut parts = Parts::default();
        parts.wait_for(&Report::silent(), &layer, "manifest-m").await;
        let told = parts.progress(&layer.digest, "downloading", 20).expect("noted");
        assert_eq!((told.progress, told.total, told.parents), (20, 30, vec!["manifest-m".to_owned()]));
        assert!(parts.progress(&layer.digest, "already exists", 30).expect("noted").parents.is_empty());
        assert!(parts.progress(&Digest::sha256(b"y"), "complete", 1).is_none());
    }
}
