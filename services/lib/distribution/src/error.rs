//! The errors of a registry's client.

use std::io;
use std::path::PathBuf;

use gantry_rpc::{Code, Coded};
use gantry_types::Digest;

use crate::{Failure, Reason};

/// An error of a registry's client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed for good.
    #[error("cannot {0}")]
    Failed(#[source] Box<Failure>),
    /// An address does not parse.
    #[error("parse {address:?}: {cause}")]
    Address { address: String, cause: String },
    /// A server does not answer, or breaks the connection.
    #[error("Get {address:?}: {cause}")]
    Get { address: String, cause: String },
    /// A server refuses the file, in Docker's words.
    #[error("failed to GET {address} with status {}: {words}", status_line(*.status))]
    Answered { address: String, status: reqwest::StatusCode, words: String },
    /// Bytes do not match their digest.
    #[error("{what} is corrupt: expected {expected}, got {found}")]
    WrongDigest { what: &'static str, expected: Digest, found: Digest },
    /// A blob is longer or shorter than announced.
    #[error("blob {digest} has the wrong size: expected {expected} bytes, got {found}")]
    WrongSize { digest: Digest, expected: u64, found: u64 },
    /// A manifest is too large.
    #[error("manifest {reference} of {repository} is larger than the {limit} bytes that are accepted")]
    ManifestTooLarge { repository: String, reference: String, limit: usize },
    /// A manifest is invalid.
    #[error("manifest {digest} cannot be used: {cause}")]
    Manifest { digest: Digest, cause: String },
    /// The base URL of a mirror has a scheme other than HTTP.
    #[error("setting mirror has the invalid value {0:?}")]
    Mirror(String),
    /// A certificate or key is invalid.
    #[error("certificate {0}")]
    Certificate(#[from] gantry_tls::Unusable),
    /// Certificates on disk cannot be read.
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

/// The status for the message: `404 Not Found`.
fn status_line(status: reqwest::StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default())
}

impl Coded for Error {
    fn is_callers(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.reason.is_callers(),
            // It is the caller who named the server.
            Self::Answered { .. } | Self::Get { .. } => true,
            _ => false,
        }
    }

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
    fn is_callers(&self) -> bool {
        matches!(self, Self::NoCredentials)
    }

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
