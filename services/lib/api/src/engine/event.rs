//! Events as Docker reports them.

use std::collections::HashMap;

use super::Filter;

/// An event about an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `network`, `volume`, `daemon`.
    pub kind: String,
    /// The action: `start`, `die`, …
    pub action: String,
    /// The object's id or name.
    pub actor_id: String,
    /// Further facts about the object.
    pub attributes: HashMap<String, String>,
    /// Time of the event, nanoseconds since 1970. The engine sets it.
    pub time: i64,
    /// Whether the event is about the exec of a health check. The engine sets it.
    pub probe: bool,
}

/// A selection of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Time of the oldest event, nanoseconds since 1970; `None` for new events only.
    pub since: Option<i64>,
    /// Time at which the stream ends, nanoseconds since 1970; `None` for no end.
    pub until: Option<i64>,
    /// Filters, all of which an event must match.
    pub filters: Vec<Filter>,
}
