//! What can go wrong between us and the kernel.

use std::io;
use std::path::PathBuf;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed conversation with the kernel about the network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The netlink socket itself failed.
    #[error("netlink socket: {op}")]
    Socket {
        /// The system call.
        op: &'static str,
        /// Its errno.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a request.
    #[error("{what}{}", detail.as_deref().map(|text| format!(": kernel says: {text}")).unwrap_or_default())]
    Refused {
        /// The request in words, with its object.
        what: String,
        /// The kernel's extended acknowledgement, when it gave one.
        detail: Option<String>,
        /// The errno.
        #[source]
        source: io::Error,
    },
    /// The kernel answered something that cannot be read.
    #[error("{what}: the kernel's answer cannot be understood")]
    Answer {
        /// The request in words.
        what: String,
    },
    /// A network namespace could not be made, pinned, opened or entered.
    #[error("network namespace {}: {op}", path.display())]
    Netns {
        /// The step.
        op: &'static str,
        /// The pin, or `(anonymous)`.
        path: PathBuf,
        /// Its errno.
        #[source]
        source: io::Error,
    },
    /// A kernel setting could not be read or written.
    #[error("sysctl {name}")]
    Sysctl {
        /// The setting, with slashes.
        name: String,
        /// Its errno.
        #[source]
        source: io::Error,
    },
    /// A name that the kernel cannot take.
    #[error("interface name {0:?} is not valid: 1 to 15 bytes without '/', ':' and spaces")]
    InterfaceName(String),
}

impl Error {
    /// The errno behind the error, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Socket { source, .. }
            | Error::Refused { source, .. }
            | Error::Netns { source, .. }
            | Error::Sysctl { source, .. } => source.raw_os_error(),
            Error::Answer { .. } | Error::InterfaceName(_) => None,
        }
    }

    /// Whether the object exists already.
    pub fn is_exists(&self) -> bool {
        self.errno() == Some(rustix::io::Errno::EXIST.raw_os_error())
    }

    /// Whether the object does not exist (`ENOENT`, `ENODEV`, `ESRCH`, `EADDRNOTAVAIL`).
    pub fn is_missing(&self) -> bool {
        use rustix::io::Errno;
        [Errno::NOENT, Errno::NODEV, Errno::SRCH, Errno::ADDRNOTAVAIL]
            .iter()
            .any(|errno| self.errno() == Some(errno.raw_os_error()))
    }
}

/// Turns "it is there already" into success.
pub fn or_exists(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_exists() => Ok(()),
        other => other,
    }
}

/// Turns "it is not there" into success.
pub fn or_missing(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_missing() => Ok(()),
        other => other,
    }
}
