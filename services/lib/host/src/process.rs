//! Processes: the resources of the calling one, and other processes held by descriptor.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Error, Result};

/// Processor time, user and system, that all threads of the calling process have used (getrusage(2)).
pub fn own_processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("getrusage fails only for a bad address");
    let time =
        |value: TimeVal| Duration::from_micros(u64::try_from(value.num_microseconds()).unwrap_or_default());
    time(usage.user_time()) + time(usage.system_time())
}

/// Raises the limit of open files to the hard limit (setrlimit(2)). Processes that the caller starts inherit it.
pub fn raise_open_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|e| Error::os("raise the limit of open files of", "self", e))
}

/// Sets the umask to 0, so that the kernel takes modes as given. The umask belongs to the whole process: to be called
/// once, at its start.
pub fn clear_umask() {
    rustix::process::umask(rustix::fs::Mode::empty());
}

/// The path by which other processes, with the necessary rights, reach an open file of the calling one.
pub fn path_of_own(file: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
}

/// Another process, held by its directory in `/proc`: once the process has ended, every access fails, even when
/// another process has its pid.
#[derive(Debug)]
pub struct Pinned {
    directory: OwnedFd,
    path: PathBuf,
}

impl Pinned {
    /// Holds the process that has the pid now. The caller has to check afterwards that it is the right one.
    pub fn open(pid: u32) -> Result<Self> {
        let path = PathBuf::from(format!("/proc/{pid}"));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| Error::path("open", &path, e))?;
        Ok(Self { directory, path })
    }

    /// Its root directory, with everything mounted there.
    pub fn root(&self) -> Result<OwnedFd> {
        self.at("root", OFlags::PATH | OFlags::DIRECTORY)
    }

    /// A namespace of the process, by the kernel's name of its kind.
    pub fn namespace(&self, kind: &str) -> Result<OwnedFd> {
        self.at(&format!("ns/{kind}"), OFlags::RDONLY)
    }

    /// Reads a file of its directory in `/proc`.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        use std::io::Read;
        let mut bytes = Vec::new();
        std::fs::File::from(self.at(name, OFlags::RDONLY)?)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::path("read", self.path.join(name), e))?;
        Ok(bytes)
    }

    fn at(&self, name: &str, flags: OFlags) -> Result<OwnedFd> {
        rustix::fs::openat(&self.directory, name, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| Error::path("open", self.path.join(name), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_not_mistaken_for_another() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("started");
        let pinned = Pinned::open(child.id()).expect("it runs");
        assert!(pinned.read("stat").is_ok() && pinned.namespace("mnt").is_ok() && pinned.root().is_ok());
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert!(pinned.read("stat").is_err() && pinned.namespace("mnt").is_err() && pinned.root().is_err());
    }
}
