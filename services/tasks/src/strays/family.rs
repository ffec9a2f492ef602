//! Kills a shim's process with all its descendants, which it finds through `/proc`: the processes of a container
//! would outlive their shim.
//!
//! A pid may belong to another process by the time it is used, so a process is identified by its pid and its start
//! time. A pidfd holds the process while the start time is compared and the signal sent.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long descendants may take to end, and then the process itself.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(2);

/// One process, identified by pid and start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    started: u64,
}

/// A process as `/proc` showed it.
struct Seen {
    process: Process,
    parent: u32,
    ended: bool,
}

impl Process {
    /// The process that has this pid now.
    pub fn of(pid: u32) -> Option<Process> {
        look(pid).map(|seen| seen.process)
    }

    /// Kills the process and all its descendants, and waits until they have ended, with their sockets. Blocks. A process
    /// that is gone is no error.
    pub fn kill_with_descendants(self) -> Result<()> {
        // A stopped shim starts no more processes. While it lives, it is the subreaper that adopts its descendants
        // when their parents end, so none of them escapes.
        self.signal(Signal::STOP)?;
        let deadline = Instant::now() + PATIENCE;
        let mut dying = BTreeSet::new();
        loop {
            let found = self.descendants();
            let living = found.iter().any(|seen| !seen.ended);
            for seen in found {
                // The next round finds a process that could not be killed, until the deadline.
                let _ = seen.process.signal(Signal::KILL);
                thaw(seen.process.pid, self.pid);
                dying.insert(seen.process);
            }
            dying.retain(|process| process.is_alive());
            // A living process may have started another one since the look.
            if (!living && dying.is_empty()) || Instant::now() > deadline {
                break;
            }
            thread::sleep(PAUSE);
        }
        self.signal(Signal::KILL)?;
        self.wait_for_end()
    }

    /// Whether the process has a descendant that has not ended.
    pub fn has_living_descendants(self) -> bool {
        self.descendants().iter().any(|seen| !seen.ended)
    }

    fn is_alive(self) -> bool {
        look(self.pid).is_some_and(|seen| seen.process == self && !seen.ended)
    }

    fn signal(self, signal: Signal) -> Result<()> {
        self.held(|descriptor| pidfd_send_signal(descriptor, signal))
    }

    /// Waits until the last thread has ended: then a pidfd is readable (pidfd_open(2)), though nobody may ever wait for
    /// the process. Its first thread may be a zombie before.
    fn wait_for_end(self) -> Result<()> {
        let limit = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        self.held(|descriptor| poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&limit)).map(drop))
    }

    /// Does something with the process's pidfd, unless the process is gone.
    fn held(self, work: impl FnOnce(&OwnedFd) -> Result<()>) -> Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
        let done = pidfd_open(pid, PidfdFlags::empty()).and_then(|descriptor| {
            match Process::of(self.pid) == Some(self) {
                true => work(&descriptor),
                false => Ok(()),
            }
        });
        done.or_else(|errno| if errno == Errno::SRCH { Ok(()) } else { Err(errno) })
    }

    fn descendants(self) -> Vec<Seen> {
        let mut others = everyone();
        if !others.iter().any(|seen| seen.process == self) {
            return Vec::new();
        }
        let mut family = BTreeSet::from([self.pid]);
        let mut found = Vec::new();
        loop {
            let (children, rest): (Vec<_>, Vec<_>) =
                others.into_iter().partition(|seen| family.contains(&seen.parent));
            if children.is_empty() {
                return found;
            }
            family.extend(children.iter().map(|seen| seen.process.pid));
            found.extend(children);
            others = rest;
        }
    }
}

fn everyone() -> Vec<Seen> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(look).collect()
}

/// What proc_pid_stat(5) says of a process.
fn look(pid: u32) -> Option<Seen> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name, in parentheses, may contain any character.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
    let started = fields.nth(17)?.parse().ok()?;
    Some(Seen { process: Process { pid, started }, parent, ended: matches!(state, "Z" | "X") })
}

/// Thaws the cgroups of a process, except the shim's own: on cgroup v1 a frozen process does not die.
fn thaw(pid: u32, shim: u32) {
    let (Some(group), Some(kept)) = (freezer(pid), freezer(shim)) else { return };
    for frozen in group.ancestors().take_while(|group| !kept.starts_with(group)) {
        let below = frozen.strip_prefix("/").unwrap_or(frozen);
        // The cgroup may be gone; then no process is frozen in it.
        let _ = fs::write(Path::new("/sys/fs/cgroup/freezer").join(below).join("freezer.state"), "THAWED");
    }
}

/// The cgroup of a process in the freezer hierarchy of v1.
fn freezer(pid: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == "freezer").then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    /// A process with a child and two grandchildren.
    fn family() -> (Child, Process, Vec<Process>) {
        let script = "sh -c 'sleep 1000 & sleep 1000 & wait' & wait";
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut descendants = Vec::new();
        while descendants.len() != 3 && Instant::now() < deadline {
            descendants = process.descendants().into_iter().map(|seen| seen.process).collect();
        }
        assert_eq!(descendants.len(), 3);
        (child, process, descendants)
    }

    #[test]
    fn descendants_die_with_it() {
        let (mut child, process, descendants) = family();
        process.kill_with_descendants().unwrap();
        // Nobody has waited for it yet.
        assert!(!descendants.into_iter().chain([process]).any(Process::is_alive));
        child.wait().unwrap();
        process.kill_with_descendants().unwrap();
    }

    #[test]
    fn another_process_of_the_same_pid_lives_and_so_do_its_descendants() {
        let (mut child, process, descendants) = family();
        Process { started: process.started - 1, ..process }.kill_with_descendants().unwrap();
        assert!(descendants.into_iter().chain([process]).all(Process::is_alive));
        process.kill_with_descendants().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_is_frozen_dies_too() {
        let root = Path::new("/sys/fs/cgroup/freezer");
        let group = root.join(format!("gantry-tasks-test-{}", std::process::id()));
        if !root.is_dir() || fs::create_dir(&group).is_err() {
            return;
        }
        let (mut child, process, descendants) = family();
        for descendant in &descendants {
            fs::write(group.join("cgroup.procs"), descendant.pid.to_string()).unwrap();
        }
        fs::write(group.join("freezer.state"), "FROZEN").unwrap();
        process.kill_with_descendants().unwrap();
        child.wait().unwrap();
        assert!(!descendants.into_iter().any(Process::is_alive));
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = fs::remove_dir(&group) {
            assert!(Instant::now() < deadline, "{error}");
            thread::sleep(PAUSE);
        }
    }
}
