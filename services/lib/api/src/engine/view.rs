//! Containers as they are shown.

use std::collections::HashMap;

use super::{ContainerConfig, EndpointSettings, HostConfig, MountPoint, Status};

/// What a container does, and what is known of its last run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// In Docker's word.
    pub status: Status,
    /// The last run was ended by the kernel for want of memory.
    pub oom_killed: bool,
    /// Of the first process; 0 when there is none.
    pub pid: u32,
    /// Of the last run.
    pub exit_code: i32,
    /// Why the last start failed.
    pub error: String,
    /// When the last run began.
    pub started_at: i64,
    /// When it ended.
    pub finished_at: i64,
    /// Absent: no health check.
    pub health: Option<Health>,
}

/// What probes have found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy`.
    pub status: String,
    /// Failures in a row.
    pub failing_streak: i64,
    /// The last probes; empty in lists.
    pub log: Vec<HealthResult>,
}

/// A probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthResult {
    /// When it began.
    pub start: i64,
    /// When it ended.
    pub end: i64,
    /// Of its process.
    pub exit_code: i32,
    /// What it printed, up to a length.
    pub output: String,
}

/// A port that leads to a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedPort {
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
    /// There.
    pub container_port: u32,
    /// The host's address.
    pub host_ip: String,
    /// Here.
    pub host_port: u32,
}

/// An endpoint with the name of its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedEndpoint {
    /// The network.
    pub network: String,
    /// The endpoint.
    pub settings: EndpointSettings,
}

/// What a list shows of a container: a fraction of the whole, for lists are long and asked for often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without the slash.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// Health without its log.
    pub state: State,
    /// As the user named it.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// Of the platform's manifest.
    pub manifest_digest: String,
    /// Of the manifest.
    pub manifest_size: i64,
    /// Of the manifest.
    pub manifest_media_type: String,
    /// What runs.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The user's, and the image's.
    pub labels: HashMap<String, String>,
    /// As asked for.
    pub network_mode: String,
    /// For the runtime.
    pub annotations: HashMap<String, String>,
    /// Its endpoints.
    pub networks: Vec<NamedEndpoint>,
    /// Its mounts.
    pub mounts: Vec<MountPoint>,
    /// The ports that lead to it.
    pub ports: Vec<PublishedPort>,
    /// As in `80/tcp`.
    pub exposed_ports: Vec<String>,
    /// What it has written itself; only when asked for.
    pub size_rw: Option<i64>,
    /// The same with its image; only when asked for.
    pub size_root_fs: Option<i64>,
    /// Those of links to it, as in `parent/alias`.
    pub further_names: Vec<String>,
}

/// The whole of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without the slash.
    pub name: String,
    /// When it was made.
    pub created_at: i64,
    /// What it does.
    pub state: State,
    /// Merged with the image's.
    pub config: ContainerConfig,
    /// With every default.
    pub host: HostConfig,
    /// By network name.
    pub networks: HashMap<String, EndpointSettings>,
    /// Its mounts.
    pub mounts: Vec<MountPoint>,
    /// The image's id.
    pub image_id: String,
    /// Of the platform's manifest.
    pub manifest_digest: String,
    /// What runs.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Automatic ones since the last start by hand.
    pub restart_count: u32,
    /// `linux`
    pub platform: String,
    /// Its log; empty when it has no file of its own.
    pub log_path: String,
    /// Its `/etc/hosts`.
    pub hosts_path: String,
    /// Its `/etc/hostname`.
    pub hostname_path: String,
    /// Its `/etc/resolv.conf`.
    pub resolv_conf_path: String,
    /// Of live execs.
    pub exec_ids: Vec<String>,
    /// The ports that lead to it.
    pub ports: Vec<PublishedPort>,
    /// Where its network namespace is pinned.
    pub sandbox_key: String,
    /// Who keeps its root.
    pub snapshotter: String,
    /// What it has written itself; only when asked for.
    pub size_rw: Option<i64>,
    /// The same with its image; only when asked for.
    pub size_root_fs: Option<i64>,
    /// Where the overlay's upper directory is, and the like.
    pub graph_data: HashMap<String, String>,
    /// Of the manifest.
    pub manifest_size: i64,
    /// Of the manifest.
    pub manifest_media_type: String,
    /// Empty where the machine has no AppArmor. Before the first start, the one that was asked for.
    pub apparmor_profile: String,
}
