//! A snapshot, as it is looked at.

use std::borrow::Cow;
use std::time::SystemTime;

use gantry_types::Labels;
use gantry_types::filter::{self, Fields};

use super::{SnapshotName, SnapshotRef};

/// A snapshot as a namespace sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// Its name if it is committed, else its key.
    pub name: SnapshotRef,
    /// What it is.
    pub kind: Kind,
    /// What it is on top of.
    pub parent: Option<SnapshotName>,
    /// When it was made.
    pub created_at: SystemTime,
    /// When its labels last changed.
    pub updated_at: SystemTime,
    /// What clients noted of it.
    pub labels: Labels,
}

/// What a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Read-only, under a key.
    View,
    /// Writable, under a key.
    Active,
    /// Unchangeable, under a name; others may be on top of it.
    Committed,
}

/// What a snapshot takes by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes.
    pub size: u64,
    /// Inodes.
    pub inodes: u64,
}

impl Kind {
    /// The word in filters.
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
