//! The limits of calls.
//!
//! A [`Channel`](crate::Channel) does not know methods: it gets a function [`Of`] that does.

use std::time::Duration;

/// The limit of the method at a path, `/package.Service/Method`.
pub type Of = fn(&str) -> Bound;

/// The limit of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// This long, for the whole response.
    Within(Duration),
    /// As long as the peer shows that it is alive.
    Alive,
    /// None: the caller limits the call itself.
    Open,
}

/// Calls without a limit.
pub fn open(_: &str) -> Bound {
    Bound::Open
}
