//! Containers as clients see them.

use std::collections::HashMap;

use super::{ContainerConfig, EndpointSettings, HostConfig, MountPoint, Status};

/// The state of a container and the outcome of its last run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The state.
    pub status: Status,
    /// The kernel ended the last run for lack of memory.
    pub oom_killed: bool,
    /// Process id of the container's first process; 0 without a process.
    pub pid: u32,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// The error of the last start; empty if it succeeded.
    pub error: String,
    /// Start of the last run, nanoseconds since 1970; 0 for never.
    pub started_at: i64,
    /// End of the last run, nanoseconds since 1970; 0 for never.
    pub finished_at: i64,
    /// The health; absent without a health check.
    pub health: Option<Health>,
}

/// The health of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy`.
    pub status: String,
    /// Failed probes since the last success.
    pub failing_streak: i64,
    /// The last five probes, oldest first; empty in lists.
    pub log: Vec<HealthResult>,
}

/// One probe of a health check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthResult {
    /// Start of the probe, nanoseconds since 1970.
    pub start: i64,
    /// End of the probe, nanoseconds since 1970.
    pub end: i64,
    /// Exit code of the probe; 0 means healthy, -1 that it timed out.
    pub exit_code: i32,
    /// The first 4096 bytes of its output.
    pub output: String,
}

/// A port of a container that is published on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedPort {
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
    /// The port in the container.
    pub container_port: u32,
    /// The host's address.
    pub host_ip: String,
    /// The port on the host.
    pub host_port: u32,
}

/// An endpoint with the name of its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedEndpoint {
    /// The network's name.
    pub network: String,
    /// The endpoint.
    pub settings: EndpointSettings,
}

/// What a list shows of a container. It is a part of Container, because lists are long and requested often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerSummary {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The name without a slash.
    pub name: String,
    /// Time of creation, nanoseconds since 1970.
    pub created_at: i64,
    /// The state; its health has no log.
    pub state: State,
    /// The image as the user named it.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// Digest of the manifest for the container's platform.
    pub manifest_digest: String,
    /// Size of the manifest, bytes.
    pub manifest_size: i64,
    /// Media type of the manifest.
    pub manifest_media_type: String,
    /// The program.
    pub path: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// Labels of the user and the image.
    pub labels: HashMap<String, String>,
    /// The network mode of the host configuration.
    pub network_mode: String,
    /// Annotations of the OCI runtime specification.
    pub annotations: HashMap<String, String>,
    /// The endpoints.
    pub networks: Vec<NamedEndpoint>,
    /// The mounts.
    pub mounts: Vec<MountPoint>,
    /// The published ports.
    pub ports: Vec<PublishedPort>,
    /// `80/tcp`
    pub exposed_ports: Vec<String>,
    /// Bytes in the container's own layer; absent unless the request asked for sizes.
    pub size_rw: Option<i64>,
    /// Bytes in the container's layer and its image; absent unless the request asked for sizes.
    pub size_root_fs: Option<i64>,
    /// Names from links to this container: `parent/alias`.
    pub further_names: Vec<String>,
}

/// A container as `docker inspect` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The name without a slash.
    pub name: String,
    /// Time of creation, nanoseconds since 1970.
    pub created_at: i64,
    /// The state.
    pub state: State,
    /// The user's configuration merged with the image's.
    pub config: ContainerConfig,
    /// The host configuration with every default filled in.
    pub host: HostConfig,
    /// The endpoints; the key is the network's name.
    pub networks: HashMap<String, EndpointSettings>,
    /// The mounts.
    pub mounts: Vec<MountPoint>,
    /// The image's id.
    pub image_id: String,
    /// Digest of the manifest for the container's platform.
    pub manifest_digest: String,
    /// The program.
    pub path: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// Automatic starts since the last start by a user.
    pub restart_count: u32,
    /// The operating system: `linux`.
    pub platform: String,
    /// The path of the log; empty if the log driver has no file that users may read.
    pub log_path: String,
    /// The path of the file mounted at `/etc/hosts`.
    pub hosts_path: String,
    /// The path of the file mounted at `/etc/hostname`.
    pub hostname_path: String,
    /// The path of the file mounted at `/etc/resolv.conf`.
    pub resolv_conf_path: String,
    /// Ids of the execs that have not ended.
    pub exec_ids: Vec<String>,
    /// The published ports.
    pub ports: Vec<PublishedPort>,
    /// The path of the network namespace, while the container runs.
    pub sandbox_key: String,
    /// The snapshotter that keeps the root file system.
    pub snapshotter: String,
    /// Bytes in the container's own layer; absent unless the request asked for sizes.
    pub size_rw: Option<i64>,
    /// Bytes in the container's layer and its image; absent unless the request asked for sizes.
    pub size_root_fs: Option<i64>,
    /// The overlay's directories: `LowerDir`, `UpperDir`, `WorkDir`.
    pub graph_data: HashMap<String, String>,
    /// Size of the manifest, bytes.
    pub manifest_size: i64,
    /// Media type of the manifest.
    pub manifest_media_type: String,
    /// The AppArmor profile of the processes; before the first start, the requested one. Empty if the host has no
    /// AppArmor.
    pub apparmor_profile: String,
}
