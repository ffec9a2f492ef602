//! Pauses of a database's writer, for copies of several databases as of the same moment.

use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rocksdb::checkpoint::Checkpoint;

use crate::{Database, Error, Result};

/// The present pause of a database, if any.
#[derive(Default)]
pub(crate) struct Moment(
    // Held for a look or an edit.
    Mutex<Option<Paused>>,
);

struct Paused {
    name: String,
    until: Instant,
    // Dropping it ends the pause.
    _keep: Sender<()>,
}

impl Database {
    /// Stops all writes for at most `limit`. Every commit that has returned is in the database when this returns.
    /// Ends a pause of another name.
    pub async fn pause(&self, moment: &str, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        drop(self.moment().0.lock().take());
        let keep = self.writer().pause(until).await?;
        *self.moment().0.lock() = Some(Paused { name: moment.to_owned(), until, _keep: keep });
        Ok(())
    }

    /// Copies the database during the pause to a new directory on the same file system. Blocks.
    ///
    /// # Errors
    /// [`Error::NotPaused`] if the pause has ended, before the call or during it.
    pub fn checkpoint(&self, moment: &str, to: &Path) -> Result<()> {
        self.still(moment)?;
        let fail = |source| Error::Database { op: "copy", path: self.path().to_path_buf(), source };
        let checkpoint = Checkpoint::new(&**self.inner()).map_err(fail)?;
        checkpoint.create_checkpoint(to).map_err(fail)?;
        self.still(moment)
    }

    /// Ends the pause of this name.
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
