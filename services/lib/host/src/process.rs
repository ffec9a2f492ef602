//! Processes that cannot be mistaken for others.
//!
//! A process number alone names nothing for long: the kernel gives it out again. Records keep an [`Identity`] (number
//! and start time), and whoever acts on one opens a [`Process`], a pidfd (Linux 5.3) that was checked against it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus};

use crate::{Error, Result};

/// A process across time: its number, and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did (`/proc/<pid>/stat`, field 22).
    pub started: u64,
}

impl Identity {
    /// The identity of a process that runs now.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self { pid, started: status(pid)?.started })
    }

    /// Whether this very process still exists, as a zombie or not.
    pub fn exists(&self) -> bool {
        status(self.pid).is_ok_and(|status| status.started == self.started)
    }

    /// Whether this very process exists and has not ended.
    pub fn is_running(&self) -> bool {
        status(self.pid)
            .is_ok_and(|status| status.started == self.started && !matches!(status.state, 'Z' | 'X'))
    }
}

/// Processor time, user and system, that all threads of the calling process have used (getrusage(2)).
pub fn own_processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("getrusage fails only for a bad address");
    let time =
        |value: TimeVal| Duration::from_micros(u64::try_from(value.num_microseconds()).unwrap_or_default());
    time(usage.user_time()) + time(usage.system_time())
}

/// What `/proc/<pid>/stat` says, as far as Gantry asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// `R`, `S`, `D`, `Z`, `T`, …
    pub state: char,
    /// The parent's number.
    pub parent: u32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
}

/// Reads a process's status.
pub fn status(pid: u32) -> Result<Status> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    match std::fs::read(&path) {
        Ok(line) => parse_status(&line),
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) =>
        {
            Err(Error::ProcessGone { pid })
        }
        Err(error) => Err(Error::path("read", path, error)),
    }
}

/// The command's name may hold anything, even `) R 1`: fields are counted from the last parenthesis.
fn parse_status(line: &[u8]) -> Result<Status> {
    let text = String::from_utf8_lossy(line);
    let malformed = || Error::Malformed { what: "process status", text: text.clone().into_owned() };
    let (_, rest) = text.rsplit_once(") ").ok_or_else(malformed)?;
    let mut fields = rest.split(' ');
    let state = fields.next().and_then(|field| field.chars().next()).ok_or_else(malformed)?;
    let parent = fields.next().and_then(|field| field.parse().ok()).ok_or_else(malformed)?;
    let started = fields.nth(17).and_then(|field| field.trim().parse().ok()).ok_or_else(malformed)?;
    Ok(Status { state, parent, started })
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(u8),
    /// A signal ended it.
    Signal(u8),
}

impl Exit {
    /// The shell's and Docker's number for it: the code, or 128 and the signal.
    pub fn status(self) -> u32 {
        match self {
            Self::Code(code) => u32::from(code),
            Self::Signal(signal) => 128 + u32::from(signal),
        }
    }
}

/// An open process; good for as long as it is held, whatever becomes of the number.
///
/// Its descriptor polls readable when the process has ended.
#[derive(Debug)]
pub struct Process {
    pidfd: OwnedFd,
    pid: u32,
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Process {
    /// Opens whatever process has this number now.
    pub fn open(pid: u32) -> Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Error::ProcessGone { pid })?;
        match rustix::process::pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { pidfd, pid }),
            Err(rustix::io::Errno::SRCH) => Err(Error::ProcessGone { pid }),
            Err(e) => Err(Error::os("pidfd_open", pid.to_string(), e)),
        }
    }

    /// Opens exactly the process that was recorded; fails if another one has its number.
    pub fn open_exact(identity: Identity) -> Result<Self> {
        let process = Self::open(identity.pid)?;
        // Checked after the opening: from here on the number cannot change hands unseen.
        if status(identity.pid)?.started != identity.started {
            return Err(Error::ProcessGone { pid: identity.pid });
        }
        Ok(process)
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal by its number.
    pub fn signal(&self, number: i32) -> Result<()> {
        let signal = Signal::from_named_raw(number)
            .ok_or_else(|| Error::Malformed { what: "signal", text: number.to_string() })?;
        match rustix::process::pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::SRCH) => Err(Error::ProcessGone { pid: self.pid }),
            Err(e) => Err(Error::os("signal process", self.pid.to_string(), e)),
        }
    }

    /// Sends SIGKILL.
    pub fn kill(&self) -> Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Whether it has ended, reaped or not.
    pub fn has_ended(&self) -> Result<bool> {
        self.poll(0)
    }

    /// Blocks until it has ended or the time is over; `false` if it still runs.
    pub fn wait_ended(&self, timeout: std::time::Duration) -> Result<bool> {
        self.poll(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX))
    }

    fn poll(&self, milliseconds: i64) -> Result<bool> {
        let timeout = rustix::event::Timespec {
            tv_sec: milliseconds / 1000,
            tv_nsec: (milliseconds % 1000) * 1_000_000,
        };
        let mut fds = [rustix::event::PollFd::new(&self.pidfd, rustix::event::PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(e) => Err(Error::os("poll process", self.pid.to_string(), e)),
        }
    }

    /// Takes the status of a child that has ended; `None` while it runs.
    pub fn reap(&self) -> Result<Option<Exit>> {
        self.reap_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Blocks until a child has ended, and takes its status.
    pub fn wait(&self) -> Result<Exit> {
        loop {
            if let Some(exit) = self.reap_with(WaitIdOptions::EXITED)? {
                return Ok(exit);
            }
        }
    }

    fn reap_with(&self, options: WaitIdOptions) -> Result<Option<Exit>> {
        loop {
            match rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Ok(status) => return Ok(status.as_ref().and_then(exit_of)),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::os("wait for process", self.pid.to_string(), e)),
            }
        }
    }
}

fn exit_of(status: &WaitIdStatus) -> Option<Exit> {
    let byte = |value: i32| u8::try_from(value & 0xff).expect("a masked byte fits");
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Some(Exit::Code(byte(code))),
        (None, Some(signal)) => Some(Exit::Signal(byte(signal))),
        (None, None) => None,
    }
}

/// Makes the calling process the new parent of its descendants whose own parents end.
pub fn become_subreaper() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| Error::os("become subreaper", "self", e))
}

/// Sees to it that modes given to the kernel are taken as they are. Concerns the whole process: once, at its start.
pub fn clear_umask() {
    rustix::process::umask(rustix::fs::Mode::empty());
}

/// The direct children of a process, all its threads' together.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let tasks = format!("/proc/{pid}/task");
    let mut found = Vec::new();
    for task in std::fs::read_dir(&tasks).map_err(|_| Error::ProcessGone { pid })? {
        let task = task.map_err(|e| Error::path("read", &tasks, e))?;
        if let Ok(list) = std::fs::read_to_string(task.path().join("children")) {
            found.extend(list.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_cannot_fake_a_status() {
        let line = b"42 (a) R 1 (b) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 2 3 4\n";
        assert_eq!(parse_status(line).unwrap(), Status { state: 'S', parent: 7, started: 98765 });
        assert!(parse_status(b"42 (a) S 7").is_err());
    }

    #[test]
    fn a_childs_end_is_seen_and_reaped() {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        let process = Process::open_exact(identity).unwrap();
        assert!(!process.has_ended().unwrap() && identity.is_running());
        process.kill().unwrap();
        assert_eq!(process.wait().unwrap(), Exit::Signal(9));
        assert!(child.wait().is_err(), "reaped already");
        assert_eq!(Exit::Signal(9).status(), 137);
        assert!(!identity.exists());
        assert!(matches!(process.kill(), Err(Error::ProcessGone { .. })));
    }

    #[test]
    fn another_process_with_the_number_is_refused() {
        let own = Identity::of(std::process::id()).unwrap();
        let other = Identity { started: own.started + 1, ..own };
        assert!(matches!(Process::open_exact(other), Err(Error::ProcessGone { .. })));
    }
}
