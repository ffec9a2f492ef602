//! One sync of the file system for all that wait for one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::Result;
use crate::store::blocking;

/// Shares syncs. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Syncer(Arc<State>);

#[derive(Debug, Default)]
struct State {
    asked: AtomicU64,
    /// Up to which request everything is on disk; held while a sync runs.
    done: Mutex<u64>,
}

impl Syncer {
    /// Returns when everything that was written before the call is on disk.
    pub(super) async fn sync(&self, directory: &Path) -> Result<()> {
        let mine = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.0.done.lock().await;
        if *done >= mine {
            return Ok(());
        }
        // All that asked until now wrote before this sync begins.
        let covered = self.0.asked.load(Ordering::SeqCst);
        let directory = directory.to_owned();
        blocking(move || Ok(gantry_rooted::tree::sync_file_system(gantry_rooted::Dir::open(&directory)?)?))
            .await?;
        *done = covered;
        Ok(())
    }
}
