//! Converts limits from the wire's types.

use gantry_api::engine as domain;
use gantry_api::engine::{DeviceMapping, ThrottleDevice};
use gantry_spec::{BlockRate, BlockWeight, Device, Resources};

/// The limits for the cgroup.
pub fn wanted(asked: &domain::Resources) -> Resources {
    Resources {
        memory: asked.memory,
        memory_reservation: asked.memory_reservation,
        memory_swap: asked.memory_swap,
        memory_swappiness: asked.memory_swappiness,
        kernel_memory_tcp: asked.kernel_memory_tcp,
        oom_kill_disable: asked.oom_kill_disable == Some(true),
        cpu_shares: asked.cpu_shares,
        nano_cpus: asked.nano_cpus,
        cpu_period: asked.cpu_period,
        cpu_quota: asked.cpu_quota,
        cpu_realtime_period: asked.cpu_realtime_period,
        cpu_realtime_runtime: asked.cpu_realtime_runtime,
        cpuset_cpus: asked.cpuset_cpus.clone(),
        cpuset_mems: asked.cpuset_mems.clone(),
        pids_limit: asked.pids_limit,
        blkio_weight: asked.blkio_weight,
        blkio_weight_device: asked
            .blkio_weight_device
            .iter()
            .map(|device| BlockWeight { path: device.path.clone(), weight: device.weight })
            .collect(),
        blkio_read_bps: rates(&asked.blkio_device_read_bps),
        blkio_write_bps: rates(&asked.blkio_device_write_bps),
        blkio_read_iops: rates(&asked.blkio_device_read_iops),
        blkio_write_iops: rates(&asked.blkio_device_write_iops),
        devices: asked.devices.iter().map(device).collect(),
        device_rules: asked.device_cgroup_rules.clone(),
    }
}

fn rates(devices: &[ThrottleDevice]) -> Vec<BlockRate> {
    devices.iter().map(|device| BlockRate { path: device.path.clone(), rate: device.rate }).collect()
}

fn device(mapping: &DeviceMapping) -> Device {
    Device {
        path_on_host: mapping.path_on_host.clone(),
        path_in_container: mapping.path_in_container.clone(),
        access: mapping.cgroup_permissions.clone(),
    }
}
