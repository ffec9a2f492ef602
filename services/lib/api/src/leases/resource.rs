//! What a lease may keep.

use std::fmt;

use gantry_rpc::{Code, Coded};

/// Something of a store that collects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    kind: Kind,
    key: String,
}

/// Where something is.
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

/// What a lease cannot keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResource {
    /// No store has things of this type.
    #[error("a lease cannot keep resources of type {0:?}")]
    Kind(String),
    /// It has no key.
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
    /// When a lease cannot keep it.
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

    /// Where it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What it is called there.
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
