//! Processes of tasks.

use std::time::SystemTime;

use gantry_types::{ContainerId, ProcessId};
use prost_types::Any;

use super::{Stdio, Usage, convert};

/// A process.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// Its task and exec.
    pub id: ProcessId,
    /// The pid on the host; 0 for an exec that was not started.
    pub pid: u32,
    /// Its state.
    pub status: Status,
    /// Its stdio.
    pub stdio: Stdio,
}

/// The state of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Created, not started.
    Created,
    /// The program runs.
    Running,
    /// It is being frozen.
    Pausing,
    /// It is frozen.
    Paused,
    /// It has ended.
    Stopped(ExitStatus),
    /// The shim does not answer.
    Unknown,
}

/// The exit of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// The exit status: 128 plus the signal's number for a killed process.
    pub code: u32,
    /// When; `None` when no shim has seen it.
    pub at: Option<SystemTime>,
}

/// A deleted process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Its pid; 0 when it never ran.
    pub pid: u32,
    /// Its exit.
    pub exit: ExitStatus,
}

/// One of all processes of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessInfo {
    /// Process id on the host.
    pub pid: u32,
    /// Details from the shim: for an exec, containerd's `ProcessDetails` with the exec id.
    pub info: Option<Any>,
}

/// The counters of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// The task.
    pub container: ContainerId,
    /// When they were read.
    pub at: SystemTime,
    /// The counters: a message of containerd's cgroups, of either version, or of the shim's own kind.
    pub data: Option<Any>,
}

impl Metric {
    /// The counters, if they are of a cgroup. `None` for those of another vendor's shim.
    pub fn usage(&self) -> Option<Usage> {
        convert::usage(self.data.as_ref()?)
    }
}
