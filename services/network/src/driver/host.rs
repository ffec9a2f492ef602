//! The host's own network. Its containers have no network namespace of their own, so it has no endpoints.

use super::{Capabilities, Driver};

/// The driver `host`.
#[derive(Debug)]
pub struct Host;

impl Driver for Host {
    fn name(&self) -> &str {
        "host"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { endpoints: false, creatable: false, addresses: false, distant: false }
    }
}
