//! Things that are collected or keep others, and how labels name them.

use std::fmt;

use gantry_types::gc::{self, Edge};
use gantry_types::{Digest, Labels};

use crate::leases;

/// A thing that can be collected or that keeps others, within one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// `content`, `ingests`, `snapshots/<snapshotter>`, `images`, `containers`, `sandboxes`, `leases`.
    pub kind: String,
    /// Its name among its kind.
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

/// What labels refer to.
pub fn references(labels: &Labels) -> Vec<Resource> {
    gc::edges(labels).map(Resource::from).collect()
}

/// What keeps the labels' object, by its own saying.
pub fn keepers(labels: &Labels) -> Vec<Resource> {
    gc::back_references(labels).map(|(kind, key)| Resource::new(kind, key)).collect()
}

/// A thing that exists, and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Itself.
    pub resource: Resource,
    /// Kept for its own sake.
    pub root: bool,
    /// What it keeps.
    pub references: Vec<Resource>,
    /// What keeps it, by its own saying.
    pub kept_by: Vec<Resource>,
    /// Keeps its references, but not what they refer to.
    pub flat: bool,
}

impl Node {
    /// What these labels say of a thing.
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
