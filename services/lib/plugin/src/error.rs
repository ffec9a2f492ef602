//! The errors of plugins, with Docker's messages.

use std::path::PathBuf;
use std::time::Duration;

use gantry_rpc::{Code, Coded};

/// A result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a call to a plugin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No directory has a plugin of the name.
    #[error("plugin {0:?} not found")]
    NotFound(String),
    /// A plugin of the name cannot be used.
    #[error("legacy plugin: {0}")]
    Unusable(#[source] Box<Error>),
    /// The plugin does not implement the interface.
    #[error(
        "Plugin does not implement the requested driver: plugin={name:?}, requested implementation={interface:?}"
    )]
    NotImplemented {
        /// The plugin's name.
        name: String,
        /// The interface.
        interface: &'static str,
    },
    /// A file does not name the address of its plugin.
    #[error("{}: {why}", path.display())]
    Specification {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// An address has no protocol.
    #[error("Unknown protocol")]
    UnknownProtocol,
    /// The certificates cannot be used.
    #[error("{0}")]
    Certificates(String),
    /// The plugin does not answer at its address.
    #[error("Post {url:?}: {why}")]
    Unreachable {
        /// The address.
        url: String,
        /// The kernel's error.
        why: String,
    },
    /// The connection ended before the response did.
    #[error("Post {url:?}: {why}")]
    Interrupted {
        /// The address.
        url: String,
        /// The reason.
        why: String,
    },
    /// The plugin did not answer in time.
    #[error("Post {url:?}: context deadline exceeded (no answer within {} s)", patience.as_secs())]
    Late {
        /// The address.
        url: String,
        /// The deadline.
        patience: Duration,
    },
    /// The plugin returned an error status.
    #[error("{method}: {message}")]
    Status {
        /// The method.
        method: String,
        /// The HTTP status.
        status: u16,
        /// The plugin's message.
        message: String,
    },
    /// The plugin refused the call.
    #[error("{0}")]
    Refused(String),
    /// The response violates the protocol.
    #[error("{method}: answer of plugin {name:?} is not what it should be: {why}")]
    Answer {
        /// The plugin's name.
        name: String,
        /// The method.
        method: String,
        /// The reason.
        why: String,
    },
}

impl Error {
    /// Whether the same call may succeed later: the plugin is down.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Interrupted { .. } => true,
            Error::Unusable(why) => why.is_passing(),
            _ => false,
        }
    }

    /// Whether the plugin does not know the method.
    pub fn is_unknown_method(&self) -> bool {
        matches!(self, Error::Status { status: 404, .. })
    }
}

impl Coded for Error {
    fn is_callers(&self) -> bool {
        match self {
            Error::Unusable(why) => why.is_callers(),
            Error::Refused(_) | Error::Status { .. } | Error::NotImplemented { .. } => true,
            _ => false,
        }
    }

    fn code(&self) -> Code {
        match self {
            Error::NotFound(_) => Code::NotFound,
            Error::Unusable(why) => why.code(),
            Error::Unreachable { .. } | Error::Interrupted { .. } => Code::Internal,
            Error::Late { .. } => Code::DeadlineExceeded,
            Error::NotImplemented { .. }
            | Error::Specification { .. }
            | Error::UnknownProtocol
            | Error::Certificates(_)
            | Error::Status { .. }
            | Error::Refused(_)
            | Error::Answer { .. } => Code::Internal,
        }
    }
}
