//! What a container is given of its host.

use gantry_proto::gantry::engine::v1 as pb;

use super::words;
use crate::engine::{HostConfig, LogConfig, PortBinding, RestartPolicy};

impl From<HostConfig> for pb::HostConfig {
    fn from(host: HostConfig) -> Self {
        pb::HostConfig {
            binds: host.binds,
            container_id_file: host.container_id_file,
            log_config: host.log_config.map(Into::into),
            network_mode: host.network_mode,
            port_bindings: host.port_bindings.into_iter().map(|(port, of)| (port, bindings(of))).collect(),
            restart_policy: host.restart_policy.map(Into::into),
            auto_remove: host.auto_remove,
            volume_driver: host.volume_driver,
            volumes_from: host.volumes_from,
            console_height: host.console_height,
            console_width: host.console_width,
            annotations: host.annotations,
            cap_add: host.cap_add,
            cap_drop: host.cap_drop,
            cgroupns_mode: host.cgroupns_mode,
            dns: host.dns,
            dns_options: host.dns_options,
            dns_search: host.dns_search,
            extra_hosts: host.extra_hosts,
            group_add: host.group_add,
            ipc_mode: host.ipc_mode,
            cgroup: host.cgroup,
            links: host.links,
            oom_score_adj: host.oom_score_adj,
            pid_mode: host.pid_mode,
            privileged: host.privileged,
            publish_all_ports: host.publish_all_ports,
            readonly_rootfs: host.readonly_rootfs,
            security_opt: host.security_opt,
            storage_opt: host.storage_opt,
            tmpfs: host.tmpfs,
            uts_mode: host.uts_mode,
            userns_mode: host.userns_mode,
            shm_size: host.shm_size,
            sysctls: host.sysctls,
            runtime: host.runtime,
            isolation: host.isolation,
            resources: host.resources.map(Into::into),
            mounts: host.mounts.into_iter().map(Into::into).collect(),
            masked_paths: host.masked_paths.map(words),
            readonly_paths: host.readonly_paths.map(words),
            init: host.init,
        }
    }
}

impl From<pb::HostConfig> for HostConfig {
    fn from(host: pb::HostConfig) -> Self {
        HostConfig {
            binds: host.binds,
            container_id_file: host.container_id_file,
            log_config: host.log_config.map(Into::into),
            network_mode: host.network_mode,
            port_bindings: host
                .port_bindings
                .into_iter()
                .map(|(port, of)| (port, of.bindings.into_iter().map(Into::into).collect()))
                .collect(),
            restart_policy: host.restart_policy.map(Into::into),
            auto_remove: host.auto_remove,
            volume_driver: host.volume_driver,
            volumes_from: host.volumes_from,
            console_height: host.console_height,
            console_width: host.console_width,
            annotations: host.annotations,
            cap_add: host.cap_add,
            cap_drop: host.cap_drop,
            cgroupns_mode: host.cgroupns_mode,
            dns: host.dns,
            dns_options: host.dns_options,
            dns_search: host.dns_search,
            extra_hosts: host.extra_hosts,
            group_add: host.group_add,
            ipc_mode: host.ipc_mode,
            cgroup: host.cgroup,
            links: host.links,
            oom_score_adj: host.oom_score_adj,
            pid_mode: host.pid_mode,
            privileged: host.privileged,
            publish_all_ports: host.publish_all_ports,
            readonly_rootfs: host.readonly_rootfs,
            security_opt: host.security_opt,
            storage_opt: host.storage_opt,
            tmpfs: host.tmpfs,
            uts_mode: host.uts_mode,
            userns_mode: host.userns_mode,
            shm_size: host.shm_size,
            sysctls: host.sysctls,
            runtime: host.runtime,
            isolation: host.isolation,
            resources: host.resources.map(Into::into),
            mounts: host.mounts.into_iter().map(Into::into).collect(),
            masked_paths: host.masked_paths.map(|words| words.values),
            readonly_paths: host.readonly_paths.map(|words| words.values),
            init: host.init,
        }
    }
}

impl From<PortBinding> for pb::PortBinding {
    fn from(binding: PortBinding) -> Self {
        pb::PortBinding { host_ip: binding.host_ip, host_port: binding.host_port }
    }
}

impl From<pb::PortBinding> for PortBinding {
    fn from(binding: pb::PortBinding) -> Self {
        PortBinding { host_ip: binding.host_ip, host_port: binding.host_port }
    }
}

impl From<RestartPolicy> for pb::RestartPolicy {
    fn from(policy: RestartPolicy) -> Self {
        pb::RestartPolicy { name: policy.name, maximum_retry_count: policy.maximum_retry_count }
    }
}

impl From<pb::RestartPolicy> for RestartPolicy {
    fn from(policy: pb::RestartPolicy) -> Self {
        RestartPolicy { name: policy.name, maximum_retry_count: policy.maximum_retry_count }
    }
}

impl From<LogConfig> for pb::LogConfig {
    fn from(log: LogConfig) -> Self {
        pb::LogConfig { r#type: log.r#type, config: log.config }
    }
}

impl From<pb::LogConfig> for LogConfig {
    fn from(log: pb::LogConfig) -> Self {
        LogConfig { r#type: log.r#type, config: log.config }
    }
}

fn bindings(of: Vec<PortBinding>) -> pb::PortBindings {
    pb::PortBindings { bindings: of.into_iter().map(Into::into).collect() }
}
