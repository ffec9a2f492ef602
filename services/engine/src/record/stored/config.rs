//! What a container is.

use std::collections::BTreeMap;

use gantry_api::engine as domain;

use super::{Words, words};

/// See [`domain::ContainerConfig`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerConfig {
    #[prost(string, tag = "1")]
    hostname: String,
    #[prost(string, tag = "2")]
    domainname: String,
    #[prost(string, tag = "3")]
    user: String,
    #[prost(bool, tag = "4")]
    attach_stdin: bool,
    #[prost(bool, tag = "5")]
    attach_stdout: bool,
    #[prost(bool, tag = "6")]
    attach_stderr: bool,
    #[prost(string, repeated, tag = "7")]
    exposed_ports: Vec<String>,
    #[prost(bool, tag = "8")]
    tty: bool,
    #[prost(bool, tag = "9")]
    open_stdin: bool,
    #[prost(bool, tag = "10")]
    stdin_once: bool,
    #[prost(string, repeated, tag = "11")]
    env: Vec<String>,
    #[prost(message, optional, tag = "12")]
    cmd: Option<Words>,
    #[prost(message, optional, tag = "13")]
    entrypoint: Option<Words>,
    #[prost(message, optional, tag = "14")]
    healthcheck: Option<HealthConfig>,
    #[prost(string, tag = "15")]
    image: String,
    #[prost(string, repeated, tag = "16")]
    volumes: Vec<String>,
    #[prost(string, tag = "17")]
    working_dir: String,
    #[prost(bool, tag = "18")]
    network_disabled: bool,
    #[prost(string, tag = "19")]
    mac_address: String,
    #[prost(btree_map = "string, string", tag = "20")]
    labels: BTreeMap<String, String>,
    #[prost(string, tag = "21")]
    stop_signal: String,
    #[prost(int64, optional, tag = "22")]
    stop_timeout: Option<i64>,
    #[prost(string, repeated, tag = "23")]
    shell: Vec<String>,
    #[prost(string, repeated, tag = "24")]
    on_build: Vec<String>,
}

impl From<domain::ContainerConfig> for ContainerConfig {
    fn from(config: domain::ContainerConfig) -> Self {
        ContainerConfig {
            hostname: config.hostname,
            domainname: config.domainname,
            user: config.user,
            attach_stdin: config.attach_stdin,
            attach_stdout: config.attach_stdout,
            attach_stderr: config.attach_stderr,
            exposed_ports: config.exposed_ports,
            tty: config.tty,
            open_stdin: config.open_stdin,
            stdin_once: config.stdin_once,
            env: config.env,
            cmd: config.cmd.map(words),
            entrypoint: config.entrypoint.map(words),
            healthcheck: config.healthcheck.map(Into::into),
            image: config.image,
            volumes: config.volumes,
            working_dir: config.working_dir,
            network_disabled: config.network_disabled,
            mac_address: config.mac_address,
            labels: config.labels.into_iter().collect(),
            stop_signal: config.stop_signal,
            stop_timeout: config.stop_timeout,
            shell: config.shell,
            on_build: config.on_build,
        }
    }
}

impl From<ContainerConfig> for domain::ContainerConfig {
    fn from(config: ContainerConfig) -> Self {
        domain::ContainerConfig {
            hostname: config.hostname,
            domainname: config.domainname,
            user: config.user,
            attach_stdin: config.attach_stdin,
            attach_stdout: config.attach_stdout,
            attach_stderr: config.attach_stderr,
            exposed_ports: config.exposed_ports,
            tty: config.tty,
            open_stdin: config.open_stdin,
            stdin_once: config.stdin_once,
            env: config.env,
            cmd: config.cmd.map(|words| words.values),
            entrypoint: config.entrypoint.map(|words| words.values),
            healthcheck: config.healthcheck.map(Into::into),
            image: config.image,
            volumes: config.volumes,
            working_dir: config.working_dir,
            network_disabled: config.network_disabled,
            mac_address: config.mac_address,
            labels: config.labels.into_iter().collect(),
            stop_signal: config.stop_signal,
            stop_timeout: config.stop_timeout,
            shell: config.shell,
            on_build: config.on_build,
        }
    }
}

/// See [`domain::HealthConfig`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct HealthConfig {
    #[prost(string, repeated, tag = "1")]
    test: Vec<String>,
    #[prost(int64, tag = "2")]
    interval: i64,
    #[prost(int64, tag = "3")]
    timeout: i64,
    #[prost(int64, tag = "4")]
    start_period: i64,
    #[prost(int64, tag = "5")]
    start_interval: i64,
    #[prost(int64, tag = "6")]
    retries: i64,
}

impl From<domain::HealthConfig> for HealthConfig {
    fn from(health: domain::HealthConfig) -> Self {
        HealthConfig {
            test: health.test,
            interval: health.interval,
            timeout: health.timeout,
            start_period: health.start_period,
            start_interval: health.start_interval,
            retries: health.retries,
        }
    }
}

impl From<HealthConfig> for domain::HealthConfig {
    fn from(health: HealthConfig) -> Self {
        domain::HealthConfig {
            test: health.test,
            interval: health.interval,
            timeout: health.timeout,
            start_period: health.start_period,
            start_interval: health.start_interval,
            retries: health.retries,
        }
    }
}
