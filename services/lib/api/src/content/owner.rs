//! On whose behalf something is written.

use gantry_types::Namespace;

/// What protects the bytes: the namespace they belong to, and maybe a lease.
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
}
