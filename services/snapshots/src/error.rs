//! What can go wrong with snapshots and layers.

use std::io;

use gantry_archive::tar;
use gantry_rpc::{Code, Coded};
use gantry_types::{DiffId, Digest};
use tonic::Status;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A situation that a request cannot go on from.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No driver of this name.
    #[error("snapshotter not loaded: {0}")]
    UnknownSnapshotter(String),
    /// An argument breaks a rule of its kind.
    #[error(transparent)]
    Argument(#[from] gantry_types::Error),
    /// A message says nothing that could be done.
    #[error(transparent)]
    Message(#[from] gantry_api::wire::Invalid),
    /// An argument is missing or makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// No such snapshot.
    #[error("snapshot {0} does not exist")]
    NotFound(String),
    /// The parent is missing.
    #[error("parent snapshot {0} does not exist")]
    ParentNotFound(String),
    /// The parent is not committed.
    #[error("parent snapshot {0} is not committed")]
    ParentNotCommitted(String),
    /// The key or name is taken.
    #[error("snapshot {0} already exists")]
    AlreadyExists(String),
    /// Only an active snapshot can be committed.
    #[error("snapshot {0} is not active")]
    NotActive(String),
    /// A committed snapshot has no mounts.
    #[error("snapshot {0} is committed: it has no mounts, prepare or view it")]
    NoMounts(String),
    /// Others are on top of it.
    #[error("snapshot {0} has children and cannot be removed")]
    HasChildren(String),
    /// The database or a file of it.
    #[error("snapshot records")]
    Disk(#[from] gantry_disk::Error),
    /// The kernel refused.
    #[error("snapshot files")]
    Host(#[from] gantry_host::Error),
    /// Bytes of a file could not be written.
    #[error("write a file of the layer")]
    Write(#[source] io::Error),
    /// A file could not be read, or a directory made.
    #[error("{op} {path}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// The path.
        path: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The archive is no archive, or one that two programs could read differently.
    #[error("layer")]
    Tar(#[source] tar::Error),
    /// An entry that tries to be where it may not be.
    #[error("layer entry {entry:?} is refused: {reason}")]
    Hostile {
        /// Its name.
        entry: String,
        /// The reason.
        reason: &'static str,
    },
    /// An error while an entry was made.
    #[error("layer entry {entry:?}")]
    Entry {
        /// Its name.
        entry: String,
        /// What went wrong.
        #[source]
        source: Box<Error>,
    },
    /// An entry that only makes sense on top of the layers below; caught and answered by extracting again.
    #[error("layer entry {0:?} refers to a layer below")]
    NeedsLower(String),
    /// The uncompressed bytes are not what the image says.
    #[error("layer {layer}: its uncompressed digest is {actual}, the image says {expected}")]
    WrongDiffId {
        /// The blob.
        layer: Digest,
        /// What the image's config says.
        expected: DiffId,
        /// What the bytes are.
        actual: Digest,
    },
    /// The blob that arrived is another one.
    #[error("layer {expected}: the blob that arrived is {actual}")]
    WrongBlob {
        /// The blob that was asked for.
        expected: Digest,
        /// What content committed.
        actual: String,
    },
    /// A layer with context.
    #[error("layer {layer}")]
    Layer {
        /// The blob.
        layer: Digest,
        /// What went wrong.
        #[source]
        source: Box<Error>,
    },
    /// A layer cannot be committed because one below it failed.
    #[error("layer {0}: a layer below it failed")]
    Below(Digest),
    /// A peer's answer.
    #[error("{peer}")]
    Peer {
        /// The name of the other service.
        peer: &'static str,
        /// What it said.
        #[source]
        status: Status,
    },
    /// What a remote snapshotter or differ did not do.
    #[error(transparent)]
    Remote(gantry_api::Failure),
    /// Nobody waits any more.
    #[error("given up")]
    Cancelled,
    /// What is not built.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// What a test ordered.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl From<tar::Error> for Error {
    fn from(error: tar::Error) -> Self {
        match error {
            // Not the archive's fault.
            tar::Error::Write(source) => Self::Write(source),
            error => Self::Tar(error),
        }
    }
}

impl Error {
    /// A layer's entry that is refused.
    pub fn hostile(entry: &[u8], reason: &'static str) -> Self {
        Self::Hostile { entry: String::from_utf8_lossy(entry).into_owned(), reason }
    }

    /// A layer's entry that refers to a layer below.
    pub fn needs_lower(entry: &[u8]) -> Self {
        Self::NeedsLower(String::from_utf8_lossy(entry).into_owned())
    }

    /// Says which entry an error happened at, where that is not said yet.
    #[must_use]
    pub fn at(self, entry: &[u8]) -> Self {
        match self {
            Self::Host(_) | Self::Write(_) => {
                Self::Entry { entry: String::from_utf8_lossy(entry).into_owned(), source: Box::new(self) }
            }
            other => other,
        }
    }

    /// Whether it was the disk that had no room.
    pub fn is_out_of_space(&self) -> bool {
        match self {
            Self::Host(error) => error.is_out_of_space(),
            Self::Disk(error) => error.is_disk_full(),
            Self::Write(source) | Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Entry { source, .. } | Self::Layer { source, .. } => source.is_out_of_space(),
            _ => false,
        }
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        if self.is_out_of_space() {
            return Code::ResourceExhausted;
        }
        match self {
            Self::UnknownSnapshotter(_)
            | Self::Argument(_)
            | Self::Message(_)
            | Self::Invalid(_)
            | Self::ParentNotCommitted(_)
            | Self::Hostile { .. }
            | Self::NeedsLower(_) => Code::InvalidArgument,
            // The disk's or the kernel's fault, not the archive's.
            Self::Tar(tar::Error::Read(source)) if source.raw_os_error().is_some() => Code::Internal,
            Self::Tar(_) => Code::InvalidArgument,
            Self::NotFound(_) | Self::ParentNotFound(_) => Code::NotFound,
            Self::AlreadyExists(_) => Code::AlreadyExists,
            Self::NotActive(_)
            | Self::NoMounts(_)
            | Self::HasChildren(_)
            | Self::WrongDiffId { .. }
            | Self::WrongBlob { .. } => Code::FailedPrecondition,
            Self::Disk(gantry_disk::Error::Corrupt { .. }) => Code::DataLoss,
            Self::Disk(_) | Self::Host(_) | Self::Write(_) | Self::Io { .. } | Self::Fault(_) => {
                Code::Internal
            }
            Self::Entry { source, .. } | Self::Layer { source, .. } => match source.as_ref() {
                // A name longer than any file system takes, or through what is no directory, or is not there, is the
                // archive's fault.
                Self::Host(error)
                    if matches!(error.raw_os_error(), Some(ENOENT | ENAMETOOLONG | ENOTDIR | ELOOP)) =>
                {
                    Code::InvalidArgument
                }
                source => source.code(),
            },
            Self::Below(_) => Code::Aborted,
            Self::Peer { status, .. } => gantry_rpc::code_of(status),
            Self::Remote(failure) => failure.code(),
            Self::Cancelled => Code::Cancelled,
            Self::Unsupported(_) => Code::Unimplemented,
        }
    }
}

const ENOENT: i32 = 2;
const ENOTDIR: i32 = 20;
const ENAMETOOLONG: i32 = 36;
const ELOOP: i32 = 40;
