//! Facts about a snapshot.

use std::borrow::Cow;
use std::time::SystemTime;

use gantry_types::Labels;
use gantry_types::filter::{self, Fields};

use super::{SnapshotName, SnapshotRef};

/// A snapshot, as a namespace sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// The name of a committed snapshot, else the key.
    pub name: SnapshotRef,
    /// Its kind.
    pub kind: Kind,
    /// Its parent.
    pub parent: Option<SnapshotName>,
    /// When it was made.
    pub created_at: SystemTime,
    /// When its labels last changed.
    pub updated_at: SystemTime,
    /// The labels that clients have set.
    pub labels: Labels,
}

/// The kind of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Read-only, with a key.
    View,
    /// Writable, with a key.
    Active,
    /// Unchangeable, with a name; it can be a parent.
    Committed,
}

/// The size of a snapshot, without its parents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes.
    pub size: u64,
    /// Inodes.
    pub inodes: u64,
}

impl Kind {
    /// The kind's word in filters.
    pub fn word(self) -> &'static str {
        match self {
            Kind::View => "view",
            Kind::Active => "active",
            Kind::Committed => "committed",
        }
    }
}

impl Fields for Info {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        match path.split_first() {
            Some((first, [])) if first == "kind" => Some(self.kind.word().into()),
            Some((first, [])) if first == "name" => Some(self.name.as_str().into()),
            Some((first, [])) if first == "parent" => {
                Some(self.parent.as_ref().map_or("", SnapshotName::as_str).into())
            }
            Some((first, key)) if first == "labels" && !key.is_empty() => filter::label(&self.labels, key),
            _ => None,
        }
    }
}
