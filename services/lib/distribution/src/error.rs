//! Everything that can go wrong with a registry, as situations.

use std::io;
use std::path::PathBuf;

use gantry_rpc::{Code, Coded};
use gantry_types::Digest;

use crate::{Failure, Reason};

/// The errors of a registry's client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request that failed for good.
    #[error("cannot {0}")]
    Failed(#[source] Box<Failure>),
    /// What is no address.
    #[error("parse {address:?}: {cause}")]
    Address { address: String, cause: String },
    /// Nobody answers there, or breaks off.
    #[error("Get {address:?}: {cause}")]
    Get { address: String, cause: String },
    /// What is there is no file for us, in Docker's words.
    #[error("failed to GET {address} with status {}: {words}", status_line(*.status))]
    Answered { address: String, status: reqwest::StatusCode, words: String },
    /// Bytes that are not what their name says.
    #[error("{what} is corrupt: expected {expected}, got {found}")]
    WrongDigest { what: &'static str, expected: Digest, found: Digest },
    /// More or fewer bytes than announced.
    #[error("blob {digest} has the wrong size: expected {expected} bytes, got {found}")]
    WrongSize { digest: Digest, expected: u64, found: u64 },
    /// A manifest beyond all measure.
    #[error("manifest {reference} of {repository} is larger than the {limit} bytes that are accepted")]
    ManifestTooLarge { repository: String, reference: String, limit: usize },
    /// A manifest that cannot be used.
    #[error("manifest {digest} cannot be used: {cause}")]
    Manifest { digest: Digest, cause: String },
    /// A mirror's base address of a scheme that is not HTTP's.
    #[error("setting mirror has the invalid value {0:?}")]
    Mirror(String),
    /// A certificate or key that cannot be used.
    #[error("certificate {0}")]
    Certificate(#[from] gantry_tls::Unusable),
    /// Certificates on disk that cannot be read.
    #[error("cannot read certificates {}", path.display())]
    Certificates {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The HTTP client cannot be made.
    #[error("no HTTP client for {host}")]
    HttpClient {
        host: String,
        #[source]
        source: reqwest::Error,
    },
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// The end of a status line: `404 Not Found`.
fn status_line(status: reqwest::StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default())
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Failed(failure) => failure.reason.code(),
            Self::Address { .. } | Self::Mirror(_) => Code::InvalidArgument,
            Self::WrongDigest { .. }
            | Self::WrongSize { .. }
            | Self::ManifestTooLarge { .. }
            | Self::Manifest { .. } => Code::FailedPrecondition,
            Self::Answered { status, .. } => match status.as_u16() {
                400 => Code::InvalidArgument,
                401 => Code::Unauthenticated,
                403 => Code::PermissionDenied,
                404 => Code::NotFound,
                _ => Code::Internal,
            },
            Self::Get { .. } | Self::Certificate(_) | Self::Certificates { .. } | Self::HttpClient { .. } => {
                Code::Internal
            }
        }
    }
}

impl Coded for Reason {
    fn code(&self) -> Code {
        match self {
            Self::Connect(_)
            | Self::Untrusted(_)
            | Self::Broken(_)
            | Self::Silent(_)
            | Self::Overloaded { .. } => Code::Unavailable,
            Self::NotFound(_) => Code::NotFound,
            Self::Unauthorized(_) => Code::Unauthenticated,
            Self::Denied(_) => Code::PermissionDenied,
            Self::Refused { .. } | Self::Protocol(_) | Self::ClearText(_) => Code::FailedPrecondition,
            Self::Address(_) => Code::InvalidArgument,
            Self::NoCredentials | Self::Local(_) => Code::Internal,
        }
    }
}
