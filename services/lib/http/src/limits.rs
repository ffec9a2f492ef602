//! What clients may do slowly, and how much of it.

use std::time::Duration;

/// The bounds of a [`Server`](crate::Server)'s connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send the head of a request, or leave a connection unused.
    pub idle: Duration,
    /// How many headers a request may have.
    pub headers: usize,
    /// The longest head of a request, bytes. As much is kept of an answer that its client does not read yet.
    pub head: usize,
    /// How long a body that is waited for may pause; none where clients may be as slow as they like.
    pub body_pause: Option<Duration>,
    /// How long requests that are being answered may take after shutdown.
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
