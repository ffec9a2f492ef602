//! Resources, and the labels that refer to them.

use std::fmt;

use gantry_types::gc::{self, Edge};
use gantry_types::{Digest, Labels};

use crate::leases;

/// An object that can be collected or keeps others, in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// `content`, `ingests`, `snapshots/<snapshotter>`, `images`, `containers`, `sandboxes`, `leases`.
    pub kind: String,
    /// Its key within the type.
    pub key: String,
}

impl Resource {
    /// A resource by type and key.
    pub fn new(kind: impl Into<String>, key: impl Into<String>) -> Self {
        Self { kind: kind.into(), key: key.into() }
    }

    /// A blob.
    pub fn content(digest: &Digest) -> Self {
        Self::new("content", digest.as_str())
    }

    /// An ingest, by its ref.
    pub fn ingest(reference: &str) -> Self {
        Self::new("ingests", reference)
    }

    /// An image, by its name.
    pub fn image(name: &str) -> Self {
        Self::new("images", name)
    }

    /// A snapshot, by its key or name.
    pub fn snapshot(snapshotter: &str, key: &str) -> Self {
        Self::new(format!("snapshots/{snapshotter}"), key)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}

impl From<Edge> for Resource {
    fn from(edge: Edge) -> Self {
        Self::new(edge.resource_type(), edge.key())
    }
}

impl From<&leases::Resource> for Resource {
    fn from(resource: &leases::Resource) -> Self {
        Self::new(resource.kind().to_string(), resource.key())
    }
}

/// The resources that labels refer to.
pub fn references(labels: &Labels) -> Vec<Resource> {
    gc::edges(labels).map(Resource::from).collect()
}

/// The resources that the labels say keep their object.
pub fn keepers(labels: &Labels) -> Vec<Resource> {
    gc::back_references(labels).map(|(kind, key)| Resource::new(kind, key)).collect()
}

/// A resource with its references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The resource.
    pub resource: Resource,
    /// It is kept without a reference to it.
    pub root: bool,
    /// The resources that it keeps.
    pub references: Vec<Resource>,
    /// The resources that keep it, by its own labels.
    pub kept_by: Vec<Resource>,
    /// It keeps its references, but not what they refer to.
    pub flat: bool,
}

impl Node {
    /// The node of a resource with these labels.
    pub fn labelled(resource: Resource, labels: &Labels) -> Self {
        Self {
            resource,
            root: gc::is_root(labels),
            references: references(labels),
            kept_by: keepers(labels),
            flat: false,
        }
    }
}
