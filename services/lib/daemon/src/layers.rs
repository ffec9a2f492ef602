//! What stands between a service's socket and its methods.

use crate::caller::Trusted;

/// What the layers are made with. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    pub(crate) trusted: Trusted,
}

impl Layers {
    /// What this machine has. To be called before the process is confined.
    pub(crate) fn new() -> Self {
        Self { trusted: Trusted::find() }
    }
}
