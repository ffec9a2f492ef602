//! A container's limits and devices.

use gantry_api::{alike, engine};

use super::or_null;
use crate::wire::host_config::{
    DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice,
};

/// Resources from a client.
pub fn to_engine(of: Resources) -> engine::Resources {
    engine::Resources {
        cpu_shares: of.cpu_shares,
        memory: of.memory,
        nano_cpus: of.nano_cpus,
        cgroup_parent: of.cgroup_parent,
        blkio_weight: of.blkio_weight,
        blkio_weight_device: all(of.blkio_weight_device),
        blkio_device_read_bps: all(of.blkio_device_read_bps),
        blkio_device_write_bps: all(of.blkio_device_write_bps),
        blkio_device_read_iops: all(of.blkio_device_read_iops),
        blkio_device_write_iops: all(of.blkio_device_write_iops),
        cpu_period: of.cpu_period,
        cpu_quota: of.cpu_quota,
        cpu_realtime_period: of.cpu_realtime_period,
        cpu_realtime_runtime: of.cpu_realtime_runtime,
        cpuset_cpus: of.cpuset_cpus,
        cpuset_mems: of.cpuset_mems,
        devices: all(of.devices),
        device_cgroup_rules: of.device_cgroup_rules.unwrap_or_default(),
        device_requests: of
            .device_requests
            .unwrap_or_default()
            .into_iter()
            .map(|request| engine::DeviceRequest {
                driver: request.driver,
                count: request.count,
                device_ids: request.device_ids.unwrap_or_default(),
                capabilities: request.capabilities.unwrap_or_default(),
                options: request.options.unwrap_or_default().into_iter().collect(),
            })
            .collect(),
        kernel_memory_tcp: of.kernel_memory_tcp,
        memory_reservation: of.memory_reservation,
        memory_swap: of.memory_swap,
        memory_swappiness: of.memory_swappiness,
        oom_kill_disable: of.oom_kill_disable,
        pids_limit: of.pids_limit,
        ulimits: all(of.ulimits),
    }
}

/// Resources for a client.
pub fn from_engine(of: engine::Resources) -> Resources {
    Resources {
        cpu_shares: of.cpu_shares,
        memory: of.memory,
        nano_cpus: of.nano_cpus,
        cgroup_parent: of.cgroup_parent,
        blkio_weight: of.blkio_weight,
        // Docker's own client sends this list and that of devices even when they are empty.
        blkio_weight_device: Some(each(of.blkio_weight_device)),
        blkio_device_read_bps: or_null(each(of.blkio_device_read_bps)),
        blkio_device_write_bps: or_null(each(of.blkio_device_write_bps)),
        blkio_device_read_iops: or_null(each(of.blkio_device_read_iops)),
        blkio_device_write_iops: or_null(each(of.blkio_device_write_iops)),
        cpu_period: of.cpu_period,
        cpu_quota: of.cpu_quota,
        cpu_realtime_period: of.cpu_realtime_period,
        cpu_realtime_runtime: of.cpu_realtime_runtime,
        cpuset_cpus: of.cpuset_cpus,
        cpuset_mems: of.cpuset_mems,
        devices: Some(each(of.devices)),
        device_cgroup_rules: or_null(of.device_cgroup_rules),
        device_requests: or_null(
            of.device_requests
                .into_iter()
                .map(|request| DeviceRequest {
                    driver: request.driver,
                    count: request.count,
                    device_ids: or_null(request.device_ids),
                    capabilities: or_null(request.capabilities),
                    options: Some(request.options.into_iter().collect()),
                })
                .collect(),
        ),
        kernel_memory: 0,
        kernel_memory_tcp: of.kernel_memory_tcp,
        memory_reservation: of.memory_reservation,
        memory_swap: of.memory_swap,
        memory_swappiness: of.memory_swappiness,
        oom_kill_disable: of.oom_kill_disable,
        pids_limit: of.pids_limit,
        ulimits: or_null(each(of.ulimits)),
        ..Resources::default()
    }
}

alike!(WeightDevice, engine::WeightDevice { path, weight });

alike!(ThrottleDevice, engine::ThrottleDevice { path, rate });

alike!(DeviceMapping, engine::DeviceMapping { path_on_host, path_in_container, cgroup_permissions });

alike!(Ulimit, engine::Ulimit { name, hard, soft });

/// A list that a client may leave out.
fn all<T: Into<U>, U>(list: Option<Vec<T>>) -> Vec<U> {
    each(list.unwrap_or_default())
}

fn each<T: Into<U>, U>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(Into::into).collect()
}
