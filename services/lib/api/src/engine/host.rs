//! The part of a container's configuration that concerns the host.

use std::collections::HashMap;

use super::{Mount, Resources};

/// The part of a container's configuration that concerns the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// `source:destination[:options]`
    pub binds: Vec<String>,
    /// The file in which the client has written the container's id. The engine only stores it.
    pub container_id_file: String,
    /// The log driver.
    pub log_config: Option<LogConfig>,
    /// `bridge`, `host`, `none`, `container:` and a container, or a network's name; empty for `bridge`.
    pub network_mode: String,
    /// Published ports; the key is the container's port, `80/tcp`.
    pub port_bindings: HashMap<String, Vec<PortBinding>>,
    /// When the container is started again.
    pub restart_policy: Option<RestartPolicy>,
    /// The engine removes the container at its end. Excludes a restart policy.
    pub auto_remove: bool,
    /// The driver for volumes that name none.
    pub volume_driver: String,
    /// Containers whose mounts this one gets: `container[:mode]`.
    pub volumes_from: Vec<String>,
    /// Lines of the terminal at the start; 0 for the default.
    pub console_height: u32,
    /// Columns of the terminal at the start; 0 for the default.
    pub console_width: u32,
    /// Annotations of the OCI runtime specification.
    pub annotations: HashMap<String, String>,
    /// Capabilities to add to Docker's default set; `ALL` for all.
    pub cap_add: Vec<String>,
    /// Capabilities to drop; `ALL` for all.
    pub cap_drop: Vec<String>,
    /// `private`, `host`, or empty for the cgroup version's default.
    pub cgroupns_mode: String,
    /// Addresses of name servers.
    pub dns: Vec<String>,
    /// Options of resolv.conf(5).
    pub dns_options: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// Lines for `/etc/hosts`: `name:address`, where the address may be `host-gateway`.
    pub extra_hosts: Vec<String>,
    /// Further groups of the process, by name or number.
    pub group_add: Vec<String>,
    /// `none`, `private`, `shareable`, `host`, `container:` and a container; empty for `private`.
    pub ipc_mode: String,
    /// Docker's API has the field; it changes nothing.
    pub cgroup: String,
    /// Links to containers on the default network: `container:alias`.
    pub links: Vec<String>,
    /// How likely the kernel kills the container when memory is short, -1000 to 1000.
    pub oom_score_adj: i64,
    /// Empty for a namespace of its own, `host`, or `container:` and a container.
    pub pid_mode: String,
    /// The container has all capabilities and devices, and is not confined.
    pub privileged: bool,
    /// Every exposed port is published at a free port of the host.
    pub publish_all_ports: bool,
    /// The root file system is read-only.
    pub readonly_rootfs: bool,
    /// Docker's security options: `key=value`.
    pub security_opt: Vec<String>,
    /// The engine refuses every option with UNIMPLEMENTED.
    pub storage_opt: HashMap<String, String>,
    /// tmpfs mounts: the key is the path, the value mount(8) options.
    pub tmpfs: HashMap<String, String>,
    /// Empty for a namespace of its own, or `host`.
    pub uts_mode: String,
    /// Empty, `private` or `host`; containers have no user namespace of their own.
    pub userns_mode: String,
    /// Size of `/dev/shm`, bytes; 0 for 64 MiB.
    pub shm_size: i64,
    /// Kernel settings of the container's namespaces.
    pub sysctls: HashMap<String, String>,
    /// A name of Gantry's own runtime; empty for `runc`, which is one. Any other name is INVALID_ARGUMENT.
    pub runtime: String,
    /// Empty or `default`.
    pub isolation: String,
    /// The limits.
    pub resources: Option<Resources>,
    /// Mounts in the long notation.
    pub mounts: Vec<Mount>,
    /// Paths that the container cannot see; absent for Docker's defaults.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that the container cannot write; absent for Docker's defaults.
    pub readonly_paths: Option<Vec<String>>,
    /// A small init runs as the container's first process; absent for no.
    pub init: Option<bool>,
}

/// An address of the host at which a port is published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortBinding {
    /// The host's address; empty for all addresses.
    pub host_ip: String,
    /// `8080`, a range `8000-8010` from which one port is chosen, or empty for any free port.
    pub host_port: String,
}

/// When the engine starts a container again after its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartPolicy {
    /// `no`, `always`, `unless-stopped`, `on-failure`, or empty for `no`.
    pub name: String,
    /// Most restarts of `on-failure`; 0 for no limit.
    pub maximum_retry_count: i64,
}

/// The log driver of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// The driver's name; empty for `json-file`.
    pub r#type: String,
    /// The driver's options.
    pub config: HashMap<String, String>,
}
