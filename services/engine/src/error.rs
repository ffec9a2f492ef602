//! The errors of the engine, in the words that Docker's clients know.

use std::path::PathBuf;

use gantry_api::engine::containers::lacking_image;
use gantry_rpc::{Code, Coded};

use crate::container::life::Illegal;
use crate::record::stored::Unreadable;

/// A result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container has this id, name or prefix.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// Several ids begin with the prefix.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousPrefix(String),
    /// The name is not valid for a container.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// Another container has the name.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name without its slash.
        name: String,
        /// The id of the container that has the name.
        id: String,
    },
    /// An operation on a container failed. The reason becomes part of the sentence and determines the code.
    #[error("{what}: {why}")]
    Cannot {
        /// The beginning of the sentence in Docker's words, with the container's name.
        what: String,
        /// The reason.
        why: Box<Error>,
    },
    /// The image does not exist.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// The image does not exist for this platform, or its name is not valid.
    #[error("{0}")]
    NoSuchPlatform(String),
    /// No exec has this id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// The exec's process has ended.
    #[error("NotFound: process does not exist {0}: not found")]
    ExecGone(String),
    /// The exec was not started in time.
    #[error("timeout waiting for exec session ready")]
    ExecNotStarted,
    /// A subscriber to events was too slow.
    #[error("the listener is too slow: {lost} events were lost")]
    Lagging {
        /// Number of events.
        lost: u64,
    },
    /// A killed process has not ended.
    #[error("tried to kill container, but did not receive an exit event")]
    NotKilled,
    /// No volume has this name.
    #[error("get {0}: no such volume")]
    NoSuchVolume(String),
    /// No network has this name.
    #[error("network {0} not found")]
    NoSuchNetwork(String),
    /// A network of the container does not exist when it starts.
    #[error("failed to set up container networking: {0}")]
    NoNetworkYet(String),
    /// No endpoint has this name.
    #[error("endpoint {0} not found")]
    NoSuchEndpoint(String),
    /// The container has no such file.
    #[error("Could not find the file {path} in container {container}")]
    NoSuchFile {
        /// The container, as the user named it.
        container: String,
        /// The path, as the user named it.
        path: String,
    },
    /// A value cannot be parsed.
    #[error(transparent)]
    Argument(#[from] gantry_types::Error),
    /// The request is not valid.
    #[error("{0}")]
    Invalid(String),
    /// The request conflicts with the state of its object.
    #[error("{0}")]
    Conflict(String),
    /// The request fails with a status that Docker uses for its own failures.
    #[error("{0}")]
    Refused(String),
    /// A container is linked to a container that does not run.
    #[error("Cannot link to a non running container: /{child} AS /{parent}/{alias}")]
    ChildNotRunning {
        /// The name of the container that does not run.
        child: String,
        /// The name of the container that starts.
        parent: String,
        /// The alias of the link.
        alias: String,
    },
    /// The operation needs a running container.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// The container is not frozen, so it cannot be thawed.
    #[error("Container {0} is not paused")]
    NotPaused(String),
    /// Containers have the volume.
    #[error("remove {name}: volume is in use - [{users}]")]
    VolumeInUse {
        /// The volume.
        name: String,
        /// The containers' ids.
        users: String,
    },
    /// The volume exists with another driver.
    #[error("create {name}: driver '{driver}' already has volume '{name}': volume name must be unique")]
    VolumeDriver {
        /// The volume.
        name: String,
        /// The driver of the existing volume.
        driver: String,
    },
    /// The volume exists with other options.
    #[error("create {0}: conflict: volume name must be unique: the volume exists with other options")]
    VolumeOptions(String),
    /// A plugin has refused, or could not be reached.
    #[error("{doing}: {source}")]
    Plugin {
        /// The operation in Docker's words, with the object's name.
        doing: String,
        /// The plugin's error.
        #[source]
        source: Box<gantry_plugin::Error>,
    },
    /// No OCI specification can be made.
    #[error(transparent)]
    Spec(#[from] gantry_spec::Error),
    /// The restart policy is not valid.
    #[error(transparent)]
    RestartPolicy(#[from] crate::restart::PolicyError),
    /// A container's process could not be started.
    #[error("failed to create task for container: {message}")]
    StartFailed {
        /// The runtime's message.
        message: String,
        /// 126, 127 or 128.
        exit_code: i32,
    },
    /// The container asks for something that its image does not have.
    #[error("{0}")]
    Unstartable(String),
    /// An exec could not be started.
    #[error("OCI runtime exec failed: exec failed: {message}")]
    ExecFailed {
        /// The runtime's message.
        message: String,
        /// 126, 127 or 128.
        exit_code: i32,
    },
    /// Gantry does not have this feature.
    #[error("{0}")]
    NotBuilt(String),
    /// The operation is never allowed.
    #[error("{0}")]
    Forbidden(String),
    /// A line of a log is no log entry.
    #[error("broken log line")]
    BrokenLine,
    /// A tar cannot be unpacked.
    #[error("archive: {0}")]
    Archive(String),
    /// A path in a container or volume has the wrong kind of file.
    #[error("{0}")]
    Path(String),
    /// A defect in the engine.
    #[error("{0}")]
    Broken(String),
    /// Another service has refused, or could not be reached.
    #[error("{doing}: {}", status.message())]
    Peer {
        /// What the engine was about to do, with the object's name.
        doing: String,
        /// The other service's answer.
        status: Box<tonic::Status>,
    },
    /// A file operation has failed.
    #[error("{op} {path}")]
    Io {
        /// The operation.
        op: &'static str,
        /// Its path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A system call has failed.
    #[error("file system")]
    Kernel {
        /// The cause.
        #[source]
        source: gantry_host::Error,
    },
    /// The record of a container cannot be read.
    #[error("container {id}")]
    Record {
        /// The container's id.
        id: String,
        /// The cause.
        #[source]
        source: Unreadable,
    },
    /// A transition that the container's phase does not allow: a defect in the engine.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The database has failed.
    #[error("engine database: {doing}")]
    Database {
        /// The operation.
        doing: &'static str,
        /// The cause.
        #[source]
        source: gantry_disk::Error,
    },
    /// The error that a test ordered at a failpoint.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// An error from another service's answer; `doing` says what the engine was about to do.
    pub fn peer(doing: impl Into<String>, status: tonic::Status) -> Error {
        Error::Peer { doing: doing.into(), status: Box::new(status) }
    }

    /// An error about `what` whose sentence ends with the reason.
    pub fn cannot(what: impl Into<String>, why: Error) -> Error {
        Error::Cannot { what: what.into(), why: Box::new(why) }
    }

    /// An error of a file operation.
    pub fn io(op: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::Io { op, path: path.into(), source }
    }

    /// Whether the cause is a full disk.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Error::Database { source, .. } => source.is_disk_full(),
            Error::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            Error::Kernel { source } => source.is_out_of_space(),
            Error::Cannot { why, .. } => why.is_disk_full(),
            _ => false,
        }
    }

    /// Whether another service could not be reached; it will return.
    pub fn is_passing(&self) -> bool {
        use tonic::Code::{Cancelled, DeadlineExceeded, Unavailable};
        matches!(self.peer_code(), Some(Unavailable | DeadlineExceeded | Cancelled))
    }

    /// Whether a plugin has refused, so that nothing was done.
    pub fn is_refusal(&self) -> bool {
        use gantry_plugin::Error::{Refused, Status};
        matches!(self, Error::Plugin { source, .. } if matches!(**source, Refused(_) | Status { .. }))
    }

    /// Whether the plugin that was to be called does not exist.
    pub fn is_absent_plugin(&self) -> bool {
        matches!(self, Error::Plugin { source, .. } if matches!(**source, gantry_plugin::Error::NotFound(_)))
    }

    /// The code of another service's answer; `None` for other errors.
    pub fn peer_code(&self) -> Option<tonic::Code> {
        match self {
            Error::Peer { status, .. } => Some(status.code()),
            Error::Cannot { why, .. } => why.peer_code(),
            _ => None,
        }
    }
}

impl Coded for Error {
    fn is_callers(&self) -> bool {
        match self {
            Error::NotPaused(_)
            | Error::Unstartable(_)
            | Error::ExecNotStarted
            | Error::Path(_)
            | Error::Refused(_)
            | Error::ChildNotRunning { .. }
            | Error::StartFailed { .. }
            | Error::ExecFailed { .. } => true,
            Error::Cannot { why, .. } => why.is_callers(),
            Error::Plugin { source, .. } => source.is_callers(),
            // What it lacks is not what the caller has named: something does not fit.
            Error::Peer { status, .. } => status.code() != tonic::Code::NotFound,
            _ => false,
        }
    }

    fn details(&self) -> Vec<u8> {
        match self {
            Error::NoSuchImage(reference) => lacking_image(reference, self.code(), &self.to_string()),
            Error::Cannot { why, .. } => why.details(),
            _ => Vec::new(),
        }
    }

    fn code(&self) -> Code {
        if self.is_disk_full() {
            return Code::ResourceExhausted;
        }
        match self {
            Error::NoSuchContainer(_)
            | Error::NoSuchImage(_)
            | Error::NoSuchPlatform(_)
            | Error::NoSuchExec(_)
            | Error::ExecGone(_)
            | Error::NoSuchVolume(_)
            | Error::NoSuchNetwork(_)
            | Error::NoNetworkYet(_)
            | Error::NoSuchEndpoint(_)
            | Error::NoSuchFile { .. } => Code::NotFound,
            Error::AmbiguousPrefix(_)
            | Error::InvalidName(_)
            | Error::Argument(_)
            | Error::Invalid(_)
            | Error::Spec(_)
            | Error::RestartPolicy(_)
            | Error::Archive(_) => Code::InvalidArgument,
            Error::NameInUse { .. } | Error::VolumeDriver { .. } | Error::VolumeOptions(_) => {
                Code::AlreadyExists
            }
            Error::Conflict(_) | Error::NotRunning(_) | Error::VolumeInUse { .. } => Code::Aborted,
            Error::StartFailed { exit_code, .. } | Error::ExecFailed { exit_code, .. } => match exit_code {
                126 | 127 => Code::InvalidArgument,
                _ => Code::Internal,
            },
            Error::Cannot { why, .. } => why.code(),
            Error::Lagging { .. } => Code::ResourceExhausted,
            Error::NotBuilt(_) => Code::Unimplemented,
            Error::Forbidden(_) => Code::PermissionDenied,
            Error::Peer { status, .. } => peer_code(status.code()),
            Error::Plugin { source, .. } => source.code(),
            Error::NotPaused(_)
            | Error::Unstartable(_)
            | Error::ExecNotStarted
            | Error::NotKilled
            | Error::Path(_)
            | Error::Refused(_)
            | Error::ChildNotRunning { .. }
            | Error::Broken(_)
            | Error::BrokenLine
            | Error::Record { .. }
            | Error::Illegal(_)
            | Error::Kernel { .. }
            | Error::Io { .. }
            | Error::Database { .. }
            | Error::Fault(_) => Code::Internal,
        }
    }
}

/// Converts another service's code. If another service lacks something, or a precondition of its own fails, the
/// engine's client gets an internal failure, because it did not ask for that object. If the client named the object,
/// the error is a variant of its own.
fn peer_code(code: tonic::Code) -> Code {
    match code {
        tonic::Code::InvalidArgument => Code::InvalidArgument,
        tonic::Code::Aborted => Code::Aborted,
        tonic::Code::PermissionDenied => Code::PermissionDenied,
        tonic::Code::Unimplemented => Code::Unimplemented,
        tonic::Code::Unavailable => Code::Unavailable,
        tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
        tonic::Code::ResourceExhausted => Code::ResourceExhausted,
        _ => Code::Internal,
    }
}
