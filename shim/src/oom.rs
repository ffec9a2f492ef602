//! A container's kills for want of memory: counted, and each told when it happens.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_cgroup::{Cgroup, Kills, MemoryEvents};
use tokio::io::Interest;
use tokio::task::AbortHandle;

use crate::async_fd;

/// What is known of one cgroup's kills. The watch ends with it.
pub struct Oom {
    cgroup: Cgroup,
    /// The most that the kernel has counted: the cgroup, and its count, may be gone before somebody asks.
    most: Arc<AtomicU64>,
    watching: Option<AbortHandle>,
}

impl Oom {
    /// Begins to watch, and has `tell` called after each kill.
    ///
    /// # Errors
    ///
    /// Nothing is told then; the kernel's count can still be asked for.
    pub fn watch(cgroup: &Cgroup, tell: impl Fn() + Send + 'static) -> (Self, std::io::Result<()>) {
        let most = Arc::new(AtomicU64::new(0));
        let begun = MemoryEvents::begin(cgroup).and_then(|events| {
            let Some(events) = events else { return Ok(None) };
            let interest = match &events {
                MemoryEvents::Counted(_) => Interest::PRIORITY,
                MemoryEvents::Notified(..) => Interest::READABLE,
            };
            // Of a descriptor of its own: the other one belongs to what reads it.
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

    /// How many there were.
    pub fn count(&self) -> u64 {
        let now = self.cgroup.oom_kills();
        self.most.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Tells of nothing any more.
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
