//! Snapshots of remote snapshotters, whose files are somebody else's.
//!
//! ```text
//! table discards: (snapshotter, what the backend calls it) → whose namespace
//! ```
//!
//! A backend's snapshot is noted as one to be discarded before it is made, and no longer when it has its record; and
//! noted again with the removal of the record. So what a crash left, and what was removed while the backend was away, is
//! found, and goes when it is back ([`Store::discard`]). Removing does not wait for that.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gantry_api::snapshots::Mount;
use gantry_disk::Batch;
use gantry_rpc::{Code, Coded};
use gantry_types::Namespace;

use super::Store;
use crate::record::{Discard, Kind, Record, Scope};
use crate::remote::{Remote, TARGET};
use crate::{Error, Result};

/// How long a backend that did not discard something is left alone.
const PAUSE: Duration = Duration::from_secs(60);

/// The backends' names of what is being made. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Making(
    // Held for an edit only.
    Arc<Mutex<HashSet<(String, String)>>>,
);

/// A name that nobody discards until this is dropped.
#[derive(Debug)]
struct Made {
    making: Making,
    name: (String, String),
}

impl Making {
    fn begin(&self, remote: &Remote, name: &str) -> Made {
        let name = (remote.name().to_owned(), name.to_owned());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        Made { making: self.clone(), name }
    }

    fn has(&self, name: &(String, String)) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.making.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl Store {
    /// A name that a backend has not had: several names of one key are apart.
    fn backend_name(&self, scope: &Scope, key: &str) -> String {
        format!("{}/{}/{key}", scope.namespace, self.inner.stamps.now())
    }

    /// Notes what a backend is about to make, which goes unless it gets a record.
    async fn note(&self, remote: &Remote, namespace: &Namespace, name: &str) -> Result<Made> {
        let made = self.inner.making.begin(remote, name);
        let mut batch = self.inner.database.batch();
        self.put_discard(&mut batch, remote, namespace, name);
        batch.commit().await?;
        Ok(made)
    }

    pub(super) fn put_discard(&self, batch: &mut Batch, remote: &Remote, namespace: &Namespace, name: &str) {
        let discard = Discard { namespace: namespace.to_string() };
        batch.put(&self.inner.discards, &(remote.name().to_owned(), name.to_owned()), &discard);
    }

    fn delete_discard(&self, batch: &mut Batch, remote: &Remote, name: &str) {
        batch.delete(&self.inner.discards, &(remote.name().to_owned(), name.to_owned()));
    }

    /// Prepares at a backend, under the locks of [`Store::prepare`].
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

    /// Records a layer that a backend has by itself: what is mounted as it is read, for example.
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
    pub(super) async fn commit_at(
        &self,
        remote: &Remote,
        scope: &Scope,
        (name, key): (&str, &str),
        (active, mut committed): (&Record, Record),
        rebase: Option<&Record>,
    ) -> Result<()> {
        let theirs = self.backend_name(scope, name);
        let _made = self.note(remote, &scope.namespace, &theirs).await?;
        let rebase = rebase.map(|below| below.remote.as_str());
        let labels = committed.labels();
        remote.commit(&scope.namespace, &theirs, &active.remote, &labels, rebase).await?;
        committed.remote.clone_from(&theirs);
        let mut batch = self.inner.database.batch();
        self.delete(&mut batch, scope, key, active);
        self.put(&mut batch, scope, name, &committed);
        self.delete_discard(&mut batch, remote, &theirs);
        batch.commit().await?;
        Ok(())
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
