//! An ingest: bytes on their way to become a blob.
//!
//! ```text
//!          open                commit
//!   New ─────────▶ Live ─────────────────▶ Committed
//!    │ failed       │ abort, expiry, sweep
//!    └──────────────┴────────────────────▶ Gone
//! ```
//!
//! There is one object per ingest, from its record's first write to its end. The writer that holds its lock changes
//! it, and any task may watch it. Its file never has more bytes than `written` when no writer is there.
//!
//! An ingest may be *bound*: another namespace has the expected blob, so all bytes count as written, though the file is
//! empty. A writer that begins anew at offset 0 unbinds it.

mod writer;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use gantry_api::content::IngestRef;
use gantry_types::{Digest, Hasher, Namespace};
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use writer::Commit;
pub use writer::Writer;

use crate::layout::{self, IngestId, Layout};
use crate::record::IngestRecord;
use crate::{Error, Result};

/// Which ingest: the client's ref, within a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct IngestKey {
    pub(crate) namespace: Namespace,
    pub(crate) reference: String,
}

impl IngestKey {
    pub(crate) fn of(namespace: &Namespace, reference: &IngestRef) -> Self {
        IngestKey { namespace: namespace.clone(), reference: reference.to_string() }
    }

    pub(crate) fn not_found(&self) -> Error {
        Error::IngestNotFound { reference: self.reference.clone() }
    }
}

/// Where an ingest is in its life.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    /// Its record and file are being made; no other task sees it yet.
    New,
    /// The ingest takes bytes.
    Live,
    /// The ingest became a blob.
    Committed { digest: Digest, size: u64 },
    /// The ingest was aborted.
    Gone(&'static str),
}

/// What is known of an ingest at a moment.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// The bytes in the file, from its start.
    pub(crate) written: u64,
    /// The size of the expected blob, if another namespace has it.
    pub(crate) bound: Option<u64>,
    /// How often the bytes were thrown away.
    pub(crate) generation: u32,
    /// 0 when unknown.
    pub(crate) total: u64,
    pub(crate) expected: Option<Digest>,
    /// The lease that keeps it; empty if none.
    pub(crate) lease: String,
    pub(crate) updated_at: SystemTime,
    pub(crate) fate: Fate,
}

impl State {
    /// Offset of the next byte.
    pub(crate) fn offset(&self) -> u64 {
        self.bound.unwrap_or(self.written)
    }
}

/// Who wrote the bytes, and so what proves them.
#[derive(Debug)]
enum Provenance {
    /// This process alone, which hashed them as they came.
    Own(Box<Hasher>),
    /// Another process with a descriptor, or an earlier process of the service: sealed and hashed at the commit.
    Foreign,
}

impl Provenance {
    /// Own bytes, none so far.
    fn own() -> Self {
        Provenance::Own(Box::new(gantry_types::Algorithm::Sha256.hasher()))
    }
}

#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) key: IngestKey,
    pub(crate) id: IngestId,
    pub(crate) started_at: SystemTime,
    state: watch::Sender<State>,
    // Since when a writer has it.
    busy: Mutex<Option<Instant>>,
    // Only the writer and its blocking work touch it. The work holds it while it changes the file and `state` together.
    provenance: Mutex<Provenance>,
    // Held while its end is written down: an abort needs no writer's lock, so it may meet a commit or another abort.
    deciding: tokio::sync::Mutex<()>,
}

impl Ingest {
    /// A new ingest without bytes.
    pub(crate) fn begin(key: IngestKey) -> Self {
        let now = SystemTime::now();
        let state = State {
            written: 0,
            bound: None,
            generation: 0,
            total: 0,
            expected: None,
            lease: String::new(),
            updated_at: now,
            fate: Fate::New,
        };
        Ingest::of(key, IngestId::unique(), now, state, Provenance::own())
    }

    /// An ingest of an earlier process: so many bytes are there, last written at that time.
    pub(crate) fn resume(
        key: IngestKey,
        id: IngestId,
        record: &IngestRecord,
        written: u64,
        updated_at: SystemTime,
    ) -> Self {
        let state = State {
            written,
            bound: None,
            generation: 0,
            total: record.total,
            expected: record.expected.parse().ok(),
            lease: record.lease.clone(),
            updated_at,
            fate: Fate::Live,
        };
        let started_at = record.started_at.as_ref().map_or(updated_at, gantry_api::time::system_time);
        Ingest::of(key, id, started_at, state, Provenance::Foreign)
    }

    fn of(
        key: IngestKey,
        id: IngestId,
        started_at: SystemTime,
        state: State,
        provenance: Provenance,
    ) -> Self {
        let (state, _) = watch::channel(state);
        Ingest {
            key,
            id,
            started_at,
            state,
            busy: Mutex::new(None),
            provenance: Mutex::new(provenance),
            deciding: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits until no other task decides the ingest's fate. If the caller then finds it live, it may write down the
    /// ingest's end. Until [`Fate`] says that it has ended, the record under its key is its own; afterwards it may be
    /// the next ingest's.
    pub(crate) async fn decide(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.deciding.lock().await
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn change(&self, edit: impl FnOnce(&mut State)) {
        self.state.send_modify(edit);
    }

    /// So many bytes are in the file.
    fn advance(&self, written: u64) {
        self.change(|state| {
            state.bound = None;
            state.written = written;
            state.updated_at = SystemTime::now();
        });
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state.borrow().fate == Fate::Live
    }

    pub(crate) fn record(&self) -> IngestRecord {
        let state = self.state.borrow();
        IngestRecord {
            id: self.id.as_str().to_owned(),
            started_at: Some(self.started_at.into()),
            total: state.total,
            expected: state.expected.as_ref().map(ToString::to_string).unwrap_or_default(),
            lease: state.lease.clone(),
        }
    }

    /// Becomes the ingest's writer.
    pub(crate) fn lock(self: &Arc<Self>, layout: &Layout) -> Result<Arc<Lock>> {
        let mut busy = self.busy.lock();
        if let Some(since) = *busy {
            return Err(Error::IngestLocked {
                reference: self.key.reference.clone(),
                seconds: since.elapsed().as_secs(),
            });
        }
        *busy = Some(Instant::now());
        Ok(Arc::new(Lock { ingest: self.clone(), layout: layout.clone() }))
    }
}

/// That this is the ingest's writer. Shared with the blocking work that the writer starts, so that the lock is only free
/// when none of it runs any more.
#[derive(Debug)]
pub(crate) struct Lock {
    ingest: Arc<Ingest>,
    layout: Layout,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Bytes that a writer put behind what it reported may have holes.
        let state = self.ingest.state();
        if state.fate == Fate::Live && matches!(*self.ingest.provenance.lock(), Provenance::Foreign) {
            let path = self.layout.data(&self.ingest.id);
            let trimmed = layout::open_write(&path).and_then(|file| {
                let length = file.metadata().map_err(Error::io("look at", &path))?.len();
                match length > state.written {
                    true => file.set_len(state.written).map_err(Error::io("truncate", &path)),
                    false => Ok(()),
                }
            });
            if let Err(error) = trimmed {
                tracing::warn!(%error, "cannot trim an ingest that its writer has left");
            }
        }
        *self.ingest.busy.lock() = None;
    }
}
