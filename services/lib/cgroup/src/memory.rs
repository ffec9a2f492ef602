//! Kills for want of memory, which the kernel reports when they happen: on v1 by an eventfd
//! (Documentation/admin-guide/cgroup-v1/memory.rst, 10), on v2 by poll(2) on `memory.events`, without an inotify
//! instance, of which a host has few.
//!
//! systemd (v2) removes a scope's cgroup, and with it the kernel's count, as soon as the last process has ended,
//! perhaps before the shim has read it. So the count is read whenever the kernel reports a change, which it does
//! before the killed process has ended.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::{fs, io};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::{Cgroup, field};

/// A watch over the kills in one cgroup.
#[derive(Debug)]
pub enum MemoryEvents {
    /// v2: `memory.events`, for which poll(2) returns POLLPRI.
    Counted(OwnedFd),
    /// v1: an eventfd, which is readable after a kill, and after the removal of the file beside it.
    Notified(OwnedFd, PathBuf),
}

/// A report of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kills {
    /// The number of kills since the cgroup was made.
    InAll(u64),
    /// One kill more, or several.
    More,
    /// No kill since the last report.
    Nothing,
    /// The cgroup is gone.
    Gone,
}

impl MemoryEvents {
    /// Begins to watch; `None` where the kernel does not count memory. The descriptor is non-blocking.
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

    /// Reads the kernel's report. The kernel reports no further change before that.
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
