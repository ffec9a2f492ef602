//! A container's host configuration.

use gantry_api::{alike, engine};

use super::{mount, or_null, resources};
use crate::wire::host_config::{HostConfig, LogConfig, PortBinding, RestartPolicy};

/// Converts a client's host configuration for the engine.
pub fn to_engine(host: HostConfig) -> engine::HostConfig {
    engine::HostConfig {
        binds: host.binds.unwrap_or_default(),
        container_id_file: host.container_id_file,
        log_config: Some(engine::LogConfig {
            r#type: host.log_config.kind,
            config: host.log_config.config.into_iter().collect(),
        }),
        network_mode: host.network_mode,
        port_bindings: host.port_bindings.into_iter().map(|(port, of)| (port, bindings(of))).collect(),
        restart_policy: Some(host.restart_policy.into()),
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
        resources: Some(resources::to_engine(host.resources)),
        mounts: host.mounts.into_iter().map(mount::to_engine).collect(),
        masked_paths: host.masked_paths,
        readonly_paths: host.readonly_paths,
        init: host.init,
    }
}

/// Converts the engine's host configuration for a client.
pub fn from_engine(host: engine::HostConfig) -> HostConfig {
    let log = host.log_config.unwrap_or_default();
    HostConfig {
        binds: or_null(host.binds),
        container_id_file: host.container_id_file,
        log_config: LogConfig { kind: log.r#type, config: log.config.into_iter().collect() },
        network_mode: host.network_mode,
        port_bindings: host
            .port_bindings
            .into_iter()
            .map(|(port, of)| (port, Some(of.into_iter().map(Into::into).collect())))
            .collect(),
        restart_policy: host.restart_policy.unwrap_or_default().into(),
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
        resources: resources::from_engine(host.resources.unwrap_or_default()),
        mounts: host.mounts.into_iter().map(mount::from_engine).collect(),
        masked_paths: host.masked_paths,
        readonly_paths: host.readonly_paths,
        init: host.init,
    }
}

alike!(RestartPolicy, engine::RestartPolicy { name, maximum_retry_count });

alike!(PortBinding, engine::PortBinding { host_ip, host_port });

/// Where a client wants a port; `null` is nowhere.
fn bindings(of: Option<Vec<PortBinding>>) -> Vec<engine::PortBinding> {
    of.unwrap_or_default().into_iter().map(Into::into).collect()
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
