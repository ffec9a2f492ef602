//! The outcome of a container's runs.

use std::collections::BTreeMap;

/// The outcome of a container's runs so far, in any phase. Times are nanoseconds since 1970, 0 for never.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Exit code of the last run; after a failed start, the code for that failure.
    pub exit_code: i32,
    /// Why the last start failed.
    pub error: String,
    /// When the last run was begun, before any process ran. The run's first events may be older than `started_at`.
    pub begun_at: i64,
    /// When the last run's process was started.
    pub started_at: i64,
    /// When the last run ended.
    pub finished_at: i64,
    /// Automatic starts since the last start by a user.
    pub restart_count: u32,
    /// Whether the user stopped the container and has not started it since.
    pub stopped_by_hand: bool,
    /// Ids of the networks of the last run, by name.
    pub networks: BTreeMap<String, String>,
    /// Whether the kernel ended the last run for lack of memory.
    pub memory: Memory,
}

/// Whether a run had enough memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// No shortage is known.
    #[default]
    Sufficed,
    /// Memory ran out, and no event has reported it yet.
    RanOut,
    /// Memory ran out, and an event has reported it.
    RanOutTold,
}
