//! What a container is given of its host.

use std::collections::HashMap;

use super::{Mount, Resources};

/// What a container is given of its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// `source:destination[:options]`
    pub binds: Vec<String>,
    /// Where the client has written the id.
    pub container_id_file: String,
    /// Where its output goes.
    pub log_config: Option<LogConfig>,
    /// `bridge`, `host`, `none`, `container:x` or a network.
    pub network_mode: String,
    /// Where ports are published, by `80/tcp`.
    pub port_bindings: HashMap<String, Vec<PortBinding>>,
    /// When it is started again.
    pub restart_policy: Option<RestartPolicy>,
    /// It is removed at its end.
    pub auto_remove: bool,
    /// Of volumes that do not say theirs.
    pub volume_driver: String,
    /// `container[:mode]`
    pub volumes_from: Vec<String>,
    /// Lines of the terminal at its start.
    pub console_height: u32,
    /// Columns of the terminal at its start.
    pub console_width: u32,
    /// For the runtime.
    pub annotations: HashMap<String, String>,
    /// Capabilities that it has beside the usual ones.
    pub cap_add: Vec<String>,
    /// Capabilities that it lacks.
    pub cap_drop: Vec<String>,
    /// `private` or `host`.
    pub cgroupns_mode: String,
    /// Name servers.
    pub dns: Vec<String>,
    /// Options of resolv.conf(5).
    pub dns_options: Vec<String>,
    /// Domains that names are looked up in.
    pub dns_search: Vec<String>,
    /// `name:address`
    pub extra_hosts: Vec<String>,
    /// Further groups.
    pub group_add: Vec<String>,
    /// `none`, `private`, `shareable`, `host` or `container:x`.
    pub ipc_mode: String,
    /// For Docker's sake.
    pub cgroup: String,
    /// `container:alias`
    pub links: Vec<String>,
    /// How gladly the kernel ends it for want of memory.
    pub oom_score_adj: i64,
    /// Empty, `host` or `container:x`.
    pub pid_mode: String,
    /// It may do what the host may.
    pub privileged: bool,
    /// Exposed ports are published, too.
    pub publish_all_ports: bool,
    /// Its root cannot be written.
    pub readonly_rootfs: bool,
    /// `key=value`
    pub security_opt: Vec<String>,
    /// For the snapshotter.
    pub storage_opt: HashMap<String, String>,
    /// Options of file systems in memory, by path.
    pub tmpfs: HashMap<String, String>,
    /// Empty or `host`.
    pub uts_mode: String,
    /// Empty or `host`.
    pub userns_mode: String,
    /// Of `/dev/shm`, bytes; 0: the usual.
    pub shm_size: i64,
    /// Settings of its kernel namespaces.
    pub sysctls: HashMap<String, String>,
    /// Who runs it.
    pub runtime: String,
    /// For Docker's sake.
    pub isolation: String,
    /// Its limits.
    pub resources: Option<Resources>,
    /// What is mounted, in the long notation.
    pub mounts: Vec<Mount>,
    /// What it does not see; absent: the usual.
    pub masked_paths: Option<Vec<String>>,
    /// What it cannot write; absent: the usual.
    pub readonly_paths: Option<Vec<String>>,
    /// Whether a small init is its first process; absent: no.
    pub init: Option<bool>,
}

/// An address of the host that a port is published at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortBinding {
    /// Empty: all.
    pub host_ip: String,
    /// `8080`, `8000-8010` or empty.
    pub host_port: String,
}

/// When a container is started again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped`, `on-failure`, or empty.
    pub name: String,
    /// Of `on-failure`; 0: any number.
    pub maximum_retry_count: i64,
}

/// Where a container's output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// The log driver.
    pub r#type: String,
    /// Its options.
    pub config: HashMap<String, String>,
}
