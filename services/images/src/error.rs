//! Everything that can go wrong here, as situations.

use std::io;
use std::path::PathBuf;

use gantry_api::Failure;
use gantry_rpc::{Code, Coded};
use gantry_types::{Digest, Platform};

use gantry_distribution::{self as distribution, Reason};

/// The errors of the images service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A malformed reference, digest, label, filter or platform.
    #[error(transparent)]
    Invalid(#[from] gantry_types::Error),
    /// A request that lacks something, or contradicts itself.
    #[error("{0}")]
    Request(String),
    /// No record has that name.
    #[error("image {0:?}: not found")]
    NoRecord(String),
    /// A record has that name already.
    #[error("image {0:?}: already exists")]
    RecordExists(String),
    /// The record points at something else than the caller thinks.
    #[error("image {name:?} has another target than {expected}")]
    OtherTarget { name: String, expected: String },
    /// No image goes by that name or id.
    #[error("No such image: {0}")]
    NoImage(String),
    /// A push of a repository of which nothing is here.
    #[error("An image does not exist locally with the tag: {0}")]
    NoLocalTag(String),
    /// An id's beginning that several images share.
    #[error("image id {0} is ambiguous: more digits are needed")]
    AmbiguousId(String),
    /// The image is for another platform (`found`: those that it is for), in Docker's words.
    #[error(
        "image with reference {reference} was found but its platform ({found}) does not match the specified platform ({wanted})"
    )]
    OtherPlatform { reference: String, found: String, wanted: Platform },
    /// The index has nothing for the platform.
    #[error("no matching manifest for {wanted} in the manifest list entries of {reference}")]
    NoPlatform { reference: String, wanted: Platform },
    /// An image that may not be removed, in Docker's words.
    #[error("conflict: unable to {0}")]
    InUse(String),
    /// The registry has no such tag or digest.
    #[error("manifest for {reference} not found")]
    NoManifest {
        reference: String,
        #[source]
        failure: Box<distribution::Failure>,
    },
    /// The registry does not let us.
    #[error(
        "{action} access denied for {repository}, repository does not exist or may require 'docker login'"
    )]
    AccessDenied {
        action: &'static str,
        repository: String,
        #[source]
        failure: Box<distribution::Failure>,
    },
    /// Any other failure at a registry.
    #[error("cannot {0}")]
    Registry(#[source] Box<distribution::Failure>),
    /// What went wrong before a registry was asked, or with what it answered.
    #[error(transparent)]
    Distribution(distribution::Error),
    /// Bytes that are not what their name says.
    #[error("{what} is corrupt: expected {expected}, got {found}")]
    WrongDigest { what: String, expected: Digest, found: Digest },
    /// More or fewer bytes than announced.
    #[error("blob {digest} has the wrong size: expected {expected} bytes, got {found}")]
    WrongSize { digest: Digest, expected: u64, found: u64 },
    /// A layer that proved wrong when it was complete.
    #[error("layer {digest} is not what its digest says: {cause}")]
    WrongLayer { digest: Digest, cause: String },
    /// A manifest, index or config that cannot be used.
    #[error("{what} {digest} cannot be used: {cause}")]
    Document { what: &'static str, digest: Digest, cause: String },
    /// An archive that cannot be loaded.
    #[error("the archive cannot be loaded: {0}")]
    Archive(String),
    /// The archive or its reader went away.
    #[error("the archive's stream broke while it was {op}")]
    Stream {
        op: &'static str,
        #[source]
        source: io::Error,
    },
    /// A blob that an image needs is not in the store.
    #[error("blob {digest} of {image} is not here: pull the image again")]
    Missing { digest: Digest, image: String },
    /// An instruction of an import or a commit that is not understood, in Docker's words.
    #[error("{0}")]
    Change(String),
    /// A filter that does not exist.
    #[error("invalid filter '{0}'")]
    Filter(String),
    /// A filter's value that is not understood.
    #[error("invalid value {value:?} of filter '{key}'")]
    FilterValue { key: String, value: String },
    /// A setting that is not understood.
    #[error("setting {what} has the invalid value {value:?}")]
    Setting { what: &'static str, value: String },
    /// The local disk.
    #[error("cannot {op} {}", path.display())]
    Io {
        op: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The disk has no room for it.
    #[error("no space left for a {what}")]
    Full {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// The records' database.
    #[error("the image records cannot be {op}")]
    Disk {
        op: &'static str,
        #[source]
        source: gantry_disk::Error,
    },
    /// Another service refused or is away.
    #[error(transparent)]
    Peer(#[from] Failure),
    /// What containerd can and this service cannot.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// What is set elsewhere here than in containerd.
    #[error("{what} is not read: {how}")]
    Elsewhere { what: String, how: &'static str },
    /// A stream has that id already.
    #[error("stream {0:?} already exists")]
    StreamExists(String),
    /// No stream has that id.
    #[error("stream {0:?} not found")]
    NoStream(String),
    /// Streams that nobody takes.
    #[error("more than {0} streams wait to be used")]
    TooManyStreams(usize),
    /// An image of which something that was asked for is not here.
    #[error("image {image:?} is not complete here for the platforms that are asked for")]
    Incomplete { image: String },
    /// What a name stands for at a registry is not known.
    #[error("failed to resolve image {reference}")]
    Unresolved {
        reference: String,
        #[source]
        source: Box<Error>,
    },
    /// The caller is gone.
    #[error("cancelled")]
    Cancelled,
    /// What a test ordered.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

impl Error {
    /// Says of a registry's failure what it means for the image `reference` of `repository`.
    pub fn of_image(self, action: &'static str, repository: &str, reference: &str) -> Self {
        let Self::Registry(failure) = self else { return self };
        match failure.reason {
            Reason::NotFound(_) => Self::NoManifest { reference: reference.to_owned(), failure },
            Reason::Unauthorized(_) | Reason::Denied(_) => {
                Self::AccessDenied { action, repository: repository.to_owned(), failure }
            }
            _ => Self::Registry(failure),
        }
    }
}

impl From<distribution::Error> for Error {
    fn from(error: distribution::Error) -> Self {
        match error {
            distribution::Error::Failed(failure) => Self::Registry(failure),
            other => Self::Distribution(other),
        }
    }
}

impl Coded for Error {
    fn is_callers(&self) -> bool {
        match self {
            Self::Unresolved { source, .. } => source.is_callers(),
            Self::Registry(failure) => failure.reason.is_callers(),
            Self::Distribution(error) => error.is_callers(),
            // Who answered so has logged it.
            Self::Peer(_) => true,
            _ => false,
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Invalid(_)
            | Self::Request(_)
            | Self::AmbiguousId(_)
            | Self::Archive(_)
            | Self::Change(_)
            | Self::Filter(_)
            | Self::FilterValue { .. }
            | Self::Setting { .. } => Code::InvalidArgument,
            Self::Unresolved { source, .. } => source.code(),
            Self::Unsupported(_) | Self::Elsewhere { .. } => Code::Unimplemented,
            Self::TooManyStreams(_) => Code::ResourceExhausted,
            Self::NoStream(_)
            | Self::Incomplete { .. }
            | Self::NoRecord(_)
            | Self::NoImage(_)
            | Self::NoLocalTag(_)
            | Self::OtherTarget { .. }
            | Self::OtherPlatform { .. }
            | Self::NoPlatform { .. }
            | Self::NoManifest { .. }
            | Self::Missing { .. } => Code::NotFound,
            Self::RecordExists(_) | Self::StreamExists(_) => Code::AlreadyExists,
            Self::InUse(_)
            | Self::WrongDigest { .. }
            | Self::WrongSize { .. }
            | Self::WrongLayer { .. }
            | Self::Document { .. } => Code::FailedPrecondition,
            // Whether it is there is not told to who may not see it. A client that hears of credentials asks its user for them.
            Self::AccessDenied { .. } => Code::NotFound,
            Self::Registry(failure) => failure.reason.code(),
            Self::Distribution(error) => error.code(),
            Self::Peer(failure) => failure.code(),
            Self::Cancelled => Code::Cancelled,
            Self::Stream { .. } => Code::Aborted,
            Self::Full { .. } => Code::ResourceExhausted,
            Self::Io { source, .. } if is_full(source) => Code::ResourceExhausted,
            Self::Disk { source, .. } if source.is_disk_full() => Code::ResourceExhausted,
            Self::Io { .. } | Self::Disk { .. } | Self::Fault(_) => Code::Internal,
        }
    }
}

/// What a service has found; what is not there is none.
pub fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.code() == Code::NotFound => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Whether space is what was missing.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
