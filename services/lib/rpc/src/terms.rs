//! Terms: how long the callers of a method wait.
//!
//! Which method has which terms is known to those who know methods: a [`Channel`](crate::Channel) is given [`Of`].

use std::time::Duration;

/// The terms of the method at a path, `/package.Service/Method`.
pub type Of = fn(&str) -> Bound;

/// How long the callers of a method wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// So long, for the whole answer.
    Within(Duration),
    /// As long as the peer shows that it is alive.
    Alive,
    /// As long as they choose themselves: whoever makes the call bounds it.
    Open,
}

/// Terms of calls that their callers bound themselves.
pub fn open(_: &str) -> Bound {
    Bound::Open
}
