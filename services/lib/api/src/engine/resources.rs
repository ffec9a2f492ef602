//! The limits of a container.

use std::collections::HashMap;

/// The limits of a container. Sizes are bytes; 0, empty and absent mean no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Relative weight of processor time.
    pub cpu_shares: i64,
    /// Memory; at least 6 MiB.
    pub memory: i64,
    /// Billionths of a processor, up to the machine's number of processors. Excludes cpu_period and cpu_quota.
    pub nano_cpus: i64,
    /// The parent of the container's cgroup: a path, or with systemd a slice.
    pub cgroup_parent: String,
    /// I/O weight at all block devices, 10 to 1000.
    pub blkio_weight: u32,
    /// I/O weights at single block devices.
    pub blkio_weight_device: Vec<WeightDevice>,
    /// Bytes read per second.
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    /// Bytes written per second.
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    /// Read operations per second.
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    /// Write operations per second.
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// The period of cpu_quota, microseconds: 1000 to 1000000.
    pub cpu_period: i64,
    /// Processor time in each period, microseconds.
    pub cpu_quota: i64,
    /// The period of cpu_realtime_runtime, microseconds.
    pub cpu_realtime_period: i64,
    /// Real-time processor time in each period, microseconds.
    pub cpu_realtime_runtime: i64,
    /// The processors that the container may use: `0-2,4`.
    pub cpuset_cpus: String,
    /// The memory nodes that the container may use: `0-2,4`.
    pub cpuset_mems: String,
    /// Devices of the host.
    pub devices: Vec<DeviceMapping>,
    /// Further rules of the device cgroup: `c 1:3 rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// Devices that a driver finds.
    pub device_requests: Vec<DeviceRequest>,
    /// Memory of TCP buffers.
    pub kernel_memory_tcp: i64,
    /// Memory to which the kernel shrinks the container when the host runs short; at most memory.
    pub memory_reservation: i64,
    /// Memory and swap together; 0 for twice the memory, -1 for no limit.
    pub memory_swap: i64,
    /// 0 to 100; cgroup version 1 only.
    pub memory_swappiness: Option<i64>,
    /// Processes wait for memory instead of being killed; cgroup version 1 only.
    pub oom_kill_disable: Option<bool>,
    /// Processes and threads; negative for no limit.
    pub pids_limit: Option<i64>,
    /// Limits of the processes.
    pub ulimits: Vec<Ulimit>,
}

/// The container's I/O weight at one block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightDevice {
    /// The path of the device node on the host.
    pub path: String,
    /// 10 to 1000.
    pub weight: u32,
}

/// A limit of the container's I/O at one block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThrottleDevice {
    /// The path of the device node on the host.
    pub path: String,
    /// Bytes or operations per second.
    pub rate: u64,
}

/// A device of the host that the container gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceMapping {
    /// The path of the device node on the host.
    pub path_on_host: String,
    /// The path of the device node in the container.
    pub path_in_container: String,
    /// A subset of `rwm`: read, write, make nodes.
    pub cgroup_permissions: String,
}

/// A request for devices that a driver finds. The engine refuses it with UNIMPLEMENTED.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The name of the driver.
    pub driver: String,
    /// The number of devices; -1 for all.
    pub count: i64,
    /// The ids of the devices.
    pub device_ids: Vec<String>,
    /// Sets of capabilities, one of which the driver must have.
    pub capabilities: Vec<Vec<String>>,
    /// The driver's options.
    pub options: HashMap<String, String>,
}

/// A limit of setrlimit(2) for the container's processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ulimit {
    /// The name without `RLIMIT_`, lower case: `nofile`.
    pub name: String,
    /// The soft limit; -1 for no limit.
    pub soft: i64,
    /// The hard limit; -1 for no limit.
    pub hard: i64,
}
