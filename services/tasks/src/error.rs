//! What can go wrong in the tasks service, as situations with their operands.

use std::path::PathBuf;

use gantry_rpc::{Code, Coded};

/// A failure of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An identifier, a filter or a label does not parse.
    #[error(transparent)]
    Argument(#[from] gantry_types::Error),
    /// A container record cannot be accepted.
    #[error("invalid container {id:?}: {reason}")]
    InvalidContainer {
        /// The container.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such container record.
    #[error("container {0:?} not found")]
    ContainerNotFound(String),
    /// There is such a container record already.
    #[error("container {0:?} already exists")]
    ContainerExists(String),
    /// A sandbox record cannot be accepted.
    #[error("invalid sandbox {id:?}: {reason}")]
    InvalidSandbox {
        /// The sandbox.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such sandbox.
    #[error("sandbox {0:?} not found")]
    SandboxNotFound(String),
    /// There is such a sandbox already.
    #[error("sandbox {0:?} already exists")]
    SandboxExists(String),
    /// A container is to run in a sandbox that does not.
    #[error("sandbox {0:?} does not run: it has no shim")]
    SandboxAway(String),
    /// There is no such task.
    #[error("task {0:?} not found")]
    TaskNotFound(String),
    /// There is such a task already.
    #[error("task {0:?} already exists")]
    TaskExists(String),
    /// There is no such process in the task.
    #[error("process {exec:?} of task {task:?} not found")]
    ProcessNotFound {
        /// The task.
        task: String,
        /// The exec id.
        exec: String,
    },
    /// The exec id is taken.
    #[error("process {exec:?} of task {task:?} already exists")]
    ProcessExists {
        /// The task.
        task: String,
        /// The exec id.
        exec: String,
    },
    /// A runtime name that names no shim.
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
    /// A runtime does not say what it is.
    #[error("runtime {runtime:?} does not describe itself: {reason}")]
    RuntimeInfo {
        /// The runtime asked.
        runtime: String,
        /// What its binary said.
        reason: String,
    },
    /// The shim's start helper failed.
    #[error("shim of task {id:?} did not start: {reason}")]
    ShimStart {
        /// The task.
        id: String,
        /// What the helper said.
        reason: String,
    },
    /// The shim answered with an error.
    #[error("{}", status.message())]
    Shim {
        /// Its answer.
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
    /// The AppArmor profile of a spec is not there.
    #[error("apparmor profile {0:?} is not loaded: apparmor_parser(8) loads it")]
    ProfileMissing(String),
    /// The default AppArmor profile cannot be had.
    #[error("confine by AppArmor")]
    AppArmor(#[source] gantry_host::Error),
    /// A shim runs, but what is needed to speak to it is lost.
    #[error("the shim of task {id:?} runs, and its container with it, but {lost} is lost: left alone")]
    ShimLost {
        /// The task.
        id: String,
        /// What is lost.
        lost: &'static str,
    },
    /// Not built.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Another service refused or is away.
    #[error("{peer}: {}", status.message())]
    Peer {
        /// The other service.
        peer: &'static str,
        /// Its answer.
        status: Box<tonic::Status>,
    },
    /// A file operation failed.
    #[error("{op} {}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database failed.
    #[error("container records")]
    Database(#[from] gantry_disk::Error),
    /// What a test ordered.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// Wraps an I/O error with its operands.
    pub fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { op, path, source }
    }

    /// The gRPC status for clients; a shim's own answer goes through as it is.
    pub fn into_status(self) -> tonic::Status {
        match self {
            Error::Shim { status } => {
                let details = status.details().to_vec().into();
                tonic::Status::with_details(status.code(), status.message(), details)
            }
            Error::Peer { peer, status } => {
                tonic::Status::new(status.code(), format!("{peer}: {}", status.message()))
            }
            other => gantry_rpc::status(other),
        }
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Error::Argument(_)
            | Error::InvalidContainer { .. }
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
            Error::ShimAway { .. } | Error::ShimLost { .. } => Code::Unavailable,
            Error::Unsupported(_) => Code::Unimplemented,
            Error::RuntimeInfo { .. }
            | Error::ProfileMissing(_)
            | Error::AppArmor(_)
            | Error::ShimStart { .. }
            | Error::Shim { .. }
            | Error::Peer { .. }
            | Error::Io { .. }
            | Error::Fault(_) => Code::Internal,
            Error::Database(error) if error.is_disk_full() => Code::ResourceExhausted,
            Error::Database(gantry_disk::Error::Corrupt { .. }) => Code::DataLoss,
            Error::Database(_) => Code::Internal,
        }
    }
}
