//! What can go wrong with a plugin, in the words that Docker's clients know.

use std::path::PathBuf;
use std::time::Duration;

use gantry_rpc::{Code, Coded};

/// A result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A situation that stops a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder has a plugin of that name.
    #[error("plugin {0:?} not found")]
    NotFound(String),
    /// A plugin that is there, and cannot be taken into use.
    #[error("legacy plugin: {0}")]
    Unusable(#[source] Box<Error>),
    /// A plugin for something else.
    #[error(
        "Plugin does not implement the requested driver: plugin={name:?}, requested implementation={interface:?}"
    )]
    NotImplemented {
        /// The plugin's name.
        name: String,
        /// What it was to be.
        interface: &'static str,
    },
    /// A file that says nothing of where its plugin is.
    #[error("{}: {why}", path.display())]
    Specification {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An address without a protocol.
    #[error("Unknown protocol")]
    UnknownProtocol,
    /// Certificates that cannot be used.
    #[error("{0}")]
    Certificates(String),
    /// Nobody answers there.
    #[error("Post {url:?}: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// What the kernel says.
        why: String,
    },
    /// The connection ended before the answer had begun.
    #[error("Post {url:?}: {why}")]
    Interrupted {
        /// Where.
        url: String,
        /// What was wrong.
        why: String,
    },
    /// No answer in time.
    #[error("Post {url:?}: context deadline exceeded (no answer within {} s)", patience.as_secs())]
    Late {
        /// Where.
        url: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The plugin says no, with a status.
    #[error("{method}: {message}")]
    Status {
        /// What it was asked for.
        method: String,
        /// HTTP's.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The plugin says no.
    #[error("{0}")]
    Refused(String),
    /// An answer that is none.
    #[error("{method}: answer of plugin {name:?} is not what it should be: {why}")]
    Answer {
        /// The plugin's name.
        name: String,
        /// What it was asked for.
        method: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// Whether the same may succeed later without anybody's doing: the plugin is away.
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
