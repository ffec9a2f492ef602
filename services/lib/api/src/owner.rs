//! The owner of new resources.

use gantry_rpc::context;
use gantry_types::Namespace;
use tonic::{Request, Status};

/// The owner of new resources: the namespace, and perhaps a lease that keeps them.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The containerd namespace.
    pub namespace: Namespace,
    /// The lease's id.
    pub lease: Option<String>,
}

impl Owner {
    /// A namespace without a lease.
    pub fn of(namespace: &Namespace) -> Self {
        Self { namespace: namespace.clone(), lease: None }
    }

    /// The owner that a request's metadata names.
    pub(crate) fn of_request<T>(request: &Request<T>) -> Result<Self, Status> {
        Ok(Self { namespace: context::namespace(request)?, lease: context::lease(request)? })
    }

    /// A request with this owner in its metadata.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        context::with_lease(message, &self.namespace, self.lease.as_deref())
    }
}
