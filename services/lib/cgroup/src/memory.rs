//! Kills for want of memory, told by the kernel when they happen: on v1 by an eventfd (Documentation/admin-guide/
//! cgroup-v1/memory.rst, 10), on v2 by poll(2) of `memory.events`, without an inotify instance, of which a machine has
//! few.
//!
//! Where systemd keeps the cgroup (v2), it removes it as soon as the last process has ended, and the kernel's count with
//! it: perhaps before anybody has looked. So the count is read whenever the kernel says that it has changed, which is
//! before the killed process has ended.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::{fs, io};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::{Cgroup, field};

/// The kills of one cgroup.
#[derive(Debug)]
pub enum MemoryEvents {
    /// v2: `memory.events`, which poll(2) tells of by POLLPRI.
    Counted(OwnedFd),
    /// v1: an eventfd, readable after a kill, or after the removal of the file beside it.
    Notified(OwnedFd, PathBuf),
}

/// What the kernel has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kills {
    /// So many in all, since the cgroup was made.
    InAll(u64),
    /// One more, or several.
    More,
    /// Nothing since the last time.
    Nothing,
    /// The cgroup is gone.
    Gone,
}

impl MemoryEvents {
    /// Those from now on; none where nobody counts memory. The descriptor does not block.
    pub fn begin(cgroup: &Cgroup) -> io::Result<Option<Self>> {
        if let Some(events) = cgroup.file("memory.events") {
            return Ok(Some(Self::Counted(fs::File::open(events)?.into())));
        }
        let Some(control) = cgroup.file("memory.oom_control") else { return Ok(None) };
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let file = fs::File::open(&control)?;
        let order = format!("{} {}", descriptor.as_raw_fd(), file.as_raw_fd());
        fs::write(control.with_file_name("cgroup.event_control"), order)?;
        Ok(Some(Self::Notified(descriptor, control)))
    }

    /// Takes what the kernel has told. Until that is done, it does not tell of another change.
    pub fn take(&self) -> Kills {
        match self {
            Self::Counted(events) => {
                let mut text = [0; 1024];
                match rustix::io::pread(events, &mut text, 0) {
                    Ok(length) => {
                        let text = String::from_utf8_lossy(&text[..length]);
                        Kills::InAll(field(&text, "oom_kill").unwrap_or(0))
                    }
                    Err(_) => Kills::Gone,
                }
            }
            Self::Notified(notices, control) => match rustix::io::read(notices, &mut [0; 8]) {
                Ok(_) if control.exists() => Kills::More,
                Err(Errno::AGAIN) => Kills::Nothing,
                Ok(_) | Err(_) => Kills::Gone,
            },
        }
    }
}

impl AsFd for MemoryEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let (Self::Counted(descriptor) | Self::Notified(descriptor, _)) = self;
        descriptor.as_fd()
    }
}
