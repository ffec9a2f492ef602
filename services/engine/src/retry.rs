//! How long the engine waits before it asks a service again that was away.

use std::time::Duration;

/// Time between two attempts of work in the background that needs a service.
pub(crate) const PAUSE: Duration = Duration::from_millis(200);

/// Time between two attempts to subscribe to events. Those that happen in between are missed.
pub(crate) const RESUBSCRIBE: Duration = Duration::from_millis(20);
