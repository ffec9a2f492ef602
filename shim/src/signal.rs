//! Signals by number. The libraries here have no names for real-time signals, and containers need them: `SIGRTMIN+3`
//! stops systemd as a container's init.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// A signal that the kernel knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

/// The kernel's last signal: `_NSIG` of signal(7).
const LAST: i32 = 64;

impl Signal {
    pub const KILL: Self = Self(libc::SIGKILL);

    /// The signal of a number, if the kernel has it.
    pub fn from_number(number: u32) -> Option<Self> {
        i32::try_from(number).ok().filter(|number| (1..=LAST).contains(number)).map(Self)
    }

    /// Sends the signal to the process of a pidfd: pidfd_send_signal(2), Linux 5.1.
    pub fn send(self, process: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let no_information = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the kernel reads no memory, for there is no siginfo.
        let done = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), self.0, no_information, 0)
        };
        outcome(done)
    }

    /// Sends the signal to the process that has this pid now.
    pub fn send_to(self, pid: rustix::process::Pid) -> rustix::io::Result<()> {
        // SAFETY: kill(2) touches no memory.
        outcome(unsafe { libc::kill(pid.as_raw_nonzero().get(), self.0) }.into())
    }
}

fn outcome(done: libc::c_long) -> rustix::io::Result<()> {
    if done == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_signals_are_signals_too() {
        assert_eq!(Signal::from_number(9), Some(Signal::KILL));
        assert!(Signal::from_number(37).is_some() && Signal::from_number(64).is_some());
        assert!(Signal::from_number(0).is_none() && Signal::from_number(65).is_none());
    }
}
