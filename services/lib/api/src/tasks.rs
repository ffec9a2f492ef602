//! The promise of tasks: the processes of containers.
//!
//! ```text
//!            create             start               (exit)               delete
//!   (none) ─────────▶ created ─────────▶ running ───────────▶ stopped ────────────▶ (none)
//!                        │  ▲               │ ▲ pause, resume    ▲
//!                        │  └ failed start  └▶ paused            │
//!                        └───────────────────────────────────────┘  killed before its start
//!            exec
//!   (none) ─────────▶ created … as above, in a task that has not ended; delete_process deletes it
//! ```
//!
//! - A task is a container's init process with the processes that were added to it (execs). It is created from the
//!   container's record, which says what runs; without a record it is `NOT_FOUND`. A container has at most one task,
//!   and a task at most one exec of an id (`ALREADY_EXISTS`). A deleted task or exec may be created again.
//! - A call that the state of a process does not allow (a second start, the deletion of a running process, the pause
//!   of a paused task) fails with `UNKNOWN`, as in containerd ([`Code::Internal`](gantry_rpc::Code) for callers), and
//!   changes nothing. Adding an exec to a task that has ended is `FAILED_PRECONDITION`.
//! - The error of a process that cannot be made or started has a detail with the reason: [`StartFailure`]. A failed
//!   creation leaves nothing behind. An exec whose start failed has ended, with a status that is not that of a success,
//!   and stays until it is deleted. It depends on the runtime whether the creation or the start of init fails.
//! - Every wait for a process returns the same exit, whether it began before or after the exit: the exit status,
//!   which is 128 plus the signal's number for a killed process. All processes of a task end with init. A signal to a
//!   process that has ended is `NOT_FOUND`.
//! - Deleting a task frees everything that it has, and returns its exit. It ends a task that was not started.
//! - Every call is about one namespace. A missing task or process is `NOT_FOUND`, and so is an invalid id.
//! - Checkpoints are not implemented.
//!
//! The record of a container is a promise of its own: see [`records`].

pub mod client;
mod convert;
mod create;
mod failure;
mod process;
pub mod records;
pub mod server;
mod usage;

use std::collections::HashMap;

use gantry_types::filter::FilterSet;
use gantry_types::{ContainerId, ExecId, Namespace, ProcessId, Signal};
use prost_types::Any;

pub use client::Client;
pub use create::{CreateTask, ExecProcess, Stdio};
pub use failure::{Cause, Stage, StartFailure};
pub use process::{Deleted, ExitStatus, Metric, Process, ProcessInfo, Status};
pub use usage::{Blkio, Usage};

use crate::Promise;

/// Finds processes.
pub trait Inspect: Promise {
    /// A process. Waits for a task that is being created.
    fn get(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
    ) -> impl Future<Output = Result<Process, Self::Error>> + Send;

    /// The init processes of all tasks, by id. One whose shim does not answer is [`Status::Unknown`].
    fn list(&self, namespace: &Namespace) -> impl Future<Output = Result<Vec<Process>, Self::Error>> + Send;

    /// All processes of a task, whoever started them.
    fn list_pids(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
    ) -> impl Future<Output = Result<Vec<ProcessInfo>, Self::Error>> + Send;

    /// The present counters of the tasks that match the filters (field: `id`). Tasks that have ended are left out.
    fn metrics(
        &self,
        namespace: &Namespace,
        filters: &FilterSet,
    ) -> impl Future<Output = Result<Vec<Metric>, Self::Error>> + Send;
}

/// Waits for processes.
pub trait Wait: Promise {
    /// Waits for a process to end, without a limit. `NOT_FOUND` also when the process is removed without having run.
    fn wait(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
    ) -> impl Future<Output = Result<ExitStatus, Self::Error>> + Send;
}

/// Creates, starts and deletes tasks.
pub trait Manage: Promise {
    /// Creates a container's init process up to its start. Returns the pid.
    fn create(
        &self,
        namespace: &Namespace,
        task: CreateTask,
    ) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// Starts a process. Returns the pid.
    fn start(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
    ) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// Sends a signal to a process, or to all processes of a task.
    fn kill(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
        signal: Signal,
        whom: Whom,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Deletes a task that has ended or was not started.
    fn delete(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
    ) -> impl Future<Output = Result<Deleted, Self::Error>> + Send;
}

/// Adds processes to tasks.
pub trait Exec: Promise {
    /// Adds an exec to a task. [`Manage::start`] starts it.
    fn exec(
        &self,
        namespace: &Namespace,
        process: ExecProcess,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Deletes an exec that has ended or was not started.
    fn delete_process(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        exec: &ExecId,
    ) -> impl Future<Output = Result<Deleted, Self::Error>> + Send;
}

/// The terminal and the input of a process.
pub trait Io: Promise {
    /// Sets a terminal's size, in characters. Idempotent.
    fn resize_pty(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
        width: u32,
        height: u32,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Closes a process's stdin. Idempotent.
    fn close_io(
        &self,
        namespace: &Namespace,
        process: &ProcessId,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Freezes and limits tasks.
pub trait Control: Promise {
    /// Freezes all processes of a task.
    fn pause(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Thaws all processes of a task.
    fn resume(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Changes a task's limits: `LinuxResources` of the OCI runtime specification in JSON, and annotations for the
    /// runtime.
    fn update(
        &self,
        namespace: &Namespace,
        container: &ContainerId,
        resources: Option<Any>,
        annotations: HashMap<String, String>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The whole promise.
pub trait Service: Inspect + Wait + Manage + Exec + Io + Control {}

impl<S: Inspect + Wait + Manage + Exec + Io + Control> Service for S {}

/// The target of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The named process.
    Process,
    /// All processes of the task, if the named process is init.
    All,
}
