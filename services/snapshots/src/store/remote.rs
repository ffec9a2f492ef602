//! Snapshots of remote snapshotters, whose files another program keeps.
//!
//! ```text
//! table discards: (snapshotter, the backend's name of the snapshot) → its namespace, and the commit that creates it
//! ```
//!
//! Before a backend's snapshot is made, it is noted for discarding. The note is deleted with the write of the
//! snapshot's record, and written again with the deletion of the record. So snapshots that a crash has left, and
//! snapshots that were removed while the backend was away, are found and discarded when the backend is back
//! ([`Store::discard`]). A removal does not wait for that.
//!
//! A commit replaces an active snapshot. After a crash, or a call without an answer, the store asks the backend
//! whether the commit was made: at the next commit of the active snapshot, and before it discards anything. Until
//! then the committed snapshot is discarded only if the active snapshot has lost its record.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::snapshots::Mount;
use gantry_disk::Batch;
use gantry_rpc::{Code, Coded};
use gantry_types::Namespace;
use parking_lot::Mutex;

use super::Store;
use crate::record::{Committing, Discard, Kind, Record, Scope};
use crate::remote::{Remote, TARGET};
use crate::{Error, Result};

/// Time until the next attempt after a backend has failed to discard a snapshot.
const PAUSE: Duration = Duration::from_secs(60);

/// The backends' names of snapshots that are being made. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Making(
    // Held for an edit only.
    Arc<Mutex<HashSet<(String, String)>>>,
);

/// A name that is not discarded until this is dropped.
#[derive(Debug)]
struct Made {
    making: Making,
    name: (String, String),
}

impl Making {
    fn begin(&self, remote: &Remote, name: &str) -> Made {
        let name = (remote.name().to_owned(), name.to_owned());
        self.0.lock().insert(name.clone());
        Made { making: self.clone(), name }
    }

    fn has(&self, name: &(String, String)) -> bool {
        self.0.lock().contains(name)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.making.0.lock().remove(&self.name);
    }
}

impl Store {
    /// A name that is new to a backend, so that several snapshots of one key have different names.
    fn backend_name(&self, scope: &Scope, key: &str) -> String {
        format!("{}/{}/{key}", scope.namespace, self.inner.stamps.now())
    }

    /// Notes a snapshot that a backend will make. It is discarded unless it gets a record.
    async fn note(&self, remote: &Remote, namespace: &Namespace, name: &str) -> Result<Made> {
        self.note_as(remote, name, Discard { namespace: namespace.to_string(), commit: None }).await
    }

    async fn note_as(&self, remote: &Remote, name: &str, discard: Discard) -> Result<Made> {
        let made = self.inner.making.begin(remote, name);
        let mut batch = self.inner.database.batch();
        batch.put(&self.inner.discards, &(remote.name().to_owned(), name.to_owned()), &discard);
        batch.commit().await?;
        Ok(made)
    }

    pub(super) fn put_discard(&self, batch: &mut Batch, remote: &Remote, namespace: &Namespace, name: &str) {
        let discard = Discard { namespace: namespace.to_string(), commit: None };
        batch.put(&self.inner.discards, &(remote.name().to_owned(), name.to_owned()), &discard);
    }

    fn delete_discard(&self, batch: &mut Batch, remote: &Remote, name: &str) {
        batch.delete(&self.inner.discards, &(remote.name().to_owned(), name.to_owned()));
    }

    /// Prepares a snapshot at a backend, under the locks of [`Store::prepare`].
    pub(super) async fn prepare_at(
        &self,
        remote: &Remote,
        scope: &Scope,
        key: &str,
        below: Option<&Record>,
        mut record: Record,
    ) -> Result<Vec<Mount>> {
        let name = self.backend_name(scope, key);
        let below = below.map(|below| below.remote.as_str());
        let labels = record.labels();
        let made = self.note(remote, &scope.namespace, &name).await?;
        let answer = remote.make(&scope.namespace, record.kind(), &name, below, &labels).await;
        let mounts = match answer {
            Ok(mounts) => mounts,
            Err(error) => {
                drop(made);
                self.inner.discarding.notify_one();
                if error.code() == Code::AlreadyExists
                    && let Some(target) = labels.get(TARGET)
                    && let Some(theirs) = remote.target(&scope.namespace, target, below).await?
                {
                    self.adopt(scope, target, &theirs, record).await?;
                    return Err(Error::AlreadyExists(target.clone()));
                }
                return Err(error);
            }
        };
        record.remote.clone_from(&name);
        let mut batch = self.inner.database.batch();
        self.put(&mut batch, scope, key, &record);
        self.delete_discard(&mut batch, remote, &name);
        batch.commit().await?;
        Ok(mounts)
    }

    /// Records a layer that a backend provides itself, for example one that is fetched when it is read.
    async fn adopt(&self, scope: &Scope, target: &str, theirs: &str, asked: Record) -> Result<()> {
        let _serial = self.lock(scope, target).await;
        if self.get(scope, target)?.is_some() {
            return Ok(());
        }
        let record = Record { kind: Kind::Committed.into(), remote: theirs.to_owned(), ..asked };
        let mut batch = self.inner.database.batch();
        self.put(&mut batch, scope, target, &record);
        batch.commit().await?;
        Ok(())
    }

    /// Commits at a backend, under the locks of [`Store::commit`].
    ///
    /// A commit whose outcome is unknown is tried again under the same name: if the backend refuses it, the first
    /// attempt may have succeeded.
    pub(super) async fn commit_at(
        &self,
        remote: &Remote,
        scope: &Scope,
        (name, key): (&str, &str),
        (active, mut committed): (&Record, Record),
        rebase: Option<&Record>,
    ) -> Result<()> {
        let before = self.tried(remote, active, &committed.parent)?;
        let theirs = before.unwrap_or_else(|| self.backend_name(scope, name));
        committed.remote.clone_from(&theirs);
        let commit = Committing {
            key: key.to_owned(),
            active: active.remote.clone(),
            name: name.to_owned(),
            record: Some(committed.clone()),
        };
        let discard = Discard { namespace: scope.namespace.to_string(), commit: Some(commit) };
        let _made = self.note_as(remote, &theirs, discard).await?;
        let rebase = rebase.map(|below| below.remote.as_str());
        let labels = committed.labels();
        let answer = remote.commit(&scope.namespace, &theirs, &active.remote, &labels, rebase).await;
        if let Err(error) = answer
            && !remote.is_committed(&scope.namespace, &theirs).await.unwrap_or(false)
        {
            return Err(error);
        }
        self.record_commit(remote, scope, (name, key), (active, &committed)).await
    }

    /// The backend's name for the result of an earlier commit of this active snapshot on this parent.
    fn tried(&self, remote: &Remote, active: &Record, parent: &str) -> Result<Option<String>> {
        for row in self.inner.discards.iter(remote.name()) {
            let ((_, theirs), discard) = row?;
            let Some(commit) = discard.commit.filter(|commit| commit.active == active.remote) else {
                continue;
            };
            if commit.record.is_some_and(|record| record.parent == parent) {
                return Ok(Some(theirs));
            }
        }
        Ok(None)
    }

    async fn record_commit(
        &self,
        remote: &Remote,
        scope: &Scope,
        (name, key): (&str, &str),
        (active, committed): (&Record, &Record),
    ) -> Result<()> {
        let mut batch = self.inner.database.batch();
        self.delete(&mut batch, scope, key, active);
        self.put(&mut batch, scope, name, committed);
        self.delete_discard(&mut batch, remote, &committed.remote);
        Ok(batch.commit().await?)
    }

    /// Whether the active snapshot that a commit replaces still has its record. If so, the store asks the backend for
    /// the outcome of the commit, and records the committed snapshot.
    async fn settle(&self, remote: &Remote, theirs: &str, discard: &Discard) -> Result<bool> {
        let Some(Committing { key, active, name, record: Some(committed) }) = &discard.commit else {
            return Ok(false);
        };
        let scope = Scope { namespace: discard.namespace.parse()?, snapshotter: remote.name().to_owned() };
        let _serial = self.lock_both(&scope, name, key).await;
        let Some(found) = self.get(&scope, key)?.filter(|found| found.remote == *active) else {
            return Ok(false);
        };
        let is_free = self.get(&scope, name)?.is_none();
        let has_parent = committed.parent.is_empty() || self.get(&scope, &committed.parent)?.is_some();
        if is_free && has_parent && remote.is_committed(&scope.namespace, theirs).await? {
            self.record_commit(remote, &scope, (name, key), (&found, committed)).await?;
            self.count_later(&scope, name);
            tracing::info!(
                snapshotter = remote.name(),
                snapshot = name,
                "a commit that was cut short is recorded"
            );
        }
        Ok(true)
    }

    /// Has backends remove what has no record, each as soon as it can be reached. Ends only by being dropped.
    pub async fn discard_always(self) {
        loop {
            let mut left = false;
            for remote in &self.inner.remotes {
                match self.discard(remote).await {
                    Ok(rest) => left |= rest,
                    Err(error) => {
                        left = true;
                        tracing::debug!(snapshotter = remote.name(), error = %gantry_rpc::chain(&error), "what was removed is there still, again later");
                    }
                }
            }
            let told = self.inner.discarding.notified();
            match left {
                true => drop(tokio::time::timeout(PAUSE, told).await),
                false => told.await,
            }
        }
    }

    /// Has a backend remove what has no record; whether something is left that it did not remove.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` and `DEADLINE_EXCEEDED`, when the backend does not answer.
    pub async fn discard(&self, remote: &Remote) -> Result<bool> {
        loop {
            let mut rows = Vec::new();
            for row in self.inner.discards.iter(remote.name()) {
                let (name, discard) = row?;
                if !self.inner.making.has(&name) {
                    rows.push((name.1, discard));
                }
            }
            if rows.is_empty() {
                return Ok(false);
            }
            let all = self.all()?.into_iter().filter(|(scope, _, _)| scope.snapshotter == remote.name());
            let known: HashSet<String> = all.map(|(_, _, record)| record.remote).collect();
            let (mut gone, mut left) = (0, false);
            for (name, discard) in rows {
                if self.settle(remote, &name, &discard).await? {
                    continue;
                }
                // A commit that was repeated meanwhile has recorded the snapshot, and taken the note back.
                if !self.inner.discards.contains(&(remote.name().to_owned(), name.clone()))? {
                    continue;
                }
                if !known.contains(&name) {
                    match remote.remove(&discard.namespace.parse()?, &name).await {
                        Ok(()) => {}
                        Err(error) if matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded) => {
                            return Err(error);
                        }
                        // Others are on top of it, or it is in use.
                        Err(error) => {
                            tracing::debug!(snapshot = name, error = %gantry_rpc::chain(&error), "not removed, again later");
                            left = true;
                            continue;
                        }
                    }
                }
                let mut batch = self.inner.database.batch();
                self.delete_discard(&mut batch, remote, &name);
                batch.commit().await?;
                gone += 1;
            }
            if gone == 0 || !left {
                return Ok(left);
            }
        }
    }

    /// Frees what was removed from a remote snapshotter.
    ///
    /// # Errors
    ///
    /// The backend's.
    pub async fn cleanup_at(&self, remote: &Remote, namespace: &Namespace) -> Result<()> {
        self.discard(remote).await?;
        remote.cleanup(namespace).await
    }
}
