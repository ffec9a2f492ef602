//! Kills for want of memory, noted when they happen.
//!
//! Where systemd keeps the cgroup (v2), it removes it as soon as the last process has ended, and the kernel's count with
//! it: perhaps before the shim has looked. So the count is looked at whenever the kernel says that it has changed, which
//! is before the killed process has ended: poll(2) of `memory.events`, without an inotify instance, of which a machine
//! has few.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use super::{Cgroup, field};
use crate::watched;

/// What is known of one cgroup's kills. The watch ends with it.
pub struct Kills {
    noted: Arc<Noted>,
    watching: AbortHandle,
}

struct Noted {
    file: PathBuf,
    count: AtomicU64,
}

impl Kills {
    /// Begins to watch; `None` where there is nothing to watch, or no way to.
    pub fn watch(cgroup: &Cgroup) -> Option<Self> {
        let noted = Arc::new(Noted { file: cgroup.file("memory.events")?, count: AtomicU64::new(0) });
        let changes = File::open(&noted.file).ok()?;
        let changes = watched::watch_for(changes.into(), Interest::PRIORITY).ok()?;
        let watching = tokio::spawn(noted.clone().follow(changes)).abort_handle();
        Some(Self { noted, watching })
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.noted.look();
        self.noted.count.load(Ordering::Relaxed)
    }
}

impl Drop for Kills {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Noted {
    /// Takes the count over, unless it is gone.
    fn look(&self) {
        if let Ok(text) = std::fs::read_to_string(&self.file) {
            self.take(&text);
        }
    }

    fn take(&self, text: &str) {
        self.count.fetch_max(field(text, "oom_kill").unwrap_or(0), Ordering::Relaxed);
    }

    async fn follow(self: Arc<Self>, changes: AsyncFd<OwnedFd>) {
        while let Ok(mut ready) = changes.ready(Interest::PRIORITY).await {
            ready.clear_ready();
            // Until it is read, the kernel does not tell of another change; once it is gone, there is none.
            let mut buffer = [0; 1024];
            let Ok(length) = rustix::io::pread(changes.get_ref(), &mut buffer, 0) else { return };
            self.take(&String::from_utf8_lossy(&buffer[..length]));
        }
    }
}
