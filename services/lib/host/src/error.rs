//! Errors of the kernel.

use std::io;
use std::path::Path;

/// A result of a call to the kernel.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the kernel, or a request that is refused before the call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on a named object failed.
    #[error("{op} {object}")]
    Os {
        /// The operation, named as the system call.
        op: &'static str,
        /// The path, process or file system.
        object: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// The kernel refused the configuration of a file system, and wrote the reason to the file system context's log.
    #[error("mount {fs_type}: {reason}")]
    FileSystem {
        /// The type of file system, such as `overlay`.
        fs_type: String,
        /// The kernel's message.
        reason: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A text from outside has the wrong form.
    #[error("malformed {what} {text:?}")]
    Malformed {
        /// What the text should have been.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// A mount option that is not implemented.
    #[error("mount option {0:?} is not supported")]
    UnsupportedOption(String),
    /// Files cannot be mounted with the wanted ids.
    #[error("{object} cannot be shown with mapped ids: {reason}")]
    Unmapped {
        /// What should have been mounted.
        object: String,
        /// The reason.
        reason: String,
    },
    /// A path whose last component names no entry (`/`, `..`).
    #[error("path {0:?} does not name an entry")]
    Unnamed(String),
}

impl Error {
    /// An error of the kernel for `op` on `object`.
    pub fn os(op: &'static str, object: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os { op, object: object.into(), source: source.into() }
    }

    /// An error of the kernel for `op` on a path.
    pub fn path(op: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::os(op, path.as_ref().display().to_string(), source)
    }

    /// The kernel's error, if the kernel was called.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Os { source, .. } | Self::FileSystem { source, .. } => Some(source),
            Self::Malformed { .. }
            | Self::UnsupportedOption(_)
            | Self::Unmapped { .. }
            | Self::Unnamed(_) => None,
        }
    }

    /// The kernel's error alone, for callers that name the operation and the object themselves.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Os { source, .. } | Self::FileSystem { source, .. } => source,
            other => io::Error::new(io::ErrorKind::InvalidInput, other.to_string()),
        }
    }

    /// The kernel's error number, if the kernel was called.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.io().and_then(io::Error::raw_os_error)
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.io().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the argument is too long for the kernel.
    pub fn is_too_long(&self) -> bool {
        self.raw_os_error() == Some(libc::ENAMETOOLONG)
    }

    /// Whether the file system or a quota is full.
    pub fn is_out_of_space(&self) -> bool {
        matches!(self.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
    }
}
