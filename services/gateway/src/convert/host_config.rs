//! What a container is given of its host.

use gantry_proto::gantry::engine::v1 as engine;

use super::{or_null, string_list};
use crate::wire::host_config::{
    BindOptions, DeviceMapping, DeviceRequest, DriverConfig, HostConfig, ImageOptions, LogConfig, Mount,
    PortBinding, PortMap, Resources, RestartPolicy, ThrottleDevice, TmpfsOptions, Ulimit, VolumeOptions,
    WeightDevice,
};

/// From a client.
pub fn to_engine(host: HostConfig) -> engine::HostConfig {
    engine::HostConfig {
        binds: host.binds.unwrap_or_default(),
        container_id_file: host.container_id_file,
        log_config: Some(engine::LogConfig {
            r#type: host.log_config.kind,
            config: host.log_config.config.into_iter().collect(),
        }),
        network_mode: host.network_mode,
        port_bindings: ports_to_engine(host.port_bindings),
        restart_policy: Some(restart_to_engine(host.restart_policy)),
        auto_remove: host.auto_remove,
        volume_driver: host.volume_driver,
        volumes_from: host.volumes_from.unwrap_or_default(),
        console_height: host.console_size[0],
        console_width: host.console_size[1],
        annotations: host.annotations.into_iter().collect(),
        cap_add: host.cap_add.unwrap_or_default(),
        cap_drop: host.cap_drop.unwrap_or_default(),
        cgroupns_mode: host.cgroupns_mode,
        dns: host.dns.unwrap_or_default(),
        dns_options: host.dns_options.unwrap_or_default(),
        dns_search: host.dns_search.unwrap_or_default(),
        extra_hosts: host.extra_hosts.unwrap_or_default(),
        group_add: host.group_add.unwrap_or_default(),
        ipc_mode: host.ipc_mode,
        cgroup: host.cgroup,
        links: host.links.unwrap_or_default(),
        oom_score_adj: i64::from(host.oom_score_adj),
        pid_mode: host.pid_mode,
        privileged: host.privileged,
        publish_all_ports: host.publish_all_ports,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: host.security_opt.unwrap_or_default(),
        storage_opt: host.storage_opt.into_iter().collect(),
        tmpfs: host.tmpfs.into_iter().collect(),
        uts_mode: host.uts_mode,
        userns_mode: host.userns_mode,
        shm_size: host.shm_size,
        sysctls: host.sysctls.into_iter().collect(),
        runtime: host.runtime,
        isolation: host.isolation,
        resources: Some(resources_to_engine(host.resources)),
        mounts: host.mounts.into_iter().map(mount_to_engine).collect(),
        masked_paths: string_list(host.masked_paths),
        readonly_paths: string_list(host.readonly_paths),
        init: host.init,
    }
}

/// To a client.
pub fn from_engine(host: engine::HostConfig) -> HostConfig {
    let log = host.log_config.unwrap_or_default();
    HostConfig {
        binds: or_null(host.binds),
        container_id_file: host.container_id_file,
        log_config: LogConfig { kind: log.r#type, config: log.config.into_iter().collect() },
        network_mode: host.network_mode,
        port_bindings: ports_from_engine(host.port_bindings),
        restart_policy: restart_from_engine(host.restart_policy.unwrap_or_default()),
        auto_remove: host.auto_remove,
        volume_driver: host.volume_driver,
        volumes_from: or_null(host.volumes_from),
        console_size: [host.console_height, host.console_width],
        annotations: host.annotations.into_iter().collect(),
        cap_add: or_null(host.cap_add),
        cap_drop: or_null(host.cap_drop),
        cgroupns_mode: host.cgroupns_mode,
        dns: Some(host.dns),
        dns_options: Some(host.dns_options),
        dns_search: Some(host.dns_search),
        extra_hosts: or_null(host.extra_hosts),
        group_add: or_null(host.group_add),
        ipc_mode: host.ipc_mode,
        cgroup: host.cgroup,
        links: or_null(host.links),
        oom_score_adj: i32::try_from(host.oom_score_adj).unwrap_or_default(),
        pid_mode: host.pid_mode,
        privileged: host.privileged,
        publish_all_ports: host.publish_all_ports,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: or_null(host.security_opt),
        storage_opt: host.storage_opt.into_iter().collect(),
        tmpfs: host.tmpfs.into_iter().collect(),
        uts_mode: host.uts_mode,
        userns_mode: host.userns_mode,
        shm_size: host.shm_size,
        sysctls: host.sysctls.into_iter().collect(),
        runtime: host.runtime,
        isolation: host.isolation,
        resources: resources_from_engine(host.resources.unwrap_or_default()),
        mounts: host.mounts.into_iter().map(mount_from_engine).collect(),
        masked_paths: host.masked_paths.map(|list| list.values),
        readonly_paths: host.readonly_paths.map(|list| list.values),
        init: host.init,
    }
}

/// A restart policy from a client.
pub fn restart_to_engine(policy: RestartPolicy) -> engine::RestartPolicy {
    engine::RestartPolicy { name: policy.name, maximum_retry_count: policy.maximum_retry_count }
}

fn restart_from_engine(policy: engine::RestartPolicy) -> RestartPolicy {
    RestartPolicy { name: policy.name, maximum_retry_count: policy.maximum_retry_count }
}

fn ports_to_engine(ports: PortMap) -> std::collections::HashMap<String, engine::PortBindings> {
    ports
        .into_iter()
        .map(|(port, bindings)| {
            let bindings = bindings.unwrap_or_default();
            let bindings = bindings
                .into_iter()
                .map(|to| engine::PortBinding { host_ip: to.host_ip, host_port: to.host_port })
                .collect();
            (port, engine::PortBindings { bindings })
        })
        .collect()
}

fn ports_from_engine(ports: std::collections::HashMap<String, engine::PortBindings>) -> PortMap {
    ports
        .into_iter()
        .map(|(port, of)| {
            let bindings = of
                .bindings
                .into_iter()
                .map(|to| PortBinding { host_ip: to.host_ip, host_port: to.host_port })
                .collect();
            (port, Some(bindings))
        })
        .collect()
}

/// Resources from a client.
pub fn resources_to_engine(of: Resources) -> engine::Resources {
    let throttles = |list: Option<Vec<ThrottleDevice>>| {
        list.unwrap_or_default()
            .into_iter()
            .map(|device| engine::ThrottleDevice { path: device.path, rate: device.rate })
            .collect()
    };
    engine::Resources {
        cpu_shares: of.cpu_shares,
        memory: of.memory,
        nano_cpus: of.nano_cpus,
        cgroup_parent: of.cgroup_parent,
        blkio_weight: of.blkio_weight,
        blkio_weight_device: of
            .blkio_weight_device
            .unwrap_or_default()
            .into_iter()
            .map(|device| engine::WeightDevice { path: device.path, weight: device.weight })
            .collect(),
        blkio_device_read_bps: throttles(of.blkio_device_read_bps),
        blkio_device_write_bps: throttles(of.blkio_device_write_bps),
        blkio_device_read_iops: throttles(of.blkio_device_read_iops),
        blkio_device_write_iops: throttles(of.blkio_device_write_iops),
        cpu_period: of.cpu_period,
        cpu_quota: of.cpu_quota,
        cpu_realtime_period: of.cpu_realtime_period,
        cpu_realtime_runtime: of.cpu_realtime_runtime,
        cpuset_cpus: of.cpuset_cpus,
        cpuset_mems: of.cpuset_mems,
        devices: of
            .devices
            .unwrap_or_default()
            .into_iter()
            .map(|device| engine::DeviceMapping {
                path_on_host: device.path_on_host,
                path_in_container: device.path_in_container,
                cgroup_permissions: device.cgroup_permissions,
            })
            .collect(),
        device_cgroup_rules: of.device_cgroup_rules.unwrap_or_default(),
        device_requests: of
            .device_requests
            .unwrap_or_default()
            .into_iter()
            .map(|request| engine::DeviceRequest {
                driver: request.driver,
                count: request.count,
                device_ids: request.device_ids.unwrap_or_default(),
                capabilities: request
                    .capabilities
                    .unwrap_or_default()
                    .into_iter()
                    .map(|values| engine::StringList { values })
                    .collect(),
                options: request.options.unwrap_or_default().into_iter().collect(),
            })
            .collect(),
        kernel_memory_tcp: of.kernel_memory_tcp,
        memory_reservation: of.memory_reservation,
        memory_swap: of.memory_swap,
        memory_swappiness: of.memory_swappiness,
        oom_kill_disable: of.oom_kill_disable,
        pids_limit: of.pids_limit,
        ulimits: of
            .ulimits
            .unwrap_or_default()
            .into_iter()
            .map(|limit| engine::Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard })
            .collect(),
    }
}

fn resources_from_engine(of: engine::Resources) -> Resources {
    // Empty lists are as Docker's own client sends them.
    let throttles = |list: Vec<engine::ThrottleDevice>| {
        or_null(
            list.into_iter().map(|device| ThrottleDevice { path: device.path, rate: device.rate }).collect(),
        )
    };
    Resources {
        cpu_shares: of.cpu_shares,
        memory: of.memory,
        nano_cpus: of.nano_cpus,
        cgroup_parent: of.cgroup_parent,
        blkio_weight: of.blkio_weight,
        blkio_weight_device: Some(
            of.blkio_weight_device
                .into_iter()
                .map(|device| WeightDevice { path: device.path, weight: device.weight })
                .collect(),
        ),
        blkio_device_read_bps: throttles(of.blkio_device_read_bps),
        blkio_device_write_bps: throttles(of.blkio_device_write_bps),
        blkio_device_read_iops: throttles(of.blkio_device_read_iops),
        blkio_device_write_iops: throttles(of.blkio_device_write_iops),
        cpu_period: of.cpu_period,
        cpu_quota: of.cpu_quota,
        cpu_realtime_period: of.cpu_realtime_period,
        cpu_realtime_runtime: of.cpu_realtime_runtime,
        cpuset_cpus: of.cpuset_cpus,
        cpuset_mems: of.cpuset_mems,
        devices: Some(
            of.devices
                .into_iter()
                .map(|device| DeviceMapping {
                    path_on_host: device.path_on_host,
                    path_in_container: device.path_in_container,
                    cgroup_permissions: device.cgroup_permissions,
                })
                .collect(),
        ),
        device_cgroup_rules: or_null(of.device_cgroup_rules),
        device_requests: or_null(
            of.device_requests
                .into_iter()
                .map(|request| DeviceRequest {
                    driver: request.driver,
                    count: request.count,
                    device_ids: or_null(request.device_ids),
                    capabilities: or_null(request.capabilities.into_iter().map(|list| list.values).collect()),
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
        ulimits: or_null(
            of.ulimits
                .into_iter()
                .map(|limit| Ulimit { name: limit.name, hard: limit.hard, soft: limit.soft })
                .collect(),
        ),
        ..Resources::default()
    }
}

fn mount_to_engine(mount: Mount) -> engine::Mount {
    engine::Mount {
        r#type: mount.kind,
        source: mount.source,
        target: mount.target,
        read_only: mount.read_only,
        consistency: mount.consistency,
        bind_options: mount.bind_options.map(|options| engine::BindOptions {
            propagation: options.propagation,
            non_recursive: options.non_recursive,
            create_mountpoint: options.create_mountpoint,
            read_only_non_recursive: options.read_only_non_recursive,
            read_only_force_recursive: options.read_only_force_recursive,
        }),
        volume_options: mount.volume_options.map(|options| {
            let driver = options.driver_config.unwrap_or_default();
            engine::VolumeOptions {
                no_copy: options.no_copy,
                labels: options.labels.into_iter().collect(),
                subpath: options.subpath,
                driver: driver.name,
                driver_options: driver.options.into_iter().collect(),
            }
        }),
        tmpfs_options: mount.tmpfs_options.map(|options| engine::TmpfsOptions {
            size_bytes: options.size_bytes,
            mode: options.mode,
            options: options.options.into_iter().map(|values| engine::StringList { values }).collect(),
        }),
        image_subpath: mount.image_options.unwrap_or_default().subpath,
    }
}

fn mount_from_engine(mount: engine::Mount) -> Mount {
    Mount {
        kind: mount.r#type,
        source: mount.source,
        target: mount.target,
        read_only: mount.read_only,
        consistency: mount.consistency,
        bind_options: mount.bind_options.map(|options| BindOptions {
            propagation: options.propagation,
            non_recursive: options.non_recursive,
            create_mountpoint: options.create_mountpoint,
            read_only_non_recursive: options.read_only_non_recursive,
            read_only_force_recursive: options.read_only_force_recursive,
        }),
        volume_options: mount.volume_options.map(|options| VolumeOptions {
            no_copy: options.no_copy,
            labels: options.labels.into_iter().collect(),
            subpath: options.subpath,
            driver_config: (!options.driver.is_empty() || !options.driver_options.is_empty()).then(|| {
                DriverConfig { name: options.driver, options: options.driver_options.into_iter().collect() }
            }),
        }),
        image_options: (!mount.image_subpath.is_empty())
            .then_some(ImageOptions { subpath: mount.image_subpath }),
        tmpfs_options: mount.tmpfs_options.map(|options| TmpfsOptions {
            size_bytes: options.size_bytes,
            mode: options.mode,
            options: options.options.into_iter().map(|list| list.values).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each key that a client sends comes back in an inspection.
    #[test]
    fn everything_survives_the_way_to_the_engine_and_back() {
        let sent: serde_json::Value = serde_json::from_str(
            r#"{
            "Binds": ["/a:/b:ro"], "ContainerIDFile": "/c", "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "AutoRemove": true, "VolumeDriver": "local",
            "VolumesFrom": ["x"], "ConsoleSize": [24, 80], "Annotations": {"a": "b"}, "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"],
            "CgroupnsMode": "host", "Dns": ["1.1.1.1"], "DnsOptions": ["ndots:1"], "DnsSearch": ["d"], "ExtraHosts": ["h:1.2.3.4"],
            "GroupAdd": ["g"], "IpcMode": "private", "Cgroup": "", "Links": ["l:m"], "OomScoreAdj": -5, "PidMode": "host",
            "Privileged": true, "PublishAllPorts": true, "ReadonlyRootfs": true, "SecurityOpt": ["no-new-privileges"],
            "StorageOpt": {"size": "1G"}, "Tmpfs": {"/t": "size=1m"}, "UTSMode": "host", "UsernsMode": "host", "ShmSize": 7,
            "Sysctls": {"net.x": "1"}, "Runtime": "runc", "Isolation": "", "CpuShares": 1, "Memory": 2, "NanoCpus": 3,
            "CgroupParent": "/p", "BlkioWeight": 10, "BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 1}],
            "BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": 1}], "BlkioDeviceWriteBps": [{"Path": "/dev/a", "Rate": 2}],
            "BlkioDeviceReadIOps": [{"Path": "/dev/a", "Rate": 3}], "BlkioDeviceWriteIOps": [{"Path": "/dev/a", "Rate": 4}],
            "CpuPeriod": 5, "CpuQuota": 6, "CpuRealtimePeriod": 7, "CpuRealtimeRuntime": 8, "CpusetCpus": "0", "CpusetMems": "0",
            "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n", "CgroupPermissions": "rwm"}],
            "DeviceCgroupRules": ["c 1:1 r"],
            "DeviceRequests": [{"Driver": "d", "Count": -1, "DeviceIDs": ["0"], "Capabilities": [["gpu"]], "Options": {"a": "b"}}],
            "KernelMemoryTCP": 9, "MemoryReservation": 10, "MemorySwap": -1, "MemorySwappiness": 60, "OomKillDisable": false,
            "PidsLimit": 100, "Ulimits": [{"Name": "nofile", "Hard": 2, "Soft": 1}],
            "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
            "Mounts": [
                {"Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": true, "Consistency": "cached",
                 "BindOptions": {"Propagation": "rslave", "NonRecursive": true, "CreateMountpoint": true}},
                {"Type": "volume", "Source": "v", "Target": "/v",
                 "VolumeOptions": {"NoCopy": true, "Labels": {"a": "b"}, "Subpath": "p", "DriverConfig": {"Name": "local", "Options": {"o": "x"}}}},
                {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 5, "Mode": 1023, "Options": [["noexec"]]}}
            ],
            "MaskedPaths": [], "ReadonlyPaths": ["/proc/bus"], "Init": true
            }"#,
        )
        .expect("json");
        let host: HostConfig = serde_json::from_value(sent.clone()).expect("all keys are known");
        let back = serde_json::to_value(from_engine(to_engine(host))).expect("json");
        assert_eq!(back, sent);
    }
}
