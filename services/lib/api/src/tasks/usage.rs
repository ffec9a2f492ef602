//! The resource usage of tasks.

use std::collections::HashMap;

/// The figures of a task's cgroup, of version 1 or 2. Times are nanoseconds, sizes bytes. What a version does not tell is
/// 0 or empty; version 2 tells neither the peak of the memory in use nor times for each processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time on all processors.
    pub cpu_total: u64,
    /// Processor time in the kernel.
    pub cpu_kernel: u64,
    /// Processor time in user space.
    pub cpu_user: u64,
    /// Processor time on each processor.
    pub cpu_per_cpu: Vec<u64>,
    /// Periods of the processor quota.
    pub throttling_periods: u64,
    /// Periods in which the task was throttled.
    pub throttled_periods: u64,
    /// Time for which the task was throttled.
    pub throttled_time: u64,
    /// Memory in use.
    pub memory_usage: u64,
    /// Peak of the memory in use.
    pub memory_max_usage: u64,
    /// The cgroup's memory limit; at least the host's memory if it has none.
    pub memory_limit: u64,
    /// How often the limit was reached.
    pub memory_failcnt: u64,
    /// The figures of the cgroup's `memory.stat`.
    pub memory_stats: HashMap<String, u64>,
    /// Processes and threads.
    pub pids_current: u64,
    /// Limit of processes and threads.
    pub pids_limit: u64,
    /// Bytes per block device and operation.
    pub io_service_bytes: Vec<Blkio>,
    /// Operations per block device and operation; of version 1 alone.
    pub io_serviced: Vec<Blkio>,
}

/// A counter of a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blkio {
    /// Major number of the device.
    pub major: u64,
    /// Minor number of the device.
    pub minor: u64,
    /// The operation: `read`, `write` and others.
    pub op: String,
    /// The counter's value.
    pub value: u64,
}
