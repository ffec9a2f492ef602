//! Is told when the kernel kills in a cgroup for want of memory: on v1 by an eventfd (Documentation/admin-guide/
//! cgroup-v1/memory.rst, 10), on v2 by poll(2) of `memory.events`.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::{fs, io};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Cgroup, field};
use crate::watched;

/// Notices of one cgroup.
pub enum Notices {
    /// Each is a kill, or the removal of this file.
    Eventfd(AsyncFd<OwnedFd>, PathBuf),
    /// Each is any change; there were so many kills before it.
    Counted(AsyncFd<OwnedFd>, u64),
}

impl Notices {
    /// Those from now on; none where nobody counts memory.
    pub fn begin(cgroup: &Cgroup) -> io::Result<Option<Self>> {
        if let Some(events) = cgroup.file("memory.events") {
            let events = watched::watch_for(fs::File::open(events)?.into(), Interest::PRIORITY)?;
            return Ok(Some(Self::Counted(events, cgroup.oom_kills())));
        }
        let Some(control) = cgroup.file("memory.oom_control") else { return Ok(None) };
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC)?;
        let file = fs::File::open(&control)?;
        let order = format!("{} {}", descriptor.as_raw_fd(), file.as_raw_fd());
        fs::write(control.with_file_name("cgroup.event_control"), order)?;
        Ok(Some(Self::Eventfd(watched::watch(descriptor)?, control)))
    }

    /// Waits for the next kill; none when the cgroup is gone.
    pub async fn next(&mut self) -> Option<()> {
        match self {
            Self::Eventfd(notices, control) => loop {
                let mut ready = notices.readable().await.ok()?;
                match rustix::io::read(notices.get_ref(), &mut [0; 8]) {
                    Ok(_) => return control.exists().then_some(()),
                    Err(Errno::AGAIN) => ready.clear_ready(),
                    Err(_) => return None,
                }
            },
            Self::Counted(events, before) => loop {
                let mut ready = events.ready(Interest::PRIORITY).await.ok()?;
                ready.clear_ready();
                let mut text = [0; 1024];
                // Until it is read, the kernel does not tell of another change; once it is gone, there is none.
                let length = rustix::io::pread(events.get_ref(), &mut text, 0).ok()?;
                let kills = field(&String::from_utf8_lossy(&text[..length]), "oom_kill").unwrap_or(0);
                if std::mem::replace(before, kills) < kills {
                    return Some(());
                }
            },
        }
    }
}
