//! The errors of this crate.

use std::io;
use std::path::PathBuf;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error about the kernel's network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The netlink socket itself failed.
    #[error("netlink socket: {op}")]
    Socket {
        /// The operation.
        op: &'static str,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a request.
    #[error("{what}{}", detail.as_deref().map(|text| format!(": kernel says: {text}")).unwrap_or_default())]
    Refused {
        /// The request with its object.
        what: String,
        /// The kernel's extended acknowledgement, if it sent one.
        detail: Option<String>,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// The kernel's reply does not parse.
    #[error("{what}: the kernel's answer cannot be understood")]
    Answer {
        /// The request.
        what: String,
    },
    /// A network namespace could not be made, pinned, opened or entered.
    #[error("network namespace {}: {op}", path.display())]
    Netns {
        /// The step.
        op: &'static str,
        /// The pin, or `(anonymous)`.
        path: PathBuf,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// A sysctl cannot be read or written.
    #[error("sysctl {name}")]
    Sysctl {
        /// The sysctl, with slashes.
        name: String,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// A name that is not valid for an interface.
    #[error("interface name {0:?} is not valid: 1 to 15 bytes without '/', ':' and spaces")]
    InterfaceName(String),
}

impl Error {
    /// The error number, if there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Socket { source, .. }
            | Error::Refused { source, .. }
            | Error::Netns { source, .. }
            | Error::Sysctl { source, .. } => source.raw_os_error(),
            Error::Answer { .. } | Error::InterfaceName(_) => None,
        }
    }

    /// Whether the object exists.
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

/// Turns "it exists" into success.
pub fn or_exists(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_exists() => Ok(()),
        other => other,
    }
}

/// Turns "it does not exist" into success.
pub fn or_missing(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_missing() => Ok(()),
        other => other,
    }
}
