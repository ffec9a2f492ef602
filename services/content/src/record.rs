//! What the database holds.
//!
//! ```text
//! blobs    (namespace, digest) → BlobRecord      the namespace sees the blob
//! holders  (digest, namespace) → Holder          the same fact by digest: who keeps the bytes
//! ingests  (namespace, ref)    → IngestRecord    an ingest and where its bytes are
//! ```
//!
//! A blob's record and its holder are written and deleted in one batch.

use std::collections::BTreeMap;

use gantry_api::content::Info;
use gantry_api::wire;
use gantry_disk::{Database, Schema, Table};
use gantry_types::{Algorithm, Digest, Namespace};
use prost_types::Timestamp;

use crate::Result;
use crate::layout::Layout;

const BLOBS: &str = "blobs";
const HOLDERS: &str = "holders";
const INGESTS: &str = "ingests";

/// A namespace's view of a blob.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BlobRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) size: u64,
    #[prost(message, optional, tag = "2")]
    pub(crate) created_at: Option<Timestamp>,
    #[prost(message, optional, tag = "3")]
    pub(crate) updated_at: Option<Timestamp>,
    #[prost(btree_map = "string, string", tag = "4")]
    pub(crate) labels: BTreeMap<String, String>,
}

impl BlobRecord {
    pub(crate) fn of(info: &Info) -> Self {
        BlobRecord {
            size: info.size,
            created_at: Some(info.created_at.into()),
            updated_at: Some(info.updated_at.into()),
            labels: info.labels.clone().into(),
        }
    }

    /// The blob that this is about.
    pub(crate) fn info(self, digest: Digest) -> Info {
        Info {
            digest,
            size: self.size,
            created_at: wire::moment(self.created_at.as_ref()),
            updated_at: wire::moment(self.updated_at.as_ref()),
            labels: self.labels.into(),
        }
    }
}

/// That a namespace has a blob.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Holder {}

/// An ingest. How far it is, the file tells.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IngestRecord {
    /// The directory's name.
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) started_at: Option<Timestamp>,
    /// 0 when unknown.
    #[prost(uint64, tag = "3")]
    pub(crate) total: u64,
    /// Empty when unknown.
    #[prost(string, tag = "4")]
    pub(crate) expected: String,
    /// The lease that keeps it beyond its time; empty if none.
    #[prost(string, tag = "5")]
    pub(crate) lease: String,
}

/// The database and its tables.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) database: Database,
    pub(crate) blobs: Table<(Namespace, Digest), BlobRecord>,
    pub(crate) holders: Table<(Digest, Namespace), Holder>,
    pub(crate) ingests: Table<(Namespace, String), IngestRecord>,
}

impl Records {
    pub(crate) fn open(layout: &Layout) -> Result<Self> {
        let schema = Schema { tables: &[BLOBS, HOLDERS, INGESTS], migrations: &[] };
        let blobs = Algorithm::ALL.map(|algorithm| layout.blobs(algorithm));
        let database = Database::open_beside(layout.database(), schema, &blobs)?;
        Ok(Records {
            blobs: database.table(BLOBS),
            holders: database.table(HOLDERS),
            ingests: database.table(INGESTS),
            database,
        })
    }

    /// Whether any namespace keeps the bytes.
    pub(crate) fn is_held(&self, digest: &Digest) -> Result<bool> {
        Ok(self.holders.iter(digest).next().transpose()?.is_some())
    }

    /// The blob's size, if any namespace keeps the bytes.
    pub(crate) fn held_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let Some(((digest, namespace), _)) = self.holders.iter(digest).next().transpose()? else {
            return Ok(None);
        };
        Ok(self.blobs.get(&(namespace, digest))?.map(|record| record.size))
    }
}
