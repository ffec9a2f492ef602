//! A moment at which a database stands still, so that several of them can be copied as they were at one and the same.

use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rocksdb::checkpoint::Checkpoint;

use crate::{Database, Error, Result};

/// The pause that a database is in, if any.
#[derive(Default)]
pub(crate) struct Moment(
    // Held for an edit or a look.
    Mutex<Option<Paused>>,
);

struct Paused {
    name: String,
    until: Instant,
    // The writer goes on when it is dropped.
    _keep: Sender<()>,
}

impl Database {
    /// Stops all writing: when this returns, what was committed is there, and nothing more comes, for at most `limit`. A
    /// pause under another name is over.
    pub async fn pause(&self, moment: &str, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        drop(self.moment().0.lock().take());
        let keep = self.writer().pause(until).await?;
        *self.moment().0.lock() = Some(Paused { name: moment.to_owned(), until, _keep: keep });
        Ok(())
    }

    /// Copies the database as it is at this moment into a new directory on its own file system. Blocks.
    ///
    /// # Errors
    /// [`Error::NotPaused`] if the moment has passed, before or meanwhile.
    pub fn checkpoint(&self, moment: &str, to: &Path) -> Result<()> {
        self.still(moment)?;
        let fail = |source| Error::Database { op: "copy", path: self.path().to_path_buf(), source };
        let checkpoint = Checkpoint::new(&**self.inner()).map_err(fail)?;
        checkpoint.create_checkpoint(to).map_err(fail)?;
        self.still(moment)
    }

    /// Goes on writing, if it was stopped for this moment.
    pub fn resume(&self, moment: &str) {
        let mut paused = self.moment().0.lock();
        if paused.as_ref().is_some_and(|paused| paused.name == moment) {
            *paused = None;
        }
    }

    fn still(&self, moment: &str) -> Result<()> {
        let paused = self.moment().0.lock();
        match paused.as_ref().is_some_and(|paused| paused.name == moment && Instant::now() < paused.until) {
            true => Ok(()),
            false => Err(Error::NotPaused { path: self.path().to_path_buf(), moment: moment.to_owned() }),
        }
    }
}
