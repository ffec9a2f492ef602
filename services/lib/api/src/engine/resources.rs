//! A container's limits.

use std::collections::HashMap;

/// A container's limits. Sizes are bytes, times microseconds; 0: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Its weight.
    pub cpu_shares: i64,
    /// What it may have.
    pub memory: i64,
    /// Billionths of a processor.
    pub nano_cpus: i64,
    /// Below which cgroup it is.
    pub cgroup_parent: String,
    /// Its weight at block devices.
    pub blkio_weight: u32,
    /// Its weight at single ones.
    pub blkio_weight_device: Vec<WeightDevice>,
    /// Bytes a second.
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    /// Bytes a second.
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    /// Reads a second.
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    /// Writes a second.
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// Of the quota.
    pub cpu_period: i64,
    /// In each period.
    pub cpu_quota: i64,
    /// Of the real-time quota.
    pub cpu_realtime_period: i64,
    /// In each of these.
    pub cpu_realtime_runtime: i64,
    /// `0-2,4`
    pub cpuset_cpus: String,
    /// `0-2,4`
    pub cpuset_mems: String,
    /// Of the host.
    pub devices: Vec<DeviceMapping>,
    /// `c 1:3 rwm`
    pub device_cgroup_rules: Vec<String>,
    /// For drivers.
    pub device_requests: Vec<DeviceRequest>,
    /// For TCP's buffers.
    pub kernel_memory_tcp: i64,
    /// What it has when memory is short.
    pub memory_reservation: i64,
    /// Memory and swap together; -1: any.
    pub memory_swap: i64,
    /// 0 to 100.
    pub memory_swappiness: Option<i64>,
    /// It waits where memory is short.
    pub oom_kill_disable: Option<bool>,
    /// Processes and threads.
    pub pids_limit: Option<i64>,
    /// Of its processes.
    pub ulimits: Vec<Ulimit>,
}

/// A weight at a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightDevice {
    /// The device.
    pub path: String,
    /// 10 to 1000.
    pub weight: u32,
}

/// A rate at a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThrottleDevice {
    /// The device.
    pub path: String,
    /// A second.
    pub rate: u64,
}

/// A device of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceMapping {
    /// There.
    pub path_on_host: String,
    /// Here.
    pub path_in_container: String,
    /// `rwm`
    pub cgroup_permissions: String,
}

/// Devices that a driver is to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Its name.
    pub driver: String,
    /// -1: all.
    pub count: i64,
    /// These.
    pub device_ids: Vec<String>,
    /// One of these sets.
    pub capabilities: Vec<Vec<String>>,
    /// The driver's.
    pub options: HashMap<String, String>,
}

/// A limit of processes, as setrlimit(2) has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ulimit {
    /// `nofile`
    pub name: String,
    /// What counts.
    pub soft: i64,
    /// How far it may be raised.
    pub hard: i64,
}
