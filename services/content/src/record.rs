//! What the database holds.
//!
//! ```text
//! blobs    (namespace, digest) → BlobRecord      the namespace sees the blob
//! holders  (digest, namespace) → Holder          the same fact by digest: who keeps the bytes
//! ingests  (namespace, ref)    → IngestRecord    an ingest and where its bytes are
//! kept     (digest, store)     → KeptRecord      the store of another program has the bytes, or may have them
//! ```
//!
//! A blob's record and its holder are written and deleted in one batch; so is that its bytes are kept at a store.
//!
//! Schema 2 added `kept`. A service that does not know it would take blobs without files for lost.

use std::collections::BTreeMap;

use gantry_api::content::Info;
use gantry_api::wire;
use gantry_disk::{Batch, Database, Migration, Schema, Table};
use gantry_types::{Algorithm, Digest, Namespace};
use prost_types::Timestamp;

use crate::Result;
use crate::layout::Layout;

const BLOBS: &str = "blobs";
const HOLDERS: &str = "holders";
const INGESTS: &str = "ingests";
const KEPT: &str = "kept";
/// Each step's reason is in the module's documentation.
const MIGRATIONS: &[Migration] = &[|_, _| Ok(())];

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

/// That the store of another program has a blob's bytes, or may have them: see [`crate::kept`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeptRecord {
    /// Bytes.
    #[prost(uint64, tag = "1")]
    pub(crate) size: u64,
    /// Whether a namespace has the blob; if not, the bytes are to be removed there.
    #[prost(bool, tag = "2")]
    pub(crate) held: bool,
    /// Whether somebody else had put the blob there before.
    #[prost(bool, tag = "3")]
    pub(crate) found: bool,
    /// What tells ours there from others'.
    #[prost(string, tag = "4")]
    pub(crate) mark: String,
    /// When this was first written, seconds since 1970.
    #[prost(uint64, tag = "5")]
    pub(crate) noted_at: u64,
}

/// The database and its tables.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) database: Database,
    pub(crate) blobs: Table<(Namespace, Digest), BlobRecord>,
    pub(crate) holders: Table<(Digest, Namespace), Holder>,
    pub(crate) ingests: Table<(Namespace, String), IngestRecord>,
    pub(crate) kept: Table<(Digest, String), KeptRecord>,
}

impl Records {
    pub(crate) fn open(layout: &Layout) -> Result<Self> {
        let schema = Schema { tables: &[BLOBS, HOLDERS, INGESTS, KEPT], migrations: MIGRATIONS };
        let blobs = Algorithm::ALL.map(|algorithm| layout.blobs(algorithm));
        let database = Database::open_beside(layout.database(), schema, &blobs)?;
        Ok(Records {
            blobs: database.table(BLOBS),
            holders: database.table(HOLDERS),
            ingests: database.table(INGESTS),
            kept: database.table(KEPT),
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

    /// The store that keeps a blob's bytes; `None`: this service, or nobody.
    pub(crate) fn keeper(&self, digest: &Digest) -> Result<Option<((Digest, String), KeptRecord)>> {
        for row in self.kept.iter(digest) {
            let (key, kept) = row?;
            if kept.held {
                return Ok(Some((key, kept)));
            }
        }
        Ok(None)
    }

    /// Adds to a batch, which deletes a blob's last record, that a store may remove the bytes. Whether there is one.
    pub(crate) fn release(&self, batch: &mut Batch, digest: &Digest) -> Result<bool> {
        let Some((key, kept)) = self.keeper(digest)? else { return Ok(false) };
        batch.put(&self.kept, &key, &KeptRecord { held: false, ..kept });
        Ok(true)
    }
}
