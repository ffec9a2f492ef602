//! The stored form of a container's configuration.

use std::collections::BTreeMap;

use gantry_api::{alike, engine as domain};

use super::{Words, values, words};

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

alike!(
    domain::ContainerConfig,
    ContainerConfig {
        hostname,
        domainname,
        user,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        exposed_ports,
        tty,
        open_stdin,
        stdin_once,
        env,
        cmd: maybe(words, values),
        entrypoint: maybe(words, values),
        healthcheck: maybe,
        image,
        volumes,
        working_dir,
        network_disabled,
        mac_address,
        labels: collected,
        stop_signal,
        stop_timeout,
        shell,
        on_build,
    }
);

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

alike!(domain::HealthConfig, HealthConfig { test, interval, timeout, start_period, start_interval, retries });
