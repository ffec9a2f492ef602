//! When to collect: after any deletion, after a hundred changes, when a lease has
//! expired, and every hour. Collecting may take a fiftieth of the time: the next
//! run waits for fifty times as long as the last one took. A collection that failed is
//! tried again soon all the same: it was waiting rather than working.
//!
//! The stores also announce what a collection itself removes; these announcements ask for
//! no further collection.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gantry_api::events::{Event, Payload};
use gantry_api::gc::{Resource, Swept};
use gantry_types::Namespace;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Collector;
use super::store::Store;
use crate::error::Error;

const CHANGES: u32 = 100;
const SHARE: u32 = 50;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const AFTER_START: Duration = Duration::from_millis(100);
const LOOK_AT_LEASES: Duration = Duration::from_secs(30);
const EVERYTHING: Duration = Duration::from_secs(3600);
const RETRY: Duration = Duration::from_secs(2);
/// After so many failures in a row, which take at least half a minute, the log says so.
const PATIENCE: u32 = 15;

#[derive(Debug, Default)]
struct State {
    /// Namespaces to be collected.
    due: BTreeSet<Namespace>,
    /// Changes since the last collection.
    changes: BTreeMap<Namespace, u32>,
    /// What the last collection of a namespace removed.
    swept: BTreeMap<Namespace, HashSet<Resource>>,
    /// Failures of a namespace since its last collection.
    failures: BTreeMap<Namespace, u32>,
}

/// Decides when to collect. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler<S> {
    collector: Collector<S>,
    // Guards the counters; never held over an await.
    state: Arc<Mutex<State>>,
    /// Something is due.
    wake: Arc<Notify>,
    /// A collection that a client had asked for has failed.
    failed: Arc<Notify>,
}

impl<S: Store> Scheduler<S> {
    /// A scheduler for this collector.
    pub fn new(collector: Collector<S>) -> Scheduler<S> {
        Scheduler { collector, state: Arc::default(), wake: Arc::default(), failed: Arc::default() }
    }

    /// Asks for a collection of a namespace soon.
    pub fn trigger(&self, namespace: &Namespace) {
        self.state.lock().due.insert(namespace.clone());
        self.wake.notify_one();
    }

    /// Counts what an event tells.
    pub fn observe(&self, event: &Event) {
        let topic = event.topic.as_str();
        let ours = ["/images/", "/containers/", "/content/", "/snapshot/"];
        if !ours.iter().any(|prefix| topic.starts_with(prefix)) {
            return;
        }
        let namespace = &event.namespace;
        let mut state = self.state.lock();
        let due = if topic.ends_with("/delete") || topic.ends_with("/remove") {
            !deleted(event).is_some_and(|resource| {
                self.collector.active.dooms(namespace, &resource)
                    || state.swept.get_mut(namespace).is_some_and(|swept| swept.remove(&resource))
            })
        } else {
            let changes = state.changes.entry(namespace.clone()).or_default();
            *changes += 1;
            *changes >= CHANGES
        };
        if due {
            state.due.insert(namespace.clone());
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Collects one namespace now, and remembers what went.
    pub async fn collect(&self, namespace: &Namespace) -> Result<Swept, Error> {
        {
            let mut state = self.state.lock();
            state.due.remove(namespace);
            state.changes.remove(namespace);
        }
        let collected = self.collector.collect(namespace).await;
        if collected.is_err() {
            // The client does not ask again.
            self.trigger(namespace);
            self.failed.notify_one();
        }
        let outcome = collected?;
        if !outcome.removed.is_empty() {
            tracing::info!(%namespace, removed = outcome.removed.len(), freed = outcome.freed, "collected");
        }
        let mut state = self.state.lock();
        state.failures.remove(namespace);
        state.swept.insert(namespace.clone(), outcome.removed.iter().cloned().collect());
        Ok(outcome)
    }

    /// Collects when it is time, for ever.
    pub async fn run(self) {
        tokio::time::sleep(AFTER_START).await;
        let mut whole = None::<Instant>;
        loop {
            if whole.is_none_or(|last| last.elapsed() >= EVERYTHING) {
                match self.collector.namespaces().await {
                    Ok(names) => {
                        self.state.lock().due.extend(names);
                        whole = Some(Instant::now());
                    }
                    Err(error) => {
                        tracing::debug!(error = gantry_rpc::chain(&error), "not every store answers yet")
                    }
                }
            }
            let pause = self.collect_due().await;
            if tokio::time::timeout(pause, self.failed.notified()).await.is_ok() {
                tokio::time::sleep(RETRY).await;
            }
            let patience = if whole.is_none() { RETRY } else { LOOK_AT_LEASES };
            if tokio::time::timeout(patience, self.wake.notified()).await.is_err() {
                match self.collector.leases.expired_in(SystemTime::now()) {
                    Ok(names) => self.state.lock().due.extend(names),
                    Err(error) => tracing::error!(error = gantry_rpc::chain(&error), "leases cannot be read"),
                }
            }
        }
    }

    /// Collects what is due; how long to pause afterwards.
    async fn collect_due(&self) -> Duration {
        let due = std::mem::take(&mut self.state.lock().due);
        let mut pause = Duration::ZERO;
        for namespace in due {
            let started = Instant::now();
            let result = self.collect(&namespace).await;
            if let Err(error) = result {
                let failures = {
                    let mut state = self.state.lock();
                    let failures = state.failures.entry(namespace.clone()).or_default();
                    *failures += 1;
                    *failures
                };
                let error = gantry_rpc::chain(&error);
                // A store that is just starting is no reason for a warning; garbage that stays for ever is.
                if failures == PATIENCE {
                    tracing::warn!(%namespace, error, failures, "garbage cannot be collected; to be tried on");
                } else {
                    tracing::debug!(%namespace, error, "not collected; to be tried again");
                }
            } else {
                pause += started.elapsed() * SHARE;
            }
        }
        pause.min(LONGEST_PAUSE)
    }
}

/// What a deletion was of; `None` for what is never collected.
fn deleted(event: &Event) -> Option<Resource> {
    match event.payload()? {
        Payload::ContentDelete { digest } => Some(Resource::new("content", digest)),
        Payload::SnapshotRemove { snapshotter, key } => Some(Resource::snapshot(&snapshotter, &key)),
        Payload::ImageDelete { name } => Some(Resource::image(&name)),
        Payload::ImageCreate { .. } | Payload::ImageUpdate { .. } | Payload::TaskOom { .. } => None,
    }
}
