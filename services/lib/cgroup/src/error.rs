//! What can go wrong with a cgroup.

use std::io;
use std::path::PathBuf;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cgroup that is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on a directory or file of a cgroup failed.
    #[error("{op} {}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which path.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A cgroup cannot be worked on.
    #[error("cgroup {}: {op}", directory.display())]
    Directory {
        /// Its directory.
        directory: PathBuf,
        /// What was tried.
        op: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file did not take a value.
    #[error("cgroup: write {value:?} to {file}")]
    Write {
        /// The file's name.
        file: String,
        /// The value.
        value: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A limit that no cgroup of this generation can have.
    #[error("cgroup: {0}")]
    Limit(String),
    /// A rule that names no device, or no use of one.
    #[error("device rule: {0}")]
    Device(String),
    /// The calling process is not moved from one cgroup to another.
    #[error("{what}")]
    Move {
        /// Which step.
        what: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// There is no way to stop processes on this machine.
    #[error("pausing without the freezer cgroup")]
    NoFreezer,
    /// Processes neither stand still nor go on.
    #[error("cgroup {} does not become {state}", file.display())]
    Stuck {
        /// The file that says so.
        file: PathBuf,
        /// What was asked for.
        state: &'static str,
    },
    /// systemd does not make a scope, or does not limit it.
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
