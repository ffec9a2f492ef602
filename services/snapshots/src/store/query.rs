//! Stat, mounts, list.

use std::borrow::Cow;
use std::cell::OnceCell;

use gantry_api::snapshots::Mount;
use gantry_types::Labels;
use gantry_types::filter::{Fields, FilterSet, label};

use super::{Store, is};
use crate::backend::Backend;
use crate::promise::shown;
use crate::record::{Kind, Record, Scope};
use crate::{Error, Result};

/// A snapshot as filters see it.
struct Filtered<'r> {
    name: &'r str,
    record: &'r Record,
    /// Made when a filter first asks for one.
    labels: OnceCell<Labels>,
}

impl Fields for Filtered<'_> {
    fn field(&self, path: &[String]) -> Option<Cow<'_, str>> {
        let (first, rest) = path.split_first()?;
        match (first.as_str(), rest) {
            ("kind", []) => Some(Cow::Borrowed(self.record.kind().word())),
            ("name", []) => Some(Cow::Borrowed(self.name)),
            ("parent", []) => Some(Cow::Borrowed(&self.record.parent)),
            ("labels", rest) if !rest.is_empty() => {
                label(self.labels.get_or_init(|| self.record.labels()), rest)
            }
            _ => None,
        }
    }
}

impl Store {
    /// One snapshot's record.
    ///
    /// # Errors
    ///
    /// `NotFound`, also for a committed one whose files, or those below it, are lost.
    pub fn stat(&self, scope: &Scope, key: &str) -> Result<Record> {
        self.backend(&scope.snapshotter)?;
        let found =
            self.get(scope, key)?.filter(|record| !is(record, Kind::Committed) || self.is_whole(record));
        found.ok_or_else(|| Error::NotFound(key.to_owned()))
    }

    /// The mounts of an active snapshot or a view, the same each time.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NoMounts` for a committed one.
    pub async fn mounts(&self, scope: &Scope, key: &str) -> Result<Vec<Mount>> {
        let record = self.stat(scope, key)?;
        if is(&record, Kind::Committed) {
            return Err(Error::NoMounts(key.to_owned()));
        }
        match self.backend(&scope.snapshotter)? {
            Backend::Driver(driver) => self.mounts_of(&*driver, &record).map(shown),
            Backend::Remote(remote) => remote.mounts(&scope.namespace, &record.remote).await,
        }
    }

    /// The snapshots that pass the filters, by key.
    pub fn list(&self, scope: &Scope, filters: &FilterSet) -> Result<Vec<(String, Record)>> {
        self.backend(&scope.snapshotter)?;
        let mut found = Vec::new();
        for row in self.inner.records.iter(scope.key().as_str()) {
            let ((_, name), record) = row?;
            if filters.matches(&Filtered { name: &name, record: &record, labels: OnceCell::new() }) {
                found.push((name, record));
            }
        }
        Ok(found)
    }
}
