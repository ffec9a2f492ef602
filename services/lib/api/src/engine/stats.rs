//! What a container uses.

use std::collections::HashMap;

/// A look at what a container uses. Times are nanoseconds, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub read_at: i64,
    /// Of all processors.
    pub cpu_total: u64,
    /// In the kernel.
    pub cpu_kernel: u64,
    /// In programs.
    pub cpu_user: u64,
    /// Of each processor.
    pub cpu_per_cpu: Vec<u64>,
    /// What the machine has worked or idled.
    pub system_cpu: u64,
    /// How many there are.
    pub online_cpus: u32,
    /// Of its quota.
    pub throttling_periods: u64,
    /// In which it used its quota up.
    pub throttled_periods: u64,
    /// How long it waited for the next.
    pub throttled_time: u64,
    /// Now.
    pub memory_usage: u64,
    /// At its peak.
    pub memory_max_usage: u64,
    /// What it may have.
    pub memory_limit: u64,
    /// How often that was too little.
    pub memory_failcnt: u64,
    /// As the kernel names them.
    pub memory_stats: HashMap<String, u64>,
    /// Processes and threads.
    pub pids_current: u64,
    /// How many it may have.
    pub pids_limit: u64,
    /// Bytes.
    pub io_service_bytes: Vec<Blkio>,
    /// Requests.
    pub io_serviced: Vec<Blkio>,
    /// By name.
    pub interfaces: HashMap<String, Interface>,
}

/// What was done to a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blkio {
    /// Of the device.
    pub major: u64,
    /// Of the device.
    pub minor: u64,
    /// `read`, `write` and the like.
    pub op: String,
    /// How much.
    pub value: u64,
}

/// What went over an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Received.
    pub rx_bytes: u64,
    /// Received.
    pub rx_packets: u64,
    /// Received.
    pub rx_errors: u64,
    /// Received.
    pub rx_dropped: u64,
    /// Sent.
    pub tx_bytes: u64,
    /// Sent.
    pub tx_packets: u64,
    /// Sent.
    pub tx_errors: u64,
    /// Sent.
    pub tx_dropped: u64,
}
