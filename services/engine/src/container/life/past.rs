//! What is known of a container's runs.

use std::collections::BTreeMap;

/// What is known of a container's runs, whatever it does now. Times are nanoseconds since 1970; 0: never.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Of the last run; what a failed start comes to.
    pub exit_code: i32,
    /// Why the last start failed.
    pub error: String,
    /// When the last run was begun, before anything ran: `started_at` may be later than what the run did first.
    pub begun_at: i64,
    /// When the last run's process ran.
    pub started_at: i64,
    /// When the last run ended.
    pub finished_at: i64,
    /// Automatic starts since the last one by hand.
    pub restart_count: u32,
    /// The user stopped it and has not started it again.
    pub stopped_by_hand: bool,
    /// Ids of the networks of the last run, by name.
    pub networks: BTreeMap<String, String>,
    /// Whether the last run was ended by the kernel for want of memory.
    pub memory: Memory,
}

/// Whether a run had the memory that it wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// As far as is known.
    #[default]
    Sufficed,
    /// It ran out, which nobody was told yet.
    RanOut,
    /// It ran out, and that was told.
    RanOutTold,
}
