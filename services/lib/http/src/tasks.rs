//! Background work for clients: tracked, ended at shutdown, and awaited.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The tasks of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl Tasks {
    /// Tasks that end with `shutdown`.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), shutdown }
    }

    /// Spawns work that outlives its request; it is dropped at shutdown.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        let work = async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = work => {}
            }
        };
        self.tracker.spawn(work.in_current_span());
    }

    /// Spawns a connection, which decides itself how it ends at shutdown.
    pub(crate) fn spawn_connection(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// Returns at shutdown.
    pub(crate) async fn shutdown(&self) {
        self.shutdown.cancelled().await;
    }

    /// Returns when all tasks have ended after shutdown, or their time is over.
    pub(crate) async fn drained(&self, patience: Duration) {
        self.tracker.close();
        // What takes longer is an endless stream, which ends with the process.
        let _ = tokio::time::timeout(patience, self.tracker.wait()).await;
    }
}
