//! The stored form of a container's host configuration.

use std::collections::BTreeMap;

use gantry_api::{alike, engine as domain};

use super::{Mount, Resources, Words, values, words};

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

alike!(
    domain::HostConfig,
    HostConfig {
        binds,
        container_id_file,
        log_config: maybe,
        network_mode,
        port_bindings: entries(bindings, unbound),
        restart_policy: maybe,
        auto_remove,
        volume_driver,
        volumes_from,
        console_height,
        console_width,
        annotations: collected,
        cap_add,
        cap_drop,
        cgroupns_mode,
        dns,
        dns_options,
        dns_search,
        extra_hosts,
        group_add,
        ipc_mode,
        cgroup,
        links,
        oom_score_adj,
        pid_mode,
        privileged,
        publish_all_ports,
        readonly_rootfs,
        security_opt,
        storage_opt: collected,
        tmpfs: collected,
        uts_mode,
        userns_mode,
        shm_size,
        sysctls: collected,
        runtime,
        isolation,
        resources: maybe,
        mounts: each,
        masked_paths: maybe(words, values),
        readonly_paths: maybe(words, values),
        init,
    }
);

/// See [`domain::PortBinding`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct PortBinding {
    #[prost(string, tag = "1")]
    host_ip: String,
    #[prost(string, tag = "2")]
    host_port: String,
}

alike!(domain::PortBinding, PortBinding { host_ip, host_port });

/// A host address and port at which a port is published.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PortBindings {
    #[prost(message, repeated, tag = "1")]
    bindings: Vec<PortBinding>,
}

fn bindings(of: Vec<domain::PortBinding>) -> PortBindings {
    PortBindings { bindings: of.into_iter().map(Into::into).collect() }
}

fn unbound(of: PortBindings) -> Vec<domain::PortBinding> {
    of.bindings.into_iter().map(Into::into).collect()
}

/// See [`domain::RestartPolicy`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct RestartPolicy {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "2")]
    maximum_retry_count: i64,
}

alike!(domain::RestartPolicy, RestartPolicy { name, maximum_retry_count });

/// See [`domain::LogConfig`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct LogConfig {
    #[prost(string, tag = "1")]
    r#type: String,
    #[prost(btree_map = "string, string", tag = "2")]
    config: BTreeMap<String, String>,
}

alike!(domain::LogConfig, LogConfig { r#type, config: collected });
