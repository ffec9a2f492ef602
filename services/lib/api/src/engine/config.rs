//! The part of a container's configuration that images have too.

use std::collections::HashMap;

/// The part of a container's configuration that images have too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerConfig {
    /// The host name; empty for the first 12 digits of the container's id, or the name of the namespace that it
    /// shares.
    pub hostname: String,
    /// The NIS domain name.
    pub domainname: String,
    /// `user[:group]`, each a name or a number; empty for root.
    pub user: String,
    /// The client that created the container attaches to stdin. The engine only stores this.
    pub attach_stdin: bool,
    /// The client attaches to stdout. The engine only stores this.
    pub attach_stdout: bool,
    /// The client attaches to stderr. The engine only stores this.
    pub attach_stderr: bool,
    /// `80/tcp`
    pub exposed_ports: Vec<String>,
    /// The container's process has a terminal.
    pub tty: bool,
    /// The process's stdin is open, so that clients can write to it.
    pub open_stdin: bool,
    /// Stdin closes when the first client that attached to it detaches.
    pub stdin_once: bool,
    /// `NAME=value`
    pub env: Vec<String>,
    /// The command; absent for the image's.
    pub cmd: Option<Vec<String>>,
    /// The entrypoint; absent for the image's.
    pub entrypoint: Option<Vec<String>>,
    /// The health check; absent for the image's.
    pub healthcheck: Option<HealthConfig>,
    /// The image as the user named it.
    pub image: String,
    /// Paths in the container at which anonymous volumes are mounted.
    pub volumes: Vec<String>,
    /// The absolute working directory of the process; empty for the root.
    pub working_dir: String,
    /// The container has no network but its loopback device.
    pub network_disabled: bool,
    /// The hardware address of the main endpoint, as old clients send it.
    pub mac_address: String,
    /// Labels of the user and the image.
    pub labels: HashMap<String, String>,
    /// The signal that stops the container, by name or number; empty for SIGTERM.
    pub stop_signal: String,
    /// Seconds between the stop signal and SIGKILL; absent for 10, negative for no limit.
    pub stop_timeout: Option<i64>,
    /// The shell of `CMD-SHELL` health checks and of commands in Dockerfiles.
    pub shell: Vec<String>,
    /// Dockerfile instructions for images that are built from an image of this container.
    pub on_build: Vec<String>,
}

/// A health check. Durations are nanoseconds, at least one millisecond; 0 inherits the image's, or else Docker's
/// default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthConfig {
    /// Empty inherits the image's check; `NONE`; `CMD` and its words; `CMD-SHELL` and a command line.
    pub test: Vec<String>,
    /// Time between probes.
    pub interval: i64,
    /// Time after which a probe fails.
    pub timeout: i64,
    /// Time after the start in which failures do not count.
    pub start_period: i64,
    /// Time between probes during the start period.
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    pub retries: i64,
}
