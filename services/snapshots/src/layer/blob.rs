//! A blob's file that may still be growing, read by a thread that blocks where it ends for now.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::watch;

/// How far the bytes have come. Shared by the task that hears of new bytes and the thread that reads them.
#[derive(Debug)]
pub struct Blob {
    // Guards the state; held for moments only, never over I/O.
    state: Mutex<State>,
    changed: Condvar,
    read: AtomicU64,
    reached: watch::Sender<Reached>,
}

/// What the bytes have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// No byte has arrived.
    Nothing,
    /// Some are there.
    Begun,
    /// All bytes have arrived and match the digest.
    Whole,
}

#[derive(Debug)]
struct State {
    /// Bytes below may be read.
    available: u64,
    /// The whole length, once the bytes are proved.
    committed: Option<u64>,
    /// Why there will be no more.
    failed: Option<String>,
    file: Option<Arc<File>>,
}

impl Default for Blob {
    fn default() -> Self {
        let state = State { available: 0, committed: None, failed: None, file: None };
        let reached = watch::Sender::new(Reached::Nothing);
        Self { state: Mutex::new(state), changed: Condvar::new(), read: AtomicU64::new(0), reached }
    }
}

impl Blob {
    /// A blob of which no byte has arrived.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A file that is complete.
    pub fn complete(file: File, size: u64) -> Arc<Self> {
        let blob = Self::new();
        blob.set_file(file);
        blob.commit(size);
        blob
    }

    /// Says where the bytes are; called again when the file had to be opened anew.
    pub fn set_file(&self, file: File) {
        self.lock().file = Some(Arc::new(file));
        self.changed.notify_all();
    }

    /// Says that bytes below `offset` may be read.
    pub fn advance(&self, offset: u64) {
        let mut state = self.lock();
        state.available = state.available.max(offset);
        drop(state);
        self.changed.notify_all();
        if offset > 0 {
            self.reach(Reached::Begun);
        }
    }

    /// Says that all bytes are there, and proved.
    pub fn commit(&self, size: u64) {
        self.lock().committed = Some(size);
        self.changed.notify_all();
        self.reach(Reached::Whole);
    }

    /// Waits until the bytes have come so far.
    pub async fn reaches(&self, wanted: Reached) {
        let _ = self.reached.subscribe().wait_for(|reached| *reached >= wanted).await;
    }

    fn reach(&self, now: Reached) {
        self.reached.send_if_modified(|reached| {
            let further = now > *reached;
            *reached = now.max(*reached);
            further
        });
    }

    /// Says that there will be no more; the reader fails.
    pub fn fail(&self, reason: impl Into<String>) {
        self.lock().failed.get_or_insert(reason.into());
        self.changed.notify_all();
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Reads the bytes from the first on, waiting for those that are not there yet.
#[derive(Debug)]
pub struct BlobReader {
    blob: Arc<Blob>,
    offset: u64,
}

impl BlobReader {
    /// Reads from the beginning.
    pub fn new(blob: Arc<Blob>) -> Self {
        Self { blob, offset: 0 }
    }
}

impl Read for BlobReader {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let (file, end) = {
            let mut state = self.blob.lock();
            loop {
                if let Some(reason) = &state.failed {
                    return Err(io::Error::other(reason.clone()));
                }
                let end = state.committed.unwrap_or(state.available);
                match &state.file {
                    Some(file) if end > self.offset => break (file.clone(), end),
                    _ if state.committed.is_some() => return Ok(0),
                    _ => self.blob.changed.wait(&mut state),
                }
            }
        };
        let want = usize::try_from(end - self.offset).unwrap_or(usize::MAX).min(target.len());
        let count = file.read_at(&mut target[..want], self.offset)?;
        if count == 0 && want > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the blob's file is shorter than announced",
            ));
        }
        self.offset += count as u64;
        self.blob.read.store(self.offset, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_waits_for_bytes_and_ends_at_the_commit() {
        let file = tempfile();
        let blob = Blob::new();
        let reader = std::thread::spawn({
            let mut bytes = BlobReader::new(blob.clone());
            move || {
                let mut all = Vec::new();
                bytes.read_to_end(&mut all).map(|_| all)
            }
        });
        file.write_all_at(b"hello world", 0).unwrap();
        blob.set_file(file);
        blob.advance(5);
        blob.advance(3);
        blob.commit(11);
        assert_eq!(reader.join().unwrap().unwrap(), b"hello world");
        assert_eq!(blob.offset(), 11);
    }

    #[test]
    fn a_reader_fails_when_the_bytes_do() {
        let blob = Blob::new();
        blob.fail("aborted");
        let error = BlobReader::new(blob).read(&mut [0; 4]).unwrap_err();
        assert_eq!(error.to_string(), "aborted");
    }

    fn tempfile() -> File {
        tempfile::tempfile().unwrap()
    }
}
