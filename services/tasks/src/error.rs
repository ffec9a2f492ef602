//! The errors of the tasks service.

use std::path::PathBuf;

use gantry_api::tasks::records::InvalidRecord;
use gantry_rpc::{Code, Coded, code_of};

/// An error of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An identifier, a filter or a label does not parse.
    #[error(transparent)]
    Argument(#[from] gantry_types::Error),
    /// A container record is invalid.
    #[error(transparent)]
    InvalidContainer(#[from] InvalidRecord),
    /// No such container record.
    #[error("container {0:?} not found")]
    ContainerNotFound(String),
    /// A container record of this id exists.
    #[error("container {0:?} already exists")]
    ContainerExists(String),
    /// A sandbox record is invalid.
    #[error("invalid sandbox {id:?}: {reason}")]
    InvalidSandbox {
        /// The sandbox.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No such sandbox.
    #[error("sandbox {0:?} not found")]
    SandboxNotFound(String),
    /// A sandbox of this id exists.
    #[error("sandbox {0:?} already exists")]
    SandboxExists(String),
    /// A container names a sandbox that does not run.
    #[error("sandbox {0:?} does not run: it has no shim")]
    SandboxAway(String),
    /// No such task.
    #[error("task {0:?} not found")]
    TaskNotFound(String),
    /// A task of this id exists.
    #[error("task {0:?} already exists")]
    TaskExists(String),
    /// No such process in the task.
    #[error("process {exec:?} of task {task:?} not found")]
    ProcessNotFound {
        /// The task.
        task: String,
        /// The exec id.
        exec: String,
    },
    /// A process of this exec id exists.
    #[error("process {exec:?} of task {task:?} already exists")]
    ProcessExists {
        /// The task.
        task: String,
        /// The exec id.
        exec: String,
    },
    /// A runtime name does not name a shim.
    #[error("invalid runtime {0:?}: expected a name like io.containerd.gantry.v2 or an absolute path")]
    RuntimeName(String),
    /// The shim of a runtime is not installed.
    #[error("runtime {runtime:?} is not installed: no {binary} beside the daemon or in PATH")]
    RuntimeMissing {
        /// The runtime asked for.
        runtime: String,
        /// The binary looked for.
        binary: String,
    },
    /// A runtime's binary does not describe itself.
    #[error("runtime {runtime:?} does not describe itself: {reason}")]
    RuntimeInfo {
        /// The runtime asked.
        runtime: String,
        /// What the binary printed.
        reason: String,
    },
    /// The shim's start helper failed.
    #[error("shim of task {id:?} did not start: {reason}")]
    ShimStart {
        /// The task.
        id: String,
        /// What the start helper printed.
        reason: String,
    },
    /// The shim answered with an error.
    #[error("{}", status.message())]
    Shim {
        /// The shim's status.
        status: Box<tonic::Status>,
    },
    /// The shim does not answer.
    #[error("shim of task {id:?} does not answer: {reason}")]
    ShimAway {
        /// The task.
        id: String,
        /// Why.
        reason: String,
    },
    /// The AppArmor profile that a spec names is not loaded.
    #[error("apparmor profile {0:?} is not loaded: apparmor_parser(8) loads it")]
    ProfileMissing(String),
    /// The default AppArmor profile cannot be loaded.
    #[error("confine by AppArmor")]
    AppArmor(#[source] gantry_host::Error),
    /// A shim runs, but what this service needs to reach it is lost.
    #[error("the shim of task {id:?} runs, and its container with it, but {lost} is lost: left alone")]
    ShimLost {
        /// The task.
        id: String,
        /// What is lost.
        lost: &'static str,
    },
    /// An operation that is not implemented.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Another service returned an error or does not answer.
    #[error("{peer}: {}", status.message())]
    Peer {
        /// The other service.
        peer: &'static str,
        /// Its status.
        status: Box<tonic::Status>,
    },
    /// A file operation failed.
    #[error("{op} {}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database failed.
    #[error("container records")]
    Database(#[from] gantry_disk::Error),
    /// The service is ending.
    #[error("the tasks service is shutting down")]
    ShuttingDown,
    /// A failpoint's error.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// Adds an operation and a path to an I/O error.
    pub fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { op, path, source }
    }
}

impl Coded for Error {
    fn details(&self) -> Vec<u8> {
        self.passed_on().map(|status| status.details().to_vec()).unwrap_or_default()
    }

    /// The shim's own status, which this service returns to the client unchanged.
    fn passed_on(&self) -> Option<&tonic::Status> {
        match self {
            Error::Shim { status } => Some(status),
            _ => None,
        }
    }

    fn code(&self) -> Code {
        match self {
            Error::Argument(_)
            | Error::InvalidContainer(_)
            | Error::InvalidSandbox { .. }
            | Error::RuntimeName(_) => Code::InvalidArgument,
            Error::ContainerNotFound(_)
            | Error::TaskNotFound(_)
            | Error::SandboxNotFound(_)
            | Error::SandboxAway(_)
            | Error::ProcessNotFound { .. }
            | Error::RuntimeMissing { .. } => Code::NotFound,
            Error::ContainerExists(_)
            | Error::TaskExists(_)
            | Error::SandboxExists(_)
            | Error::ProcessExists { .. } => Code::AlreadyExists,
            Error::Shim { status } | Error::Peer { status, .. } => code_of(status),
            Error::ShimAway { .. } | Error::ShimLost { .. } | Error::ShuttingDown => Code::Unavailable,
            Error::Unsupported(_) => Code::Unimplemented,
            Error::RuntimeInfo { .. }
            | Error::ProfileMissing(_)
            | Error::AppArmor(_)
            | Error::ShimStart { .. }
            | Error::Io { .. }
            | Error::Fault(_) => Code::Internal,
            Error::Database(error) if error.is_disk_full() => Code::ResourceExhausted,
            Error::Database(gantry_disk::Error::Corrupt { .. }) => Code::DataLoss,
            Error::Database(_) => Code::Internal,
        }
    }
}
