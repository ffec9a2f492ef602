//! The writer of an ingest: the one who has its lock.
//!
//! Bytes come in one of two ways: through this process ([`Writer::write`], hashed as they come), or into the file's
//! descriptor that was handed out ([`Writer::hand_out`], sealed and hashed at the commit). Dropping the writer keeps the
//! bytes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use gantry_rpc::carry;
use gantry_types::{Algorithm, Digest, Hasher, Labels};

use crate::layout;
use crate::seal::{self, Proved};
use crate::store::{Store, blocking};
use crate::{Error, Result};

use super::{Fate, Ingest, Lock, Provenance, State};

/// Bytes are sent to the disk in such portions while more arrive, so that the sync at the commit has little left to do.
const FLUSH_EVERY: u64 = 16 << 20;

/// What a commit claims.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// 0 when unknown.
    pub(crate) size: u64,
    pub(crate) expected: Option<Digest>,
    pub(crate) labels: Labels,
}

/// The writer of an ingest.
#[derive(Debug)]
pub struct Writer {
    pub(crate) store: Store,
    lock: Arc<Lock>,
    /// The lease that keeps what is written.
    pub(crate) lease: Option<String>,
    // For writes of this process; opened by the first.
    file: Option<Arc<File>>,
    flush: Arc<Flush>,
    // Of bytes that others wrote: how far their digest was told, and its state there.
    told: Option<(u64, Hasher)>,
}

#[derive(Debug, Default)]
struct Flush {
    running: AtomicBool,
    done: AtomicU64,
}

impl Writer {
    pub(crate) fn new(store: Store, lock: Arc<Lock>, lease: Option<String>) -> Self {
        Writer { store, lock, lease, file: None, flush: Arc::default(), told: None }
    }

    pub(crate) fn ingest(&self) -> &Arc<Ingest> {
        &self.lock.ingest
    }

    pub(crate) fn state(&self) -> State {
        self.ingest().state()
    }

    fn reference(&self) -> String {
        self.ingest().key.reference.clone()
    }

    pub(crate) fn ensure_live(&self) -> Result<State> {
        let state = self.state();
        match state.fate {
            Fate::Live => Ok(state),
            Fate::New | Fate::Committed { .. } | Fate::Gone(_) => {
                Err(Error::IngestAborted { reference: self.reference() })
            }
        }
    }

    /// Learns how many bytes there will be.
    pub(crate) fn expect_total(&self, total: u64) {
        self.ingest().change(|state| state.total = total);
    }

    /// Appends bytes.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let state = self.ensure_live()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(size) = state.bound {
            // The blob is complete: what comes behind it cannot be part of it.
            return Err(Error::WrongSize {
                reference: self.reference(),
                expected: size,
                actual: size.saturating_add(bytes.len() as u64),
            });
        }
        let (lock, path) = (self.lock.clone(), self.store.layout().data(&self.ingest().id));
        let file = match &self.file {
            Some(file) => file.clone(),
            None => Arc::new(layout::open_write(&path)?),
        };
        self.file = Some(file.clone());
        // The bytes, their digest and their count change together, in work that goes on when nobody awaits it any more.
        let offset = blocking(move || {
            let mut provenance = lock.ingest.provenance.lock();
            let offset = lock.ingest.state().written;
            if let Err(error) = file.write_all_at(&bytes, offset) {
                // A part may have been written: it is not counted, and must not stay.
                let _ = file.set_len(offset);
                return Err(Error::io("write", path)(error));
            }
            if let Provenance::Own(hasher) = &mut *provenance {
                hasher.update(&bytes);
            }
            let offset = offset + bytes.len() as u64;
            lock.ingest.advance(offset);
            Ok(offset)
        })
        .await?;
        self.flush_behind(offset);
        Ok(())
    }

    /// Hands out a writable descriptor of the file. From now on this process does not know what the bytes are: they are
    /// sealed and hashed at the commit.
    pub(crate) fn hand_out(&mut self) -> Result<File> {
        self.ensure_live()?;
        self.file = None;
        *self.ingest().provenance.lock() = Provenance::Foreign;
        layout::open_write(&self.store.layout().data(&self.ingest().id))
    }

    /// Takes the word of the descriptor's holder that all bytes below `offset` are written.
    pub(crate) fn progress(&self, offset: u64) -> Result<()> {
        let state = self.ensure_live()?;
        if offset <= state.offset() {
            return Ok(());
        }
        let path = self.store.layout().data(&self.ingest().id);
        let length = std::fs::metadata(&path).map_err(Error::io("look at", path))?.len();
        if offset > length {
            return Err(Error::WrongProgress { reference: self.reference(), offset, length });
        }
        self.ingest().advance(offset);
        self.flush_behind(offset);
        Ok(())
    }

    fn flush_behind(&self, offset: u64) {
        if offset.saturating_sub(self.flush.done.load(Ordering::Relaxed)) < FLUSH_EVERY
            || self.flush.running.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let (flush, lock) = (self.flush.clone(), self.lock.clone());
        let path = self.store.layout().data(&self.ingest().id);
        // Not awaited: it holds the lock, and its failure shows again at the commit's own sync.
        carry::start(carry::blocking(move || {
            if layout::open_read(&path).is_ok_and(|file| file.sync_data().is_ok()) {
                flush.done.fetch_max(offset, Ordering::Relaxed);
            }
            flush.running.store(false, Ordering::Release);
            drop(lock);
        }));
    }

    /// Throws the bytes away; the next write begins at 0.
    pub(crate) async fn truncate(&mut self) -> Result<()> {
        self.ensure_live()?;
        let (lock, path) = (self.lock.clone(), self.store.layout().data(&self.ingest().id));
        self.flush.done.store(0, Ordering::Relaxed);
        self.told = None;
        blocking(move || {
            let mut provenance = lock.ingest.provenance.lock();
            layout::open_write(&path)?.set_len(0).map_err(Error::io("truncate", path))?;
            if matches!(*provenance, Provenance::Own(_)) {
                *provenance = Provenance::own();
            }
            lock.ingest.change(|state| {
                state.written = 0;
                state.bound = None;
                state.generation += 1;
                state.updated_at = SystemTime::now();
            });
            Ok(())
        })
        .await
    }

    /// The digest of the bytes so far. Bytes that others wrote are read once, however often it is asked for.
    pub(crate) async fn digest(&mut self) -> Result<Digest> {
        let state = self.ensure_live()?;
        if let (Some(_), Some(digest)) = (state.bound, state.expected) {
            return Ok(digest);
        }
        let (lock, path) = (self.lock.clone(), self.store.layout().data(&self.ingest().id));
        let told = self.told.take();
        let (digest, told) = blocking(move || {
            if let Provenance::Own(hasher) = &*lock.ingest.provenance.lock() {
                return Ok((hasher.clone().finish(), None));
            }
            let file = layout::open_read(&path)?;
            let (from, mut hasher) = told.unwrap_or_else(|| (0, Algorithm::Sha256.hasher()));
            let end = seal::feed(&file, &path, from..state.written, &mut hasher, |_, _| Ok(()))?;
            Ok((hasher.clone().finish(), Some((end, hasher))))
        })
        .await?;
        self.told = told;
        Ok(digest)
    }

    /// Takes the ingest, which has ended, off its lease.
    pub(crate) async fn unlease(&self) {
        self.store.unlease_ingest(&self.ingest().key, self.lease.as_deref()).await;
    }

    /// Proves the bytes: durable, out of reach, hashed.
    pub(crate) async fn prove(&mut self, algorithm: Algorithm) -> Result<Proved> {
        self.ensure_live()?;
        // Our own descriptor would count as a writer.
        self.file = None;
        let (lock, layout) = (self.lock.clone(), self.store.layout().clone());
        blocking(move || {
            let own = match &*lock.ingest.provenance.lock() {
                Provenance::Own(hasher) if algorithm == Algorithm::Sha256 => {
                    Some((hasher.clone().finish(), lock.ingest.state().written))
                }
                Provenance::Own(_) | Provenance::Foreign => None,
            };
            let id = &lock.ingest.id;
            let Some((digest, size)) = own else { return seal::seal(&layout, id, algorithm) };
            let path = layout.data(id);
            layout::open_read(&path)?.sync_data().map_err(Error::io("sync", &path))?;
            Ok(Proved { path, digest, size })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use gantry_api::Peers;
    use gantry_types::Namespace;

    use super::*;
    use crate::ingest::IngestKey;
    use crate::store::Wish;

    #[tokio::test]
    async fn a_write_that_nobody_awaits_any_more_is_whole() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Store::alone(dir.path(), &Peers::new(dir.path())).unwrap();
        let key = IngestKey { namespace: Namespace::moby(), reference: "r".parse().unwrap() };
        let mut writer = store.open_ingest(key, Wish::default()).await.unwrap();
        {
            let write = std::pin::pin!(writer.write(Bytes::from_static(b"left")));
            // It seldom is ready so soon; then nothing is left unawaited.
            let _ = write.poll(&mut Context::from_waker(Waker::noop()));
        }
        writer.write(Bytes::from_static(b" awaited")).await.unwrap();
        // Either the first write came first, or it comes second, at any time, or it never begins.
        let read = |writer: &Writer| std::fs::read(store.layout().data(&writer.ingest().id)).unwrap();
        let (data, digest, written) = loop {
            let data = read(&writer);
            let (digest, written) = (writer.digest().await.unwrap(), writer.state().written);
            if read(&writer) == data {
                break (data, digest, written);
            }
        };
        assert_eq!((digest, written), (Digest::sha256(&data), data.len() as u64));
    }
}
