//! Committed snapshots whose files are not there, and how they get them again.
//!
//! [`crate::recover`] finds them. As long as one is lost, it and what is on top of it count as not unpacked: they are
//! not listed, nothing is prepared on them, and the next unpacking of the layer fills it under the id it has, so that
//! what is on top needs no change. Not stored: every start looks again.

use std::collections::HashSet;

use super::{Store, is};
use crate::driver::{Driver, Staging};
use crate::record::{Kind, Record, Scope};
use crate::remote::TARGET;
use crate::{Error, Result};
use parking_lot::Mutex;

/// The ids of what is lost.
#[derive(Debug, Default)]
pub(super) struct Lost(
    // Held for an edit or a look at one directory.
    Mutex<HashSet<u64>>,
);

impl Lost {
    pub(super) fn forget(&self, id: u64) {
        self.0.lock().remove(&id);
    }

    fn any(&self, ids: impl IntoIterator<Item = u64>) -> bool {
        let lost = self.0.lock();
        !lost.is_empty() && ids.into_iter().any(|id| lost.contains(&id))
    }
}

impl Store {
    /// Looks whether a committed snapshot's files are there, and remembers it.
    pub fn look_for_files(&self, driver: &dyn Driver, id: u64) -> bool {
        // Under the lock: what is filled meanwhile is either seen, or forgotten afterwards.
        let mut lost = self.inner.lost.0.lock();
        let there = driver.layout().fs(id).is_dir();
        if there {
            lost.remove(&id);
        } else {
            lost.insert(id);
        }
        there
    }

    /// Whether a snapshot has lost its own files.
    pub fn is_lost(&self, record: &Record) -> bool {
        is(record, Kind::Committed) && self.inner.lost.any([record.id])
    }

    /// Whether files are lost of what is below a snapshot.
    pub fn is_lost_below(&self, record: &Record) -> bool {
        self.inner.lost.any(record.layers.iter().copied())
    }

    /// Whether a snapshot is committed, and with what is below it all there.
    pub(super) fn is_whole(&self, record: &Record) -> bool {
        is(record, Kind::Committed) && !self.is_lost(record) && !self.is_lost_below(record)
    }

    /// The record of an unpacked layer, which counts as used; also of one that is lost.
    pub fn unpacked(&self, scope: &Scope, name: &str) -> Result<Option<Record>> {
        // First the stamp, then the look, as in [`Store::touch`].
        self.inner.stamps.touch(scope, name);
        self.get(scope, name)
    }

    /// Removes a layer that is lost, or on top of one that is, unless something else is on top of it.
    pub async fn drop_lost(&self, scope: &Scope, name: &str, id: u64) -> Result<bool> {
        let lost = |record: &Record| {
            let layer = record.labels.get(TARGET).is_some_and(|target| target == name);
            layer && record.id == id && is(record, Kind::Committed) && !self.is_whole(record)
        };
        match self.remove_if(scope, name, lost).await {
            Ok(removed) => Ok(removed.is_some()),
            Err(Error::NotFound(_) | Error::HasChildren(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a lost snapshot its files, which must be durable.
    ///
    /// # Errors
    ///
    /// `NotFound` if it was removed meanwhile.
    pub async fn fill(&self, scope: &Scope, name: &str, id: u64, staging: Staging) -> Result<()> {
        let driver = self.driver(&scope.snapshotter)?;
        let _serial = self.lock(scope, name).await;
        if self.get(scope, name)?.is_none_or(|record| record.id != id) {
            return Err(Error::NotFound(name.to_owned()));
        }
        driver.layout().discard(id)?;
        staging.place(id)?;
        self.inner.lost.forget(id);
        Ok(())
    }
}
