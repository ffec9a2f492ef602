//! What a container is given of its host.

use std::collections::BTreeMap;

use gantry_api::engine as domain;

use super::{Mount, Resources, Words, words};

/// See [`domain::HostConfig`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct HostConfig {
    #[prost(string, repeated, tag = "1")]
    binds: Vec<String>,
    #[prost(string, tag = "2")]
    container_id_file: String,
    #[prost(message, optional, tag = "3")]
    log_config: Option<LogConfig>,
    #[prost(string, tag = "4")]
    network_mode: String,
    #[prost(btree_map = "string, message", tag = "5")]
    port_bindings: BTreeMap<String, PortBindings>,
    #[prost(message, optional, tag = "6")]
    restart_policy: Option<RestartPolicy>,
    #[prost(bool, tag = "7")]
    auto_remove: bool,
    #[prost(string, tag = "8")]
    volume_driver: String,
    #[prost(string, repeated, tag = "9")]
    volumes_from: Vec<String>,
    #[prost(uint32, tag = "10")]
    console_height: u32,
    #[prost(uint32, tag = "11")]
    console_width: u32,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(string, repeated, tag = "13")]
    cap_add: Vec<String>,
    #[prost(string, repeated, tag = "14")]
    cap_drop: Vec<String>,
    #[prost(string, tag = "15")]
    cgroupns_mode: String,
    #[prost(string, repeated, tag = "16")]
    dns: Vec<String>,
    #[prost(string, repeated, tag = "17")]
    dns_options: Vec<String>,
    #[prost(string, repeated, tag = "18")]
    dns_search: Vec<String>,
    #[prost(string, repeated, tag = "19")]
    extra_hosts: Vec<String>,
    #[prost(string, repeated, tag = "20")]
    group_add: Vec<String>,
    #[prost(string, tag = "21")]
    ipc_mode: String,
    #[prost(string, tag = "22")]
    cgroup: String,
    #[prost(string, repeated, tag = "23")]
    links: Vec<String>,
    #[prost(int64, tag = "24")]
    oom_score_adj: i64,
    #[prost(string, tag = "25")]
    pid_mode: String,
    #[prost(bool, tag = "26")]
    privileged: bool,
    #[prost(bool, tag = "27")]
    publish_all_ports: bool,
    #[prost(bool, tag = "28")]
    readonly_rootfs: bool,
    #[prost(string, repeated, tag = "29")]
    security_opt: Vec<String>,
    #[prost(btree_map = "string, string", tag = "30")]
    storage_opt: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "31")]
    tmpfs: BTreeMap<String, String>,
    #[prost(string, tag = "32")]
    uts_mode: String,
    #[prost(string, tag = "33")]
    userns_mode: String,
    #[prost(int64, tag = "34")]
    shm_size: i64,
    #[prost(btree_map = "string, string", tag = "35")]
    sysctls: BTreeMap<String, String>,
    #[prost(string, tag = "36")]
    runtime: String,
    #[prost(string, tag = "37")]
    isolation: String,
    #[prost(message, optional, tag = "38")]
    resources: Option<Resources>,
    #[prost(message, repeated, tag = "39")]
    mounts: Vec<Mount>,
    #[prost(message, optional, tag = "40")]
    masked_paths: Option<Words>,
    #[prost(message, optional, tag = "41")]
    readonly_paths: Option<Words>,
    #[prost(bool, optional, tag = "42")]
    init: Option<bool>,
}

impl From<domain::HostConfig> for HostConfig {
    fn from(host: domain::HostConfig) -> Self {
        HostConfig {
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
            annotations: host.annotations.into_iter().collect(),
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
            storage_opt: host.storage_opt.into_iter().collect(),
            tmpfs: host.tmpfs.into_iter().collect(),
            uts_mode: host.uts_mode,
            userns_mode: host.userns_mode,
            shm_size: host.shm_size,
            sysctls: host.sysctls.into_iter().collect(),
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

impl From<HostConfig> for domain::HostConfig {
    fn from(host: HostConfig) -> Self {
        domain::HostConfig {
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
            annotations: host.annotations.into_iter().collect(),
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
            storage_opt: host.storage_opt.into_iter().collect(),
            tmpfs: host.tmpfs.into_iter().collect(),
            uts_mode: host.uts_mode,
            userns_mode: host.userns_mode,
            shm_size: host.shm_size,
            sysctls: host.sysctls.into_iter().collect(),
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

/// See [`domain::PortBinding`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct PortBinding {
    #[prost(string, tag = "1")]
    host_ip: String,
    #[prost(string, tag = "2")]
    host_port: String,
}

impl From<domain::PortBinding> for PortBinding {
    fn from(binding: domain::PortBinding) -> Self {
        PortBinding { host_ip: binding.host_ip, host_port: binding.host_port }
    }
}

impl From<PortBinding> for domain::PortBinding {
    fn from(binding: PortBinding) -> Self {
        domain::PortBinding { host_ip: binding.host_ip, host_port: binding.host_port }
    }
}

/// Where one port is published.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PortBindings {
    #[prost(message, repeated, tag = "1")]
    bindings: Vec<PortBinding>,
}

fn bindings(of: Vec<domain::PortBinding>) -> PortBindings {
    PortBindings { bindings: of.into_iter().map(Into::into).collect() }
}

/// See [`domain::RestartPolicy`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct RestartPolicy {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    maximum_retry_count: i64,
}

impl From<domain::RestartPolicy> for RestartPolicy {
    fn from(policy: domain::RestartPolicy) -> Self {
        RestartPolicy { name: policy.name, maximum_retry_count: policy.maximum_retry_count }
    }
}

impl From<RestartPolicy> for domain::RestartPolicy {
    fn from(policy: RestartPolicy) -> Self {
        domain::RestartPolicy { name: policy.name, maximum_retry_count: policy.maximum_retry_count }
    }
}

/// See [`domain::LogConfig`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogConfig {
    #[prost(string, tag = "1")]
    r#type: String,
    #[prost(btree_map = "string, string", tag = "2")]
    config: BTreeMap<String, String>,
}

impl From<domain::LogConfig> for LogConfig {
    fn from(log: domain::LogConfig) -> Self {
        LogConfig { r#type: log.r#type, config: log.config.into_iter().collect() }
    }
}

impl From<LogConfig> for domain::LogConfig {
    fn from(log: LogConfig) -> Self {
        domain::LogConfig { r#type: log.r#type, config: log.config.into_iter().collect() }
    }
}
