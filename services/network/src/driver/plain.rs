//! A driver for tests, whose networks have nothing in the kernel.

use super::{Capabilities, Driver};
use crate::firewall::Entry;
use crate::record::{Endpoint, Network, Port};

/// Replaces the driver `bridge`.
#[derive(Debug)]
pub struct Plain;

impl Driver for Plain {
    fn name(&self) -> &str {
        "bridge"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { endpoints: true, creatable: true, addresses: true, distant: false }
    }

    fn publish(&self, _network: &Network, endpoint: &Endpoint, port: &Port) -> Option<Entry> {
        crate::driver::bridge::translation(endpoint, port)
    }
}
