//! Limits.

use std::collections::BTreeMap;

use gantry_api::engine as domain;

use super::{Words, words};

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

impl From<domain::Resources> for Resources {
    fn from(resources: domain::Resources) -> Self {
        Resources {
            cpu_shares: resources.cpu_shares,
            memory: resources.memory,
            nano_cpus: resources.nano_cpus,
            cgroup_parent: resources.cgroup_parent,
            blkio_weight: resources.blkio_weight,
            blkio_weight_device: resources.blkio_weight_device.into_iter().map(Into::into).collect(),
            blkio_device_read_bps: resources.blkio_device_read_bps.into_iter().map(Into::into).collect(),
            blkio_device_write_bps: resources.blkio_device_write_bps.into_iter().map(Into::into).collect(),
            blkio_device_read_iops: resources.blkio_device_read_iops.into_iter().map(Into::into).collect(),
            blkio_device_write_iops: resources.blkio_device_write_iops.into_iter().map(Into::into).collect(),
            cpu_period: resources.cpu_period,
            cpu_quota: resources.cpu_quota,
            cpu_realtime_period: resources.cpu_realtime_period,
            cpu_realtime_runtime: resources.cpu_realtime_runtime,
            cpuset_cpus: resources.cpuset_cpus,
            cpuset_mems: resources.cpuset_mems,
            devices: resources.devices.into_iter().map(Into::into).collect(),
            device_cgroup_rules: resources.device_cgroup_rules,
            device_requests: resources.device_requests.into_iter().map(Into::into).collect(),
            kernel_memory_tcp: resources.kernel_memory_tcp,
            memory_reservation: resources.memory_reservation,
            memory_swap: resources.memory_swap,
            memory_swappiness: resources.memory_swappiness,
            oom_kill_disable: resources.oom_kill_disable,
            pids_limit: resources.pids_limit,
            ulimits: resources.ulimits.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Resources> for domain::Resources {
    fn from(resources: Resources) -> Self {
        domain::Resources {
            cpu_shares: resources.cpu_shares,
            memory: resources.memory,
            nano_cpus: resources.nano_cpus,
            cgroup_parent: resources.cgroup_parent,
            blkio_weight: resources.blkio_weight,
            blkio_weight_device: resources.blkio_weight_device.into_iter().map(Into::into).collect(),
            blkio_device_read_bps: resources.blkio_device_read_bps.into_iter().map(Into::into).collect(),
            blkio_device_write_bps: resources.blkio_device_write_bps.into_iter().map(Into::into).collect(),
            blkio_device_read_iops: resources.blkio_device_read_iops.into_iter().map(Into::into).collect(),
            blkio_device_write_iops: resources.blkio_device_write_iops.into_iter().map(Into::into).collect(),
            cpu_period: resources.cpu_period,
            cpu_quota: resources.cpu_quota,
            cpu_realtime_period: resources.cpu_realtime_period,
            cpu_realtime_runtime: resources.cpu_realtime_runtime,
            cpuset_cpus: resources.cpuset_cpus,
            cpuset_mems: resources.cpuset_mems,
            devices: resources.devices.into_iter().map(Into::into).collect(),
            device_cgroup_rules: resources.device_cgroup_rules,
            device_requests: resources.device_requests.into_iter().map(Into::into).collect(),
            kernel_memory_tcp: resources.kernel_memory_tcp,
            memory_reservation: resources.memory_reservation,
            memory_swap: resources.memory_swap,
            memory_swappiness: resources.memory_swappiness,
            oom_kill_disable: resources.oom_kill_disable,
            pids_limit: resources.pids_limit,
            ulimits: resources.ulimits.into_iter().map(Into::into).collect(),
        }
    }
}

/// See [`domain::WeightDevice`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct WeightDevice {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(uint32, tag = "2")]
    weight: u32,
}

impl From<domain::WeightDevice> for WeightDevice {
    fn from(device: domain::WeightDevice) -> Self {
        WeightDevice { path: device.path, weight: device.weight }
    }
}

impl From<WeightDevice> for domain::WeightDevice {
    fn from(device: WeightDevice) -> Self {
        domain::WeightDevice { path: device.path, weight: device.weight }
    }
}

/// See [`domain::ThrottleDevice`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct ThrottleDevice {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(uint64, tag = "2")]
    rate: u64,
}

impl From<domain::ThrottleDevice> for ThrottleDevice {
    fn from(device: domain::ThrottleDevice) -> Self {
        ThrottleDevice { path: device.path, rate: device.rate }
    }
}

impl From<ThrottleDevice> for domain::ThrottleDevice {
    fn from(device: ThrottleDevice) -> Self {
        domain::ThrottleDevice { path: device.path, rate: device.rate }
    }
}

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

impl From<domain::DeviceMapping> for DeviceMapping {
    fn from(device: domain::DeviceMapping) -> Self {
        DeviceMapping {
            path_on_host: device.path_on_host,
            path_in_container: device.path_in_container,
            cgroup_permissions: device.cgroup_permissions,
        }
    }
}

impl From<DeviceMapping> for domain::DeviceMapping {
    fn from(device: DeviceMapping) -> Self {
        domain::DeviceMapping {
            path_on_host: device.path_on_host,
            path_in_container: device.path_in_container,
            cgroup_permissions: device.cgroup_permissions,
        }
    }
}

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

impl From<domain::DeviceRequest> for DeviceRequest {
    fn from(request: domain::DeviceRequest) -> Self {
        DeviceRequest {
            driver: request.driver,
            count: request.count,
            device_ids: request.device_ids,
            capabilities: request.capabilities.into_iter().map(words).collect(),
            options: request.options.into_iter().collect(),
        }
    }
}

impl From<DeviceRequest> for domain::DeviceRequest {
    fn from(request: DeviceRequest) -> Self {
        domain::DeviceRequest {
            driver: request.driver,
            count: request.count,
            device_ids: request.device_ids,
            capabilities: request.capabilities.into_iter().map(|words| words.values).collect(),
            options: request.options.into_iter().collect(),
        }
    }
}

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

impl From<domain::Ulimit> for Ulimit {
    fn from(limit: domain::Ulimit) -> Self {
        Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard }
    }
}

impl From<Ulimit> for domain::Ulimit {
    fn from(limit: Ulimit) -> Self {
        domain::Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard }
    }
}
