//! Parameters of new processes.

use gantry_types::{ContainerId, ExecId};
use prost_types::Any;

use crate::snapshots::Mount;

/// A task to be created from a container's record.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTask {
    /// The container.
    pub container: ContainerId,
    /// The mounts of the root; empty when the record's spec names a directory.
    pub rootfs: Vec<Mount>,
    /// The stdio of init.
    pub stdio: Stdio,
    /// Options for the runtime, beside those of the record.
    pub options: Option<Any>,
    /// The path of the runtime's program, in place of the record's runtime; empty for the record's.
    pub runtime_path: String,
}

impl CreateTask {
    /// A task without stdio, whose root is the record's.
    pub fn of(container: &ContainerId) -> Self {
        Self {
            container: container.clone(),
            rootfs: Vec::new(),
            stdio: Stdio::default(),
            options: None,
            runtime_path: String::new(),
        }
    }
}

/// An exec to be added to a task.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecProcess {
    /// The task.
    pub container: ContainerId,
    /// The id of the new process.
    pub exec: ExecId,
    /// The stdio of the process.
    pub stdio: Stdio,
    /// What the process runs: `Process` of the OCI runtime specification in JSON.
    pub spec: Option<Any>,
}

/// The stdio of a process: paths of FIFOs, or URIs that the shim knows; empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stdio {
    /// Standard input.
    pub stdin: String,
    /// Standard output.
    pub stdout: String,
    /// Standard error; a terminal has none.
    pub stderr: String,
    /// The process has a terminal.
    pub terminal: bool,
}
