//! The kernel's kills of a container for want of memory: counts them and reports each.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_cgroup::{Cgroup, Kills, MemoryEvents};
use tokio::io::Interest;
use tokio::task::AbortHandle;

use crate::async_fd;

/// The kills of one cgroup. Dropping it ends the watch.
pub struct Oom {
    cgroup: Cgroup,
    /// The highest count that was read: the cgroup may be gone when a client asks.
    most: Arc<AtomicU64>,
    watching: Option<AbortHandle>,
}

impl Oom {
    /// Begins to watch, and calls `tell` after each kill.
    ///
    /// # Errors
    ///
    /// When the cgroup cannot be watched. [`Oom::count`] then still reads the kernel's count.
    pub fn watch(cgroup: &Cgroup, tell: impl Fn() + Send + 'static) -> (Self, std::io::Result<()>) {
        let most = Arc::new(AtomicU64::new(0));
        let begun = MemoryEvents::begin(cgroup).and_then(|events| {
            let Some(events) = events else { return Ok(None) };
            let interest = match &events {
                MemoryEvents::Counted(_) => Interest::PRIORITY,
                MemoryEvents::Notified(..) => Interest::READABLE,
            };
            // A duplicate: the original descriptor belongs to the reader of the file.
            let descriptor = events.as_fd().try_clone_to_owned()?;
            let changes = async_fd::watch_for(descriptor, interest)?;
            let (most, before) = (most.clone(), cgroup.oom_kills());
            let watching = tokio::spawn(async move {
                let mut before = before;
                while let Ok(mut ready) = changes.ready(interest).await {
                    ready.clear_ready();
                    match events.take() {
                        Kills::InAll(now) => {
                            most.fetch_max(now, Ordering::Relaxed);
                            if std::mem::replace(&mut before, now) < now {
                                tell();
                            }
                        }
                        Kills::More => tell(),
                        Kills::Nothing => {}
                        Kills::Gone => return,
                    }
                }
            });
            Ok(Some(watching.abort_handle()))
        });
        let (watching, outcome) = match begun {
            Ok(watching) => (watching, Ok(())),
            Err(error) => (None, Err(error)),
        };
        (Self { cgroup: cgroup.clone(), most, watching }, outcome)
    }

    /// The number of kills.
    pub fn count(&self) -> u64 {
        let now = self.cgroup.oom_kills();
        self.most.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Ends the reports.
    pub fn end(&self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

impl Drop for Oom {
    fn drop(&mut self) {
        self.end();
    }
}
