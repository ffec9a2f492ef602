//! The limits of clients.

use std::time::Duration;

/// The limits of a [`Server`](crate::Server)'s connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many connections there may be; further ones wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send the head of a request, or leave a connection unused.
    pub idle: Duration,
    /// How many headers a request may have.
    pub headers: usize,
    /// The longest head of a request in bytes. As many bytes of a response wait for a client that does not read.
    pub head: usize,
    /// How long a body may pause while the handler waits for it; `None`: no limit.
    pub body_pause: Option<Duration>,
    /// How long requests under way may take after the shutdown began.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            idle: Duration::from_secs(60),
            headers: 100,
            head: 64 << 10,
            body_pause: Some(Duration::from_secs(60)),
            drain: Duration::from_secs(10),
        }
    }
}
