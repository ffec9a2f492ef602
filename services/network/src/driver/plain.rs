//! A driver for tests: networks without anything in the kernel.

use super::{Capabilities, Driver, Scope};
use crate::firewall::Entry;
use crate::record::{Endpoint, Network, Port};

/// Takes the place of the driver `bridge`.
#[derive(Debug)]
pub struct Plain;

impl Driver for Plain {
    fn name(&self) -> &str {
        "bridge"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { endpoints: true, creatable: true, addresses: true, scope: Scope::Local }
    }

    fn publish(&self, _network: &Network, endpoint: &Endpoint, port: &Port) -> Option<Entry> {
        crate::driver::bridge::translation(endpoint, port)
    }
}
