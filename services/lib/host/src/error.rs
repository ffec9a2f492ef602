//! What can go wrong between Gantry and the kernel.

use std::io;
use std::path::Path;

/// The result of everything that asks the kernel.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal of the kernel, or something that would not have been put to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on a named object failed.
    #[error("{op} {object}")]
    Os {
        /// What was tried, in the words of the system call.
        op: &'static str,
        /// The path, process or file system it was tried on.
        object: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a file system's configuration and said why in its own log.
    #[error("mount {fs_type}: {reason}")]
    FileSystem {
        /// The type of file system, such as `overlay`.
        fs_type: String,
        /// The kernel's own words.
        reason: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A text from outside does not have the form it must have.
    #[error("malformed {what} {text:?}")]
    Malformed {
        /// What the text should have been.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// A mount option that is not carried out.
    #[error("mount option {0:?} is not supported")]
    UnsupportedOption(String),
    /// Files that are not shown with the ids that were asked for.
    #[error("{object} cannot be shown with mapped ids: {reason}")]
    Unmapped {
        /// What was to be mounted.
        object: String,
        /// Why not.
        reason: String,
    },
    /// A path whose last part does not name anything (`/`, `..`).
    #[error("path {0:?} does not name an entry")]
    Unnamed(String),
}

impl Error {
    /// Wraps the kernel's answer to `op` on `object`.
    pub fn os(op: &'static str, object: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os { op, object: object.into(), source: source.into() }
    }

    /// Wraps the kernel's answer to `op` on a path.
    pub fn path(op: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::os(op, path.as_ref().display().to_string(), source)
    }

    /// The kernel's error, if the kernel was asked at all.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Os { source, .. } | Self::FileSystem { source, .. } => Some(source),
            Self::Malformed { .. }
            | Self::UnsupportedOption(_)
            | Self::Unmapped { .. }
            | Self::Unnamed(_) => None,
        }
    }

    /// The kernel's error alone, for those who name the operation and the object themselves.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Os { source, .. } | Self::FileSystem { source, .. } => source,
            other => io::Error::new(io::ErrorKind::InvalidInput, other.to_string()),
        }
    }

    /// The kernel's error number, if the kernel was asked at all.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.io().and_then(io::Error::raw_os_error)
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.io().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the kernel has no room for what it was told.
    pub fn is_too_long(&self) -> bool {
        self.raw_os_error() == Some(libc::ENAMETOOLONG)
    }

    /// Whether the file system or a quota is full.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
    }
}
