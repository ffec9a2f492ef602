//! Files with bytes that come back from a store, before they have a blob's name, and those that get none.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_types::Digest;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::layout::{self, INGEST_MODE, Layout};
use crate::{Error, Result};

/// How long a file without room in the cache stays after its last use.
const LINGER: Duration = Duration::from_secs(10);
/// How many such files stay.
const MOST: usize = 4;

/// A file that bytes are fetched into. It goes when this is dropped, unless it has got a blob's name.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
}

impl Fetched {
    /// An empty file. Blocks.
    pub(crate) fn begin(layout: &Layout) -> Result<Self> {
        let path = layout.new_fetch()?;
        let file = OpenOptions::new().write(true).create_new(true).mode(INGEST_MODE).open(&path);
        Ok(Self { file: Arc::new(file.map_err(Error::io("create", &path))?), path })
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The files of blobs that have no room in the cache. Clients read a blob by many small reads, each a call of its own:
/// without these files, each would fetch all of the blob.
#[derive(Debug, Default)]
pub(crate) struct Lingering {
    // Guarded for the moment of an edit.
    files: Mutex<HashMap<Digest, (Fetched, Instant)>>,
    more: Notify,
}

impl Lingering {
    /// Keeps a verified file for a while; the one that was used longest ago goes for it.
    pub(crate) fn keep(&self, digest: &Digest, fetched: Fetched) {
        let mut files = self.files.lock();
        if files.len() >= MOST
            && let Some(oldest) =
                files.iter().min_by_key(|(_, (_, used))| *used).map(|(digest, _)| digest.clone())
        {
            files.remove(&oldest);
        }
        files.insert(digest.clone(), (fetched, Instant::now()));
        self.more.notify_one();
    }

    /// Opens a file for reading.
    pub(crate) fn open(&self, digest: &Digest) -> Option<File> {
        let mut files = self.files.lock();
        let (fetched, used) = files.get_mut(digest)?;
        let file = layout::open_read(&fetched.path).ok()?;
        *used = Instant::now();
        Some(file)
    }

    /// A blob is gone.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.files.lock().remove(digest);
    }

    /// Removes files some time after their last use. Ends only by being dropped.
    pub(crate) async fn expire_always(&self) {
        loop {
            self.more.notified().await;
            while self.expire() {
                tokio::time::sleep(LINGER / 10).await;
            }
        }
    }

    /// Whether there are still some.
    fn expire(&self) -> bool {
        let mut files = self.files.lock();
        files.retain(|_, (_, used)| used.elapsed() < LINGER);
        !files.is_empty()
    }
}
