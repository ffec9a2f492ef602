//! Parses replies without a kernel, for tests with replies that no kernel sends.

use crate::{conntrack, message, route, socket};

/// Parses every message of a datagram.
pub fn datagram(bytes: &[u8]) {
    for reply in message::replies(bytes) {
        drop(socket::refusal(&reply));
        route::read(&reply);
        conntrack::read(&reply);
    }
}
