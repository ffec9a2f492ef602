//! Limits.

use gantry_proto::gantry::engine::v1 as pb;

use super::words;
use crate::engine::{DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice};

impl From<Resources> for pb::Resources {
    fn from(resources: Resources) -> Self {
        pb::Resources {
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

impl From<pb::Resources> for Resources {
    fn from(resources: pb::Resources) -> Self {
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

impl From<WeightDevice> for pb::WeightDevice {
    fn from(device: WeightDevice) -> Self {
        pb::WeightDevice { path: device.path, weight: device.weight }
    }
}

impl From<pb::WeightDevice> for WeightDevice {
    fn from(device: pb::WeightDevice) -> Self {
        WeightDevice { path: device.path, weight: device.weight }
    }
}

impl From<ThrottleDevice> for pb::ThrottleDevice {
    fn from(device: ThrottleDevice) -> Self {
        pb::ThrottleDevice { path: device.path, rate: device.rate }
    }
}

impl From<pb::ThrottleDevice> for ThrottleDevice {
    fn from(device: pb::ThrottleDevice) -> Self {
        ThrottleDevice { path: device.path, rate: device.rate }
    }
}

impl From<DeviceMapping> for pb::DeviceMapping {
    fn from(device: DeviceMapping) -> Self {
        pb::DeviceMapping {
            path_on_host: device.path_on_host,
            path_in_container: device.path_in_container,
            cgroup_permissions: device.cgroup_permissions,
        }
    }
}

impl From<pb::DeviceMapping> for DeviceMapping {
    fn from(device: pb::DeviceMapping) -> Self {
        DeviceMapping {
            path_on_host: device.path_on_host,
            path_in_container: device.path_in_container,
            cgroup_permissions: device.cgroup_permissions,
        }
    }
}

impl From<DeviceRequest> for pb::DeviceRequest {
    fn from(request: DeviceRequest) -> Self {
        pb::DeviceRequest {
            driver: request.driver,
            count: request.count,
            device_ids: request.device_ids,
            capabilities: request.capabilities.into_iter().map(words).collect(),
            options: request.options,
        }
    }
}

impl From<pb::DeviceRequest> for DeviceRequest {
    fn from(request: pb::DeviceRequest) -> Self {
        DeviceRequest {
            driver: request.driver,
            count: request.count,
            device_ids: request.device_ids,
            capabilities: request.capabilities.into_iter().map(|words| words.values).collect(),
            options: request.options,
        }
    }
}

impl From<Ulimit> for pb::Ulimit {
    fn from(limit: Ulimit) -> Self {
        pb::Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard }
    }
}

impl From<pb::Ulimit> for Ulimit {
    fn from(limit: pb::Ulimit) -> Self {
        Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard }
    }
}
