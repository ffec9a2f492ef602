//! The errors of cgroups.

use std::io;
use std::path::PathBuf;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error about a cgroup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on a directory or file of a cgroup failed.
    #[error("{op} {}", path.display())]
    Io {
        /// The operation.
        op: &'static str,
        /// The path.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// An operation on a cgroup failed.
    #[error("cgroup {}: {op}", directory.display())]
    Directory {
        /// The cgroup's directory.
        directory: PathBuf,
        /// The operation.
        op: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A file refused a value.
    #[error("cgroup: write {value:?} to {file}")]
    Write {
        /// The file's name.
        file: String,
        /// The value.
        value: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A limit that this version of cgroups does not have.
    #[error("cgroup: {0}")]
    Limit(String),
    /// A rule without a device or an access.
    #[error("device rule: {0}")]
    Device(String),
    /// The calling process could not move to another cgroup.
    #[error("{what}")]
    Move {
        /// The step.
        what: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// This host has no freezer.
    #[error("pausing without the freezer cgroup")]
    NoFreezer,
    /// The processes do not freeze, or do not thaw.
    #[error("cgroup {} does not become {state}", file.display())]
    Stuck {
        /// The file with the state.
        file: PathBuf,
        /// The wanted state.
        state: &'static str,
    },
    /// systemd refused to make a scope or to limit it.
    #[error(transparent)]
    Systemd(#[from] gantry_systemd::Error),
}

impl Error {
    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }

    pub(crate) fn written(file: &str, value: &str, source: io::Error) -> Self {
        Self::Write { file: file.to_owned(), value: value.to_owned(), source }
    }
}
