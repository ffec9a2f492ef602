//! Conversions of resource limits.

use gantry_proto::gantry::engine::v1 as pb;

use super::{values, words};
use crate::engine::{DeviceMapping, DeviceRequest, Resources, ThrottleDevice, Ulimit, WeightDevice};

alike!(
    Resources,
    pb::Resources {
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

alike!(WeightDevice, pb::WeightDevice { path, weight });

alike!(ThrottleDevice, pb::ThrottleDevice { path, rate });

alike!(DeviceMapping, pb::DeviceMapping { path_on_host, path_in_container, cgroup_permissions });

alike!(
    DeviceRequest,
    pb::DeviceRequest { driver, count, device_ids, capabilities: each(words, values), options }
);

alike!(Ulimit, pb::Ulimit { name, soft, hard });
