//! The stored form of a container's life; [`Life`](crate::container::life::Life) converts itself.

use std::collections::BTreeMap;

/// The state of a container, written at each transition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StateRecord {
    /// Exit code of the last run.
    #[prost(int32, tag = "3")]
    pub exit_code: i32,
    /// Why the last start failed.
    #[prost(string, tag = "4")]
    pub error: String,
    /// Whether the kernel ended the last run for lack of memory.
    #[prost(bool, tag = "5")]
    pub oom_killed: bool,
    /// Start of the last run, nanoseconds since 1970; 0 for never.
    #[prost(int64, tag = "6")]
    pub started_at: i64,
    /// End of the last run, nanoseconds since 1970; 0 for never.
    #[prost(int64, tag = "7")]
    pub finished_at: i64,
    /// Automatic starts since the last start by a user.
    #[prost(uint32, tag = "8")]
    pub restart_count: u32,
    /// Whether the user stopped the container and has not started it since.
    #[prost(bool, tag = "9")]
    pub stopped_by_hand: bool,
    /// Ids of the networks of the last run, by name.
    #[prost(btree_map = "string, string", tag = "10")]
    pub networks: BTreeMap<String, String>,
    /// The phase.
    #[prost(oneof = "PhaseRecord", tags = "12, 13, 14, 15, 16, 17")]
    pub phase: Option<PhaseRecord>,
}

/// The phase of a container.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum PhaseRecord {
    /// The container has never run.
    #[prost(message, tag = "12")]
    Created(()),
    /// The container has a process.
    #[prost(message, tag = "13")]
    Running(RunningRecord),
    /// The container has run.
    #[prost(message, tag = "14")]
    Exited(()),
    /// The container waits for its restart policy to start it.
    #[prost(message, tag = "15")]
    Restarting(()),
    /// The container is being removed.
    #[prost(message, tag = "16")]
    Removing(()),
    /// The removal failed.
    #[prost(message, tag = "17")]
    Dead(()),
}

/// A container that has a process.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RunningRecord {
    /// Process id of the first process.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// Whether a user has frozen the container.
    #[prost(bool, tag = "2")]
    pub paused: bool,
}
