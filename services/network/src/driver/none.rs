//! The network `none`. Its containers have a network namespace with `lo` and no endpoint.

use super::{Capabilities, Driver};

/// The driver `null`, of the network `none`.
#[derive(Debug)]
pub struct Null;

impl Driver for Null {
    fn name(&self) -> &str {
        "null"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { endpoints: false, creatable: false, addresses: false, distant: false }
    }
}
