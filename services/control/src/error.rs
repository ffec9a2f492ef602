//! What can go wrong in the control service, as situations with their operands.

use gantry_rpc::{Code, Coded};

/// A failure of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name, a label, a filter or a mask does not parse.
    #[error(transparent)]
    Argument(#[from] gantry_types::Error),
    /// A field of a request is missing or makes no sense.
    #[error("{0}")]
    Request(String),
    /// There is no such namespace.
    #[error("namespace {0:?} not found")]
    NamespaceNotFound(String),
    /// There is such a namespace already.
    #[error("namespace {0:?} already exists")]
    NamespaceExists(String),
    /// A namespace that is to be removed has something in it.
    #[error("namespace {name:?} must be empty, but it still has {remains}")]
    NamespaceNotEmpty {
        /// The namespace.
        name: String,
        /// What is in it.
        remains: String,
    },
    /// There is no such lease.
    #[error("lease {0:?} does not exist: not found")]
    LeaseNotFound(String),
    /// There is such a lease already.
    #[error("lease {0:?} already exists")]
    LeaseExists(String),
    /// A lease cannot keep this.
    #[error(transparent)]
    Resource(#[from] gantry_api::leases::BadResource),
    /// What was to be held is gone.
    #[error("{} not found", list(.0))]
    Gone(Vec<gantry_api::gc::Resource>),
    /// There is no such plugin.
    #[error("plugin {kind}.{id} not found")]
    PluginNotFound {
        /// Its type.
        kind: String,
        /// Its id.
        id: String,
    },
    /// A subscriber did not keep up with what is published.
    #[error("this subscriber reads too slowly and has lost events: subscribe again")]
    Overrun,
    /// Another service refused or is away.
    #[error(transparent)]
    Peer(#[from] gantry_api::Failure),
    /// The database failed.
    #[error("records of namespaces and leases")]
    Database(#[from] gantry_disk::Error),
    /// What a test ordered.
    #[error(transparent)]
    Fault(#[from] gantry_failpoint::Fault),
}

fn list(resources: &[gantry_api::gc::Resource]) -> String {
    resources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Error::Argument(_) | Error::Request(_) => Code::InvalidArgument,
            Error::NamespaceNotFound(_)
            | Error::LeaseNotFound(_)
            | Error::Gone(_)
            | Error::PluginNotFound { .. } => Code::NotFound,
            Error::NamespaceExists(_) | Error::LeaseExists(_) => Code::AlreadyExists,
            Error::NamespaceNotEmpty { .. } => Code::FailedPrecondition,
            Error::Overrun => Code::ResourceExhausted,
            Error::Resource(error) => error.code(),
            Error::Peer(failure) => failure.code(),
            Error::Database(error) if error.is_disk_full() => Code::ResourceExhausted,
            Error::Database(gantry_disk::Error::Corrupt { .. }) => Code::DataLoss,
            Error::Database(_) | Error::Fault(_) => Code::Internal,
        }
    }
}
