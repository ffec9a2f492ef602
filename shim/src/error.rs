//! The errors of the shim.

use std::io;
use std::path::PathBuf;

use gantry_proto::gantry::shim::v1 as pb;

use crate::runtime::failure::{Cause, StartFailure};

/// A result of the shim.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the shim.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("container {0} not found")]
    NoContainer(String),
    #[error("exec {exec} of container {container} not found")]
    NoExec { container: String, exec: String },
    #[error("container {0} already exists")]
    ContainerExists(String),
    #[error("exec {exec} of container {container} already exists")]
    ExecExists { container: String, exec: String },
    #[error("sandbox {0} not found")]
    NoSandbox(String),
    #[error("sandbox {0} already exists")]
    SandboxExists(String),
    #[error("the sandbox is in use: {0}")]
    Busy(&'static str),
    #[error("process already finished")]
    AlreadyFinished,
    #[error("cannot {verb} a {state} process")]
    WrongState { verb: &'static str, state: &'static str },
    #[error("container {0} is not running")]
    NotRunning(String),
    #[error("{0} is not supported by this shim")]
    Unsupported(&'static str),
    #[error("{0}")]
    InvalidArgument(String),
    /// The runtime's report, which contains the phrases that clients look for.
    #[error("{0}")]
    Runtime(StartFailure),
    #[error("stdio {uri}: {reason}")]
    Stdio { uri: String, reason: String },
    #[error("mount {what}: {reason}")]
    Mount { what: String, reason: String },
    #[error("{op} {}: {source}", path.display())]
    Io { op: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// An I/O error with its operation and path.
    pub fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }

    /// As [`Error::io`], for rustix.
    pub fn errno(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.into();
        move |errno| Self::Io { op, path, source: errno.into() }
    }

    /// The cause, for a process that could not be made or started.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Runtime(failure) => failure.cause,
            _ => Cause::Other,
        }
    }

    /// The detail of the status beside its message.
    fn detail(&self) -> Option<pb::StartFailure> {
        match self {
            Self::Runtime(failure) => Some(failure.detail()),
            // A file of the shim itself is neither the program nor a path that the program needs.
            Self::Io { source, .. } => Some(pb::StartFailure {
                errno: source.raw_os_error().unwrap_or_default(),
                ..pb::StartFailure::default()
            }),
            _ => None,
        }
    }

    /// The gRPC code of the status.
    pub fn code(&self) -> tonic::Code {
        match self {
            Self::NoContainer(_) | Self::NoExec { .. } | Self::NoSandbox(_) | Self::AlreadyFinished => {
                tonic::Code::NotFound
            }
            Self::ContainerExists(_) | Self::ExecExists { .. } | Self::SandboxExists(_) => {
                tonic::Code::AlreadyExists
            }
            Self::NotRunning(_) | Self::Busy(_) => tonic::Code::FailedPrecondition,
            Self::Unsupported(_) => tonic::Code::Unimplemented,
            Self::InvalidArgument(_) => tonic::Code::InvalidArgument,
            Self::WrongState { .. }
            | Self::Runtime(_)
            | Self::Stdio { .. }
            | Self::Mount { .. }
            | Self::Io { .. }
            | Self::Fault(_) => tonic::Code::Unknown,
        }
    }
}

impl From<gantry_cgroup::Error> for Error {
    fn from(error: gantry_cgroup::Error) -> Self {
        match error {
            gantry_cgroup::Error::Io { op, path, source } => Self::Io { op, path, source },
            gantry_cgroup::Error::NoFreezer => Self::Unsupported("pausing without the freezer cgroup"),
            other => Self::Runtime(crate::runtime::libcontainer::chain(&other).into()),
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        let (code, message) = (error.code(), error.to_string());
        match error.detail() {
            Some(detail) => {
                let details = gantry_proto::details(code.into(), &message, &detail);
                tonic::Status::with_details(code, message, details.into())
            }
            None => tonic::Status::new(code, message),
        }
    }
}
