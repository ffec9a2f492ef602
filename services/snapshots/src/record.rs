//! A snapshot as it is stored.

use std::collections::BTreeMap;

use gantry_types::{Labels, Namespace};
use prost_types::Timestamp;

use crate::driver::Snapshot;

/// The snapshots of one namespace and one snapshotter: names are unique within.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The containerd namespace.
    pub namespace: Namespace,
    /// The snapshotter's name.
    pub snapshotter: String,
}

impl Scope {
    /// The first part of keys. A namespace has no slash.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.snapshotter)
    }

    /// Reads the first part of a key back.
    pub fn parse(key: &str) -> Option<Self> {
        let (namespace, snapshotter) = key.split_once('/')?;
        Some(Self { namespace: namespace.parse().ok()?, snapshotter: snapshotter.to_owned() })
    }
}

/// The kinds of snapshots, with the wire's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// Never stored.
    Unknown = 0,
    /// Read-only, under a key.
    View = 1,
    /// Writable, under a key.
    Active = 2,
    /// Unchangeable, under a name; others may be on top of it.
    Committed = 3,
}

impl Kind {
    /// The word in filters.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Unknown => "unknown",
            Kind::View => "view",
            Kind::Active => "active",
            Kind::Committed => "committed",
        }
    }
}

/// One snapshot. Its key or name is the record's key.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Record {
    /// Its id: the name of its directory.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Its kind.
    #[prost(enumeration = "Kind", tag = "2")]
    pub kind: i32,
    /// The parent's name; empty for none.
    #[prost(string, tag = "3")]
    pub parent: String,
    /// The ids of the snapshots below it, the nearest first. Those never change, so this is no second truth.
    #[prost(uint64, repeated, tag = "4")]
    pub layers: Vec<u64>,
    /// Its labels.
    #[prost(btree_map = "string, string", tag = "5")]
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    #[prost(message, optional, tag = "6")]
    pub created: Option<Timestamp>,
    /// When it was last changed.
    #[prost(message, optional, tag = "7")]
    pub updated: Option<Timestamp>,
    /// The collector's mark of when it was made.
    #[prost(uint64, tag = "8")]
    pub stamp: u64,
    /// What a committed snapshot takes, once it was counted.
    #[prost(message, optional, tag = "9")]
    pub usage: Option<StoredUsage>,
    /// What a remote snapshotter calls it; empty for a driver's.
    #[prost(string, tag = "10")]
    pub remote: String,
}

/// What a remote snapshotter has, or may have, without a record.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Discard {
    /// Whose namespace it was made in.
    #[prost(string, tag = "1")]
    pub namespace: String,
    /// The commit that creates the snapshot.
    #[prost(message, optional, tag = "2")]
    pub commit: Option<Committing>,
}

/// A commit whose outcome is unknown.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Committing {
    /// The key of the active snapshot.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The remote snapshotter's name for it.
    #[prost(string, tag = "2")]
    pub active: String,
    /// The name of the committed snapshot.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The record of the committed snapshot.
    #[prost(message, optional, tag = "4")]
    pub record: Option<Record>,
}

/// What a snapshot takes.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct StoredUsage {
    /// Bytes of its blocks.
    #[prost(uint64, tag = "1")]
    pub size: u64,
    /// Inodes.
    #[prost(uint64, tag = "2")]
    pub inodes: u64,
}

/// The value of tables that are only keys.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Present {}

impl Record {
    /// The labels, typed.
    pub fn labels(&self) -> Labels {
        self.labels.clone().into()
    }

    /// What its driver knows of it.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { id: self.id, kind: self.kind(), layers: &self.layers }
    }

    /// The ids of a child's layers: this one and those below it.
    pub fn stack(&self) -> Vec<u64> {
        std::iter::once(self.id).chain(self.layers.iter().copied()).collect()
    }
}
