//! Lives, as far as they are written down: [`Life`](crate::container::life::Life) converts itself.

use std::collections::BTreeMap;

/// What has become of a container, written at each transition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StateRecord {
    /// Of the last run.
    #[prost(int32, tag = "3")]
    pub exit_code: i32,
    /// Why the last start failed.
    #[prost(string, tag = "4")]
    pub error: String,
    /// The last run was ended by the kernel for want of memory.
    #[prost(bool, tag = "5")]
    pub oom_killed: bool,
    /// Nanoseconds since 1970; 0: never.
    #[prost(int64, tag = "6")]
    pub started_at: i64,
    /// Nanoseconds since 1970; 0: never.
    #[prost(int64, tag = "7")]
    pub finished_at: i64,
    /// Automatic ones since the last start by hand.
    #[prost(uint32, tag = "8")]
    pub restart_count: u32,
    /// The user stopped it and has not started it again.
    #[prost(bool, tag = "9")]
    pub stopped_by_hand: bool,
    /// Ids of the networks of the last run, by name.
    #[prost(btree_map = "string, string", tag = "10")]
    pub networks: BTreeMap<String, String>,
    /// What it does.
    #[prost(oneof = "PhaseRecord", tags = "12, 13, 14, 15, 16, 17")]
    pub phase: Option<PhaseRecord>,
}

/// What a container does.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum PhaseRecord {
    /// It has never run.
    #[prost(message, tag = "12")]
    Created(()),
    /// It has a process.
    #[prost(message, tag = "13")]
    Running(RunningRecord),
    /// It has run.
    #[prost(message, tag = "14")]
    Exited(()),
    /// Its policy starts it again.
    #[prost(message, tag = "15")]
    Restarting(()),
    /// It is being unmade.
    #[prost(message, tag = "16")]
    Removing(()),
    /// It could not be unmade.
    #[prost(message, tag = "17")]
    Dead(()),
}

/// A container that has a process.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RunningRecord {
    /// Of the first process.
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    /// A user has frozen it.
    #[prost(bool, tag = "2")]
    pub paused: bool,
}
