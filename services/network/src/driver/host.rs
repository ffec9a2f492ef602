//! The host's own network. Its containers have no network namespace of ours, so nothing is ever on it.

use super::{Capabilities, Driver, Scope};

/// The driver `host`.
#[derive(Debug)]
pub struct Host;

impl Driver for Host {
    fn name(&self) -> &str {
        "host"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { endpoints: false, creatable: false, addresses: false, scope: Scope::Local }
    }
}
