//! The resource usage of a container.

use std::collections::HashMap;

pub use crate::tasks::Blkio;
use crate::tasks::Usage;

/// The resource usage of a container at one time. Times are nanoseconds, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Time of the sample, nanoseconds since 1970.
    pub read_at: i64,
    /// Processor time on all processors.
    pub cpu_total: u64,
    /// Processor time in the kernel.
    pub cpu_kernel: u64,
    /// Processor time in user space.
    pub cpu_user: u64,
    /// Processor time on each processor.
    pub cpu_per_cpu: Vec<u64>,
    /// The time of all the host's processors since its boot, idle time included.
    pub system_cpu: u64,
    /// Number of processors that are online.
    pub online_cpus: u32,
    /// Periods of the processor quota.
    pub throttling_periods: u64,
    /// Periods in which the container was throttled.
    pub throttled_periods: u64,
    /// Time for which the container was throttled.
    pub throttled_time: u64,
    /// Memory in use.
    pub memory_usage: u64,
    /// Peak of the memory in use.
    pub memory_max_usage: u64,
    /// The memory limit; the host's memory if the container has no lower limit.
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
    /// Operations per block device and operation.
    pub io_serviced: Vec<Blkio>,
    /// Network interfaces by name.
    pub interfaces: HashMap<String, Interface>,
}

/// What the container's cgroup tells of it.
impl From<Usage> for Sample {
    fn from(usage: Usage) -> Self {
        Self {
            cpu_total: usage.cpu_total,
            cpu_kernel: usage.cpu_kernel,
            cpu_user: usage.cpu_user,
            cpu_per_cpu: usage.cpu_per_cpu,
            throttling_periods: usage.throttling_periods,
            throttled_periods: usage.throttled_periods,
            throttled_time: usage.throttled_time,
            memory_usage: usage.memory_usage,
            memory_max_usage: usage.memory_max_usage,
            memory_limit: usage.memory_limit,
            memory_failcnt: usage.memory_failcnt,
            memory_stats: usage.memory_stats,
            pids_current: usage.pids_current,
            pids_limit: usage.pids_limit,
            io_service_bytes: usage.io_service_bytes,
            io_serviced: usage.io_serviced,
            ..Self::default()
        }
    }
}

/// Two successive samples of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without a slash.
    pub name: String,
    /// The sample; `None` for a container that does not run.
    pub current: Option<Sample>,
    /// The sample before; `None` in the first answer.
    pub previous: Option<Sample>,
}

/// The traffic of a network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Received packets that were dropped.
    pub rx_dropped: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Send errors.
    pub tx_errors: u64,
    /// Packets that were dropped instead of sent.
    pub tx_dropped: u64,
}
