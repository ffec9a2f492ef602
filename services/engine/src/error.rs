//! What can go wrong in the engine, in the words that Docker's clients know.

use std::path::PathBuf;

use gantry_proto::gantry::engine::v1::NoSuchImage;
use gantry_rpc::{Code, Coded};

use crate::container::life::Illegal;
use crate::record::stored::Unreadable;

/// A result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A situation that stops a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No container of that id, name or prefix.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// A prefix of several ids.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousPrefix(String),
    /// A name that no container can have.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// A name that another container has.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name without its slash.
        name: String,
        /// Who has it.
        id: String,
    },
    /// Something that cannot be done to a container; the reason is part of the sentence, and its code the code.
    #[error("{what}: {why}")]
    Cannot {
        /// In the words of Docker, which name the container.
        what: String,
        /// What stands against it.
        why: Box<Error>,
    },
    /// The image is not here.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// The image is here, but not for that platform; or what is wrong with its name.
    #[error("{0}")]
    NoSuchPlatform(String),
    /// No exec of that id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// An exec whose process has ended.
    #[error("NotFound: process does not exist {0}: not found")]
    ExecGone(String),
    /// An exec that nobody starts.
    #[error("timeout waiting for exec session ready")]
    ExecNotStarted,
    /// A killed process that does not end.
    #[error("tried to kill container, but did not receive an exit event")]
    NotKilled,
    /// No volume of that name.
    #[error("get {0}: no such volume")]
    NoSuchVolume(String),
    /// No network of that name.
    #[error("network {0} not found")]
    NoSuchNetwork(String),
    /// A container that starts before a network that it is to be on exists.
    #[error("failed to set up container networking: {0}")]
    NoNetworkYet(String),
    /// No endpoint of that name.
    #[error("endpoint {0} not found")]
    NoSuchEndpoint(String),
    /// A file that is not in a container.
    #[error("Could not find the file {path} in container {container}")]
    NoSuchFile {
        /// As the user named it.
        container: String,
        /// As the user named it.
        path: String,
    },
    /// A request that says something impossible.
    #[error("{0}")]
    Invalid(String),
    /// A request that does not go together with the state of its object.
    #[error("{0}")]
    Conflict(String),
    /// A request that Docker answers as a failure of its own.
    #[error("{0}")]
    Refused(String),
    /// A container that is linked to another one, which must run before it.
    #[error("Cannot link to a non running container: /{child} AS /{parent}/{alias}")]
    ChildNotRunning {
        /// The other one's name.
        child: String,
        /// The container's name.
        parent: String,
        /// What it calls the other one.
        alias: String,
    },
    /// The container has to run for that.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// Only a frozen container can be thawed.
    #[error("Container {0} is not paused")]
    NotPaused(String),
    /// A volume that containers have.
    #[error("remove {name}: volume is in use - [{users}]")]
    VolumeInUse {
        /// The volume.
        name: String,
        /// Ids of containers.
        users: String,
    },
    /// The same volume with another driver.
    #[error("create {name}: driver '{driver}' already has volume '{name}': volume name must be unique")]
    VolumeDriver {
        /// The volume.
        name: String,
        /// What it was made with.
        driver: String,
    },
    /// The same volume with other options.
    #[error("create {0}: conflict: volume name must be unique: the volume exists with other options")]
    VolumeOptions(String),
    /// A plugin refused, or could not be asked.
    #[error("{doing}: {source}")]
    Plugin {
        /// In the words of Docker, which name the object.
        doing: String,
        /// Why not.
        #[source]
        source: Box<gantry_plugin::Error>,
    },
    /// What makes no specification.
    #[error(transparent)]
    Spec(#[from] gantry_spec::Error),
    /// A restart policy that is none.
    #[error(transparent)]
    RestartPolicy(#[from] crate::restart::PolicyError),
    /// A container whose process could not be started.
    #[error("failed to create task for container: {message}")]
    StartFailed {
        /// What the runtime said.
        message: String,
        /// 126, 127 or 128.
        exit_code: i32,
    },
    /// A container that asks for what its image does not have.
    #[error("{0}")]
    Unstartable(String),
    /// A further process that could not be started.
    #[error("OCI runtime exec failed: exec failed: {message}")]
    ExecFailed {
        /// What the runtime said.
        message: String,
        /// 126, 127 or 128.
        exit_code: i32,
    },
    /// Something that is not built.
    #[error("{0}")]
    NotBuilt(String),
    /// Nobody may do that.
    #[error("{0}")]
    Forbidden(String),
    /// A line of a log that is no entry.
    #[error("broken log line")]
    BrokenLine,
    /// A tar that cannot be taken.
    #[error("archive: {0}")]
    Archive(String),
    /// Something at a path of a container or volume that is not what it must be.
    #[error("{0}")]
    Path(String),
    /// A defect of the engine itself.
    #[error("{0}")]
    Broken(String),
    /// Another service refused or could not be reached.
    #[error("{doing}: {}", status.message())]
    Peer {
        /// What the engine was about to do, naming the object.
        doing: String,
        /// What the other service answered.
        status: Box<tonic::Status>,
    },
    /// The disk refused.
    #[error("{op} {path}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The kernel refused.
    #[error("file system")]
    Kernel {
        /// Why.
        #[source]
        source: gantry_host::Error,
    },
    /// What is written down of a container cannot be read.
    #[error("container {id}")]
    Record {
        /// The container's.
        id: String,
        /// Why not.
        #[source]
        source: Unreadable,
    },
    /// A container was about to do what it cannot: a defect of the engine itself.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The database refused.
    #[error("engine database: {doing}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: gantry_disk::Error,
    },
    /// What a test ordered.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// An answer of another service, as an error about `doing`.
    pub fn peer(doing: impl Into<String>, status: tonic::Status) -> Error {
        Error::Peer { doing: doing.into(), status: Box::new(status) }
    }

    /// An error about `what`, in one sentence with its reason.
    pub fn cannot(what: impl Into<String>, why: Error) -> Error {
        Error::Cannot { what: what.into(), why: Box::new(why) }
    }

    /// A refusal of the disk.
    pub fn io(op: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::Io { op, path: path.into(), source }
    }

    /// Whether space is what was missing.
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

    /// Whether another service is away: it comes back.
    pub fn is_passing(&self) -> bool {
        use tonic::Code::{Cancelled, DeadlineExceeded, Unavailable};
        matches!(self.peer_code(), Some(Unavailable | DeadlineExceeded | Cancelled))
    }

    /// Whether a plugin has said no, so that nothing has become of what it was asked for.
    pub fn is_refusal(&self) -> bool {
        use gantry_plugin::Error::{Refused, Status};
        matches!(self, Error::Plugin { source, .. } if matches!(**source, Refused(_) | Status { .. }))
    }

    /// Whether there is no trace of a plugin that was to be asked.
    pub fn is_absent_plugin(&self) -> bool {
        matches!(self, Error::Plugin { source, .. } if matches!(**source, gantry_plugin::Error::NotFound(_)))
    }

    /// What the other service's code was, if it was another service.
    pub fn peer_code(&self) -> Option<tonic::Code> {
        match self {
            Error::Peer { status, .. } => Some(status.code()),
            Error::Cannot { why, .. } => why.peer_code(),
            _ => None,
        }
    }
}

impl Coded for Error {
    fn details(&self) -> Vec<u8> {
        match self {
            Error::NoSuchImage(reference) => {
                let code = tonic::Code::from(self.code());
                let detail = NoSuchImage { reference: reference.clone() };
                gantry_proto::details(code.into(), &self.to_string(), &detail)
            }
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

/// Another service's code as ours. What another service lacks, or takes for a precondition of its own, is a failure for the
/// engine's client, who did not ask for it; where it was the client who named it, there is a variant of its own.
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
