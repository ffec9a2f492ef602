//! Prepare, view, commit, remove, update.

use gantry_api::snapshots::Mount;
use gantry_api::time::now;
use gantry_disk::KeyedGuard;
use gantry_failpoint::failpoint;
use gantry_types::{Labels, Relabel};

use super::{Store, blocking, is, make};
use crate::backend::Backend;
use crate::driver::IdMap;
use crate::promise::shown;
use crate::record::{Kind, Record, Scope};
use crate::remote::TARGET;
use crate::{Error, Result};

impl Store {
    /// Makes an active snapshot or a view, and tells its mounts.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` for a key that is taken, and when the label `containerd.io/snapshot.ref` names a snapshot that
    /// is committed on the same parent; `ParentNotFound`, `ParentNotCommitted`; `Invalid` for labels that map no ids.
    pub async fn prepare(
        &self,
        scope: &Scope,
        kind: Kind,
        key: &str,
        parent: &str,
        labels: Labels,
    ) -> Result<Vec<Mount>> {
        let backend = self.backend(&scope.snapshotter)?;
        labels.validate()?;
        let map = IdMap::of(&labels)?;
        let _serial = self.lock(scope, key).await;
        if self.get(scope, key)?.is_some() {
            self.inner.stamps.touch(scope, key);
            return Err(Error::AlreadyExists(key.to_owned()));
        }
        let pinned = self.pin(scope, parent)?;
        if let Some(target) = self.target_of(scope, parent, &labels)? {
            self.inner.stamps.touch(scope, &target);
            return Err(Error::AlreadyExists(target));
        }

        let pending = self.next_id();
        let below = pinned.as_ref().map(|(_, below)| below);
        let record = self.record(pending.get(), kind, parent, below, labels.without_empty());
        let driver = match backend {
            Backend::Driver(driver) => driver,
            Backend::Remote(remote) => return self.prepare_at(&remote, scope, key, below, record).await,
        };
        let id = record.id;
        let made = blocking({
            let (driver, record) = (driver.clone(), record.clone());
            move || {
                make(&*driver, record.snapshot(), map.as_ref())?;
                failpoint!("snapshots.prepare.made");
                Ok(())
            }
        });
        let result = match made.await {
            Ok(()) => {
                let mut batch = self.inner.database.batch();
                self.put(&mut batch, scope, key, &record);
                batch.commit().await.map_err(Error::from)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            driver.layout().discard(id)?;
            return Err(error);
        }
        failpoint!("snapshots.prepare.recorded", infallible);
        driver.recorded(id)?;
        self.mounts_of(&*driver, &record).map(shown)
    }

    /// A record that is new.
    fn record(&self, id: u64, kind: Kind, parent: &str, below: Option<&Record>, labels: Labels) -> Record {
        Record {
            id,
            kind: kind.into(),
            parent: parent.to_owned(),
            layers: below.map(Record::stack).unwrap_or_default(),
            labels: labels.into(),
            created: Some(now()),
            updated: Some(now()),
            stamp: self.inner.stamps.now(),
            ..Record::default()
        }
    }

    /// The committed snapshot that an unpacker's label names, if it is there on the same parent.
    pub fn target_of<'l>(
        &self,
        scope: &Scope,
        parent: &str,
        labels: impl IntoIterator<Item = (&'l String, &'l String)>,
    ) -> Result<Option<String>> {
        let Some((_, target)) = labels.into_iter().find(|(label, _)| *label == TARGET) else {
            return Ok(None);
        };
        let there = self.get(scope, target)?;
        let fits = there.is_some_and(|there| self.is_whole(&there) && there.parent == parent);
        Ok(fits.then(|| target.clone()))
    }

    /// Makes an active snapshot unchangeable, under a name. What was written in it is durable when this returns.
    ///
    /// `rebase` gives a snapshot that was made without a parent one.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NotActive`, `AlreadyExists` for a name that is taken (the active snapshot, if there is one, stays).
    pub async fn commit(
        &self,
        scope: &Scope,
        name: &str,
        key: &str,
        labels: Labels,
        rebase: &str,
    ) -> Result<()> {
        let backend = self.backend(&scope.snapshotter)?;
        labels.validate()?;
        let _serial = self.lock_both(scope, name, key).await;
        let active = self.get(scope, key)?;
        if active.as_ref().is_some_and(|active| !is(active, Kind::Active)) {
            return Err(Error::NotActive(key.to_owned()));
        }
        // Also when the key no longer exists: a client that repeats a commit after it got no answer learns that the
        // commit was made.
        if self.get(scope, name)?.is_some() {
            self.inner.stamps.touch(scope, name);
            return Err(Error::AlreadyExists(name.to_owned()));
        }
        let active = active.ok_or_else(|| Error::NotFound(key.to_owned()))?;
        let mut committed = active.clone();
        let mut new_parent = None;
        if !rebase.is_empty() && rebase != active.parent {
            if !active.parent.is_empty() || !backend.rebases() {
                return Err(Error::Unsupported(format!("a new parent for snapshot {key}")));
            }
            new_parent = self.pin(scope, rebase)?;
            committed.layers = new_parent.as_ref().map(|(_, below)| below.stack()).unwrap_or_default();
            committed.parent = rebase.to_owned();
        }
        committed.kind = Kind::Committed.into();
        committed.labels = labels.without_empty().into();
        committed.created = Some(now());
        committed.updated = committed.created;
        committed.stamp = self.inner.stamps.now();
        match backend {
            Backend::Driver(driver) => {
                blocking({
                    let files = driver.layout().fs(active.id);
                    move || Ok(gantry_rooted::tree::sync_file_system(gantry_rooted::Dir::open(&files)?)?)
                })
                .await?;
                failpoint!("snapshots.commit.synced");
                let mut batch = self.inner.database.batch();
                self.delete(&mut batch, scope, key, &active);
                self.put(&mut batch, scope, name, &committed);
                batch.commit().await?;
                failpoint!("snapshots.commit.recorded", infallible);
            }
            Backend::Remote(remote) => {
                let rebase = new_parent.as_ref().map(|(_, below)| below);
                self.commit_at(&remote, scope, (name, key), (&active, committed), rebase).await?;
            }
        }
        drop(new_parent);
        self.count_later(scope, name);
        Ok(())
    }

    /// Removes a snapshot; its files follow in the background.
    ///
    /// # Errors
    ///
    /// `NotFound`, `HasChildren`.
    pub async fn remove(&self, scope: &Scope, key: &str) -> Result<()> {
        self.remove_if(scope, key, |_| true).await.map(drop)
    }

    /// Removes a snapshot if, under its lock, `condition` holds; tells what was removed.
    pub(super) async fn remove_if(
        &self,
        scope: &Scope,
        key: &str,
        condition: impl FnOnce(&Record) -> bool,
    ) -> Result<Option<Record>> {
        let backend = self.backend(&scope.snapshotter)?;
        let _serial = self.lock(scope, key).await;
        let record = self.get(scope, key)?.ok_or_else(|| Error::NotFound(key.to_owned()))?;
        let removing =
            self.inner.pins.remove(scope, key).ok_or_else(|| Error::HasChildren(key.to_owned()))?;
        if self.has_children(scope, key)? {
            return Err(Error::HasChildren(key.to_owned()));
        }
        if !condition(&record) {
            return Ok(None);
        }
        let id = record.id;
        let mut batch = self.inner.database.batch();
        self.delete(&mut batch, scope, key, &record);
        match backend {
            Backend::Driver(driver) => {
                let discarded = blocking(move || driver.layout().discard_recorded(id)).await?;
                failpoint!("snapshots.remove.discarded");
                batch.commit().await?;
                failpoint!("snapshots.remove.recorded", infallible);
                discarded.delete();
            }
            Backend::Remote(remote) => {
                self.put_discard(&mut batch, &remote, &scope.namespace, &record.remote);
                batch.commit().await?;
                self.inner.discarding.notify_one();
            }
        }
        drop(removing);
        self.inner.stamps.forget(scope, key);
        self.inner.lost.forget(id);
        Ok(Some(record))
    }

    /// Changes a snapshot's labels.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Argument` for a label that is too long.
    pub async fn update(&self, scope: &Scope, key: &str, labels: &Relabel) -> Result<Record> {
        self.backend(&scope.snapshotter)?;
        let _serial = self.lock(scope, key).await;
        let mut record = self.get(scope, key)?.ok_or_else(|| Error::NotFound(key.to_owned()))?;
        let mut changed = record.labels();
        changed.relabel(labels)?;
        record.labels = changed.into();
        record.updated = Some(now());
        let mut batch = self.inner.database.batch();
        self.put(&mut batch, scope, key, &record);
        batch.commit().await?;
        self.inner.stamps.touch(scope, key);
        Ok(record)
    }

    /// Records a layer that was unpacked and placed under `id`. Its bytes must be durable.
    ///
    /// Returns `false`, and changes nothing, if the name is taken.
    pub async fn commit_unpacked(
        &self,
        scope: &Scope,
        name: &str,
        id: u64,
        parent: &str,
        labels: Labels,
    ) -> Result<bool> {
        let _serial = self.lock(scope, name).await;
        if self.get(scope, name)?.is_some() {
            return Ok(false);
        }
        let pinned = self.pin(scope, parent)?;
        let below = pinned.as_ref().map(|(_, below)| below);
        let record = self.record(id, Kind::Committed, parent, below, labels);
        let mut batch = self.inner.database.batch();
        self.put(&mut batch, scope, name, &record);
        batch.commit().await?;
        self.count_later(scope, name);
        Ok(true)
    }

    /// Keeps a parent from being removed, and reads it; `None` for no parent.
    fn pin(&self, scope: &Scope, parent: &str) -> Result<Option<(super::pins::Pin, Record)>> {
        if parent.is_empty() {
            return Ok(None);
        }
        let missing = || Error::ParentNotFound(parent.to_owned());
        let pin = self.inner.pins.pin(scope, parent).ok_or_else(missing)?;
        let record = self.get(scope, parent)?.ok_or_else(missing)?;
        if !is(&record, Kind::Committed) {
            return Err(Error::ParentNotCommitted(parent.to_owned()));
        }
        if !self.is_whole(&record) {
            return Err(missing());
        }
        self.inner.stamps.touch(scope, parent);
        Ok(Some((pin, record)))
    }

    pub(super) async fn lock(&self, scope: &Scope, key: &str) -> KeyedGuard<(String, String)> {
        self.inner.locks.lock((scope.key(), key.to_owned())).await
    }

    /// Locks two keys in their order, so that two callers cannot wait for each other.
    pub(super) async fn lock_both(
        &self,
        scope: &Scope,
        a: &str,
        b: &str,
    ) -> Vec<KeyedGuard<(String, String)>> {
        let mut keys = vec![a, b];
        keys.sort_unstable();
        keys.dedup();
        let mut guards = Vec::with_capacity(2);
        for key in keys {
            guards.push(self.lock(scope, key).await);
        }
        guards
    }
}
