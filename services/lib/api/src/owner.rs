//! On whose behalf something is made.

use gantry_rpc::context;
use gantry_types::Namespace;
use tonic::{Request, Status};

/// What protects what is made: the namespace it belongs to, and maybe a lease.
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

    /// Who a request is from.
    pub(crate) fn of_request<T>(request: &Request<T>) -> Result<Self, Status> {
        Ok(Self { namespace: context::namespace(request)?, lease: context::lease(request)? })
    }

    /// A request of this owner's.
    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        context::with_lease(message, &self.namespace, self.lease.as_deref())
    }
}
