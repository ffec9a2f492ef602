//! What a container is, as its image could also say.

use std::collections::HashMap;

/// What the image could also say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerConfig {
    /// Empty: made up.
    pub hostname: String,
    /// Its NIS domain.
    pub domainname: String,
    /// `user[:group]`, names or numbers; empty: root.
    pub user: String,
    /// Who made it wanted to write to it.
    pub attach_stdin: bool,
    /// Who made it wanted to read its output.
    pub attach_stdout: bool,
    /// Who made it wanted to read its errors.
    pub attach_stderr: bool,
    /// `80/tcp`
    pub exposed_ports: Vec<String>,
    /// Its process has a terminal.
    pub tty: bool,
    /// Its process can be written to.
    pub open_stdin: bool,
    /// Its input ends with the first who has written to it.
    pub stdin_once: bool,
    /// `NAME=value`
    pub env: Vec<String>,
    /// Absent: the image's.
    pub cmd: Option<Vec<String>>,
    /// Absent: the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Absent: the image's.
    pub healthcheck: Option<HealthConfig>,
    /// As the user named it.
    pub image: String,
    /// Paths of anonymous volumes.
    pub volumes: Vec<String>,
    /// Where its process begins.
    pub working_dir: String,
    /// It has no network.
    pub network_disabled: bool,
    /// Of its main endpoint, as old clients ask for it.
    pub mac_address: String,
    /// The user's, and the image's.
    pub labels: HashMap<String, String>,
    /// Name or number; empty: TERM.
    pub stop_signal: String,
    /// Seconds; absent: 10; negative: for ever.
    pub stop_timeout: Option<i64>,
    /// What Dockerfiles run commands with.
    pub shell: Vec<String>,
    /// For images that are made from this one.
    pub on_build: Vec<String>,
}

/// How a container's health is found out. Durations are nanoseconds; 0: inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthConfig {
    /// Empty: inherited; `NONE`; `CMD` …; `CMD-SHELL` ….
    pub test: Vec<String>,
    /// From one probe to the next.
    pub interval: i64,
    /// How long a probe may take.
    pub timeout: i64,
    /// How long failures do not count.
    pub start_period: i64,
    /// From one probe to the next in that time.
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    pub retries: i64,
}
