//! The stored form of resource limits.

use std::collections::BTreeMap;

use gantry_api::{alike, engine as domain};

use super::{Words, values, words};

/// See [`domain::Resources`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resources {
    #[prost(int64, tag = "1")]
    cpu_shares: i64,
    #[prost(int64, tag = "2")]
    memory: i64,
    #[prost(int64, tag = "3")]
    nano_cpus: i64,
    #[prost(string, tag = "4")]
    cgroup_parent: String,
    #[prost(uint32, tag = "5")]
    blkio_weight: u32,
    #[prost(message, repeated, tag = "6")]
    blkio_weight_device: Vec<WeightDevice>,
    #[prost(message, repeated, tag = "7")]
    blkio_device_read_bps: Vec<ThrottleDevice>,
    #[prost(message, repeated, tag = "8")]
    blkio_device_write_bps: Vec<ThrottleDevice>,
    #[prost(message, repeated, tag = "9")]
    blkio_device_read_iops: Vec<ThrottleDevice>,
    #[prost(message, repeated, tag = "10")]
    blkio_device_write_iops: Vec<ThrottleDevice>,
    #[prost(int64, tag = "11")]
    cpu_period: i64,
    #[prost(int64, tag = "12")]
    cpu_quota: i64,
    #[prost(int64, tag = "13")]
    cpu_realtime_period: i64,
    #[prost(int64, tag = "14")]
    cpu_realtime_runtime: i64,
    #[prost(string, tag = "15")]
    cpuset_cpus: String,
    #[prost(string, tag = "16")]
    cpuset_mems: String,
    #[prost(message, repeated, tag = "17")]
    devices: Vec<DeviceMapping>,
    #[prost(string, repeated, tag = "18")]
    device_cgroup_rules: Vec<String>,
    #[prost(message, repeated, tag = "19")]
    device_requests: Vec<DeviceRequest>,
    #[prost(int64, tag = "20")]
    kernel_memory_tcp: i64,
    #[prost(int64, tag = "21")]
    memory_reservation: i64,
    #[prost(int64, tag = "22")]
    memory_swap: i64,
    #[prost(int64, optional, tag = "23")]
    memory_swappiness: Option<i64>,
    #[prost(bool, optional, tag = "24")]
    oom_kill_disable: Option<bool>,
    #[prost(int64, optional, tag = "25")]
    pids_limit: Option<i64>,
    #[prost(message, repeated, tag = "26")]
    ulimits: Vec<Ulimit>,
}

alike!(
    domain::Resources,
    Resources {
        cpu_shares,
        memory,
        nano_cpus,
        cgroup_parent,
        blkio_weight,
        blkio_weight_device: each,
        blkio_device_read_bps: each,
        blkio_device_write_bps: each,
        blkio_device_read_iops: each,
        blkio_device_write_iops: each,
        cpu_period,
        cpu_quota,
        cpu_realtime_period,
        cpu_realtime_runtime,
        cpuset_cpus,
        cpuset_mems,
        devices: each,
        device_cgroup_rules,
        device_requests: each,
        kernel_memory_tcp,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        oom_kill_disable,
        pids_limit,
        ulimits: each,
    }
);

/// See [`domain::WeightDevice`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct WeightDevice {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(uint32, tag = "2")]
    weight: u32,
}

alike!(domain::WeightDevice, WeightDevice { path, weight });

/// See [`domain::ThrottleDevice`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct ThrottleDevice {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(uint64, tag = "2")]
    rate: u64,
}

alike!(domain::ThrottleDevice, ThrottleDevice { path, rate });

/// See [`domain::DeviceMapping`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceMapping {
    #[prost(string, tag = "1")]
    path_on_host: String,
    #[prost(string, tag = "2")]
    path_in_container: String,
    #[prost(string, tag = "3")]
    cgroup_permissions: String,
}

alike!(domain::DeviceMapping, DeviceMapping { path_on_host, path_in_container, cgroup_permissions });

/// See [`domain::DeviceRequest`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeviceRequest {
    #[prost(string, tag = "1")]
    driver: String,
    #[prost(int64, tag = "2")]
    count: i64,
    #[prost(string, repeated, tag = "3")]
    device_ids: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    capabilities: Vec<Words>,
    #[prost(btree_map = "string, string", tag = "5")]
    options: BTreeMap<String, String>,
}

alike!(
    domain::DeviceRequest,
    DeviceRequest { driver, count, device_ids, capabilities: each(words, values), options: collected }
);

/// See [`domain::Ulimit`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ulimit {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    soft: i64,
    #[prost(int64, tag = "3")]
    hard: i64,
}

alike!(domain::Ulimit, Ulimit { name, soft, hard });
