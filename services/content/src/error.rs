//! What can go wrong with blobs and ingests, and what a client may do about it.

use std::path::PathBuf;

use gantry_rpc::{Code, Coded};
use gantry_types::{Digest, Namespace};

/// A failure of the content service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace has no such blob; another namespace may have it.
    #[error("content {0}: not found")]
    NotFound(Digest),
    /// No ingest under this ref.
    #[error("ingest {reference:?}: not found")]
    IngestNotFound {
        /// The ref.
        reference: String,
    },
    /// The namespace has the blob already.
    #[error("content {0}: already exists")]
    AlreadyExists(Digest),
    /// Another writer has the ref.
    #[error("ref {reference:?} locked for {seconds} s by another writer")]
    IngestLocked {
        /// The ref.
        reference: String,
        /// For how long, seconds.
        seconds: u64,
    },
    /// The ingest was aborted while its writer was at it.
    #[error("ingest {reference:?} was aborted")]
    IngestAborted {
        /// The ref.
        reference: String,
    },
    /// The bytes that another namespace had were deleted before this one's commit.
    #[error("ingest {reference:?}: {digest} was deleted meanwhile: write it again")]
    Vanished {
        /// The ref.
        reference: String,
        /// The blob.
        digest: Digest,
    },
    /// A writer claims bytes that are not in the file.
    #[error("ingest {reference:?}: {offset} bytes were reported as written, the file has {length}")]
    WrongProgress {
        /// The ref.
        reference: String,
        /// The claim.
        offset: u64,
        /// The truth.
        length: u64,
    },
    /// A commit of another size than was said.
    #[error("ingest {reference:?}: committed with size {actual}, expected {expected}")]
    WrongSize {
        /// The ref.
        reference: String,
        /// What was said.
        expected: u64,
        /// What is there.
        actual: u64,
    },
    /// A commit of other bytes than were said.
    #[error("ingest {reference:?}: commit digest {actual}, expected {expected}")]
    WrongDigest {
        /// The ref.
        reference: String,
        /// What was said.
        expected: Digest,
        /// What is there.
        actual: Digest,
    },
    /// A read that begins behind the end.
    #[error("content {digest}: read at {offset} is past its {size} bytes")]
    PastEnd {
        /// The blob.
        digest: Digest,
        /// Where the read was to begin.
        offset: u64,
        /// Size of the blob.
        size: u64,
    },
    /// A digest, a label, a filter or a namespace that does not parse.
    #[error(transparent)]
    Argument(#[from] gantry_types::Error),
    /// Control refused to protect the object by the lease.
    #[error("lease {lease:?} in namespace {namespace}")]
    Lease {
        /// The lease.
        lease: String,
        /// Its namespace.
        namespace: Namespace,
        /// What control answered.
        #[source]
        source: gantry_api::Failure,
    },
    /// The database, or an atomic file operation.
    #[error(transparent)]
    Disk(#[from] gantry_disk::Error),
    /// A system call on a file.
    #[error("cannot {op} {}", path.display())]
    Io {
        /// The operation, as an infinitive.
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The store of another program refused a call, or did not answer.
    #[error(transparent)]
    Remote(#[from] gantry_api::Failure),
    /// The store of another program has lost a blob.
    #[error("content {digest}: store {store} does not have it any more")]
    Missing {
        /// The store.
        store: &'static str,
        /// The blob.
        digest: Digest,
    },
    /// The store of another program has other bytes than the digest names.
    #[error("content {digest}: store {store} has other bytes under this digest")]
    Damaged {
        /// The store.
        store: &'static str,
        /// The blob.
        digest: Digest,
    },
    /// The store of another program cannot keep blobs with such digests.
    #[error("content {digest}: store {store} cannot keep blobs with {} digests", digest.algorithm())]
    Algorithm {
        /// The store.
        store: &'static str,
        /// The blob.
        digest: Digest,
        /// What the store said.
        #[source]
        source: gantry_api::Failure,
    },
    /// A blob is at a store that the settings do not name any more.
    #[error(
        "content {digest}: store {store} keeps it, and the settings do not name that store in proxy_plugins"
    )]
    UnknownStore {
        /// The store.
        store: String,
        /// The blob.
        digest: Digest,
    },
    /// Settings that cannot be meant.
    #[error("settings of content: {0}")]
    Settings(String),
    /// The service is ending.
    #[error("the content service is shutting down")]
    ShuttingDown,
    /// What a test ordered.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// An [`Error::Io`] of a path.
    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { op, path, source }
    }

    /// Whether a file was not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Error::NotFound(_) | Error::IngestNotFound { .. } => Code::NotFound,
            Error::AlreadyExists(_) => Code::AlreadyExists,
            Error::IngestLocked { .. } | Error::Vanished { .. } | Error::ShuttingDown => Code::Unavailable,
            Error::IngestAborted { .. } => Code::Aborted,
            Error::WrongProgress { .. } | Error::PastEnd { .. } => Code::OutOfRange,
            Error::WrongSize { .. } | Error::WrongDigest { .. } => Code::FailedPrecondition,
            Error::Argument(_) => Code::InvalidArgument,
            Error::Lease { source, .. } => source.code(),
            Error::Remote(failure) => failure.code(),
            Error::Missing { .. } | Error::Damaged { .. } => Code::DataLoss,
            Error::Algorithm { .. } => Code::Unimplemented,
            Error::UnknownStore { .. } | Error::Settings(_) => Code::FailedPrecondition,
            Error::Disk(gantry_disk::Error::Corrupt { .. }) => Code::DataLoss,
            Error::Disk(error) if error.is_disk_full() => Code::ResourceExhausted,
            Error::Disk(_) | Error::Fault(_) => Code::Internal,
            Error::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Code::ResourceExhausted
                }
                _ => Code::Internal,
            },
        }
    }
}
