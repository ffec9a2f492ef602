//! What the kernel says, read without asking it: for tests that say what no kernel would.

use crate::{conntrack, message, route, socket};

/// Reads all that a datagram tells.
pub fn datagram(bytes: &[u8]) {
    for reply in message::replies(bytes) {
        drop(socket::refusal(&reply));
        route::read(&reply);
        conntrack::read(&reply);
    }
}
