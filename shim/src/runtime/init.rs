//! The container's init, held by a pidfd: once the shim has reaped it, its pid may be another process's.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, pidfd_send_signal};

use super::Failure;
use super::launch::words;

/// A process that waits for its start. It is a child of the shim, as this helper is.
pub struct Init {
    handle: OwnedFd,
    directory: OwnedFd,
}

impl Init {
    /// Opens the shim's child of this pid.
    pub fn open(pid: i32) -> Result<Self, Failure> {
        let failed = |why: String| format!("the container's init {pid}: {why}");
        let number = Pid::from_raw(pid).ok_or("the container has no process")?;
        let handle = pidfd_open(number, PidfdFlags::empty()).map_err(|errno| failed(words(errno)))?;
        let path = PathBuf::from(format!("/proc/{pid}"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| failed(words(errno)))?;
        let init = Self { handle, directory };
        // The descriptors are opened first: they still refer to the same process while its parent is checked.
        let parent = init.read("stat").ok().and_then(|stat| parent_of(&stat));
        if parent != getppid().map(|parent| parent.as_raw_nonzero().get()) {
            return Err(failed("it has ended".into()));
        }
        Ok(init)
    }

    /// The mount namespace of the init.
    pub fn mount_namespace(&self) -> std::io::Result<File> {
        self.at("ns/mnt")
    }

    /// Reads a file of the init's directory in /proc.
    pub fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.at(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Kills the init. An init that has ended is no error.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }

    fn at(&self, name: &str) -> std::io::Result<File> {
        Ok(File::from(openat(&self.directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?))
    }
}

/// The parent's pid in `/proc/<pid>/stat`. The process name before it may contain anything, parentheses too.
fn parent_of(stat: &[u8]) -> Option<i32> {
    let text = String::from_utf8_lossy(stat);
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_of(b"7 (a) b) c) S 42 7 7 0"), Some(42));
        assert_eq!(parent_of(b"7 (torn"), None);
    }

    #[test]
    fn a_process_that_is_no_sibling_is_refused() {
        assert!(Init::open(std::process::id().cast_signed()).is_ok());
        assert!(Init::open(1).is_err());
    }
}
