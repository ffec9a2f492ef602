//! The resources that a lease may keep.

use std::fmt;

use gantry_rpc::{Code, Coded};

/// A resource of a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    kind: Kind,
    key: String,
}

/// The type of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A blob, by its digest.
    Content,
    /// An ingest, by its ref.
    Ingests,
    /// An image, by its name.
    Images,
    /// A snapshot of this snapshotter, by its key or name.
    Snapshots(String),
}

/// Why a lease cannot keep a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResource {
    /// No store has resources of this type.
    #[error("a lease cannot keep resources of type {0:?}")]
    Kind(String),
    /// The key is empty.
    #[error("a resource of type {0} needs an id")]
    NoKey(Kind),
}

impl Coded for BadResource {
    fn code(&self) -> Code {
        match self {
            BadResource::Kind(_) => Code::Unimplemented,
            BadResource::NoKey(_) => Code::InvalidArgument,
        }
    }
}

impl Resource {
    /// The resource of this type and key, as messages name them.
    ///
    /// # Errors
    ///
    /// When a lease cannot keep the resource.
    pub fn parse(kind: &str, key: &str) -> Result<Self, BadResource> {
        let kind = match (kind, kind.strip_prefix("snapshots/")) {
            ("content", _) => Kind::Content,
            ("ingests", _) => Kind::Ingests,
            ("images", _) => Kind::Images,
            (_, Some(snapshotter)) if !snapshotter.is_empty() => Kind::Snapshots(snapshotter.to_owned()),
            _ => return Err(BadResource::Kind(kind.to_owned())),
        };
        if key.is_empty() { Err(BadResource::NoKey(kind)) } else { Ok(Self { kind, key: key.to_owned() }) }
    }

    /// Its type.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Content => f.write_str("content"),
            Kind::Ingests => f.write_str("ingests"),
            Kind::Images => f.write_str("images"),
            Kind::Snapshots(snapshotter) => write!(f, "snapshots/{snapshotter}"),
        }
    }
}
