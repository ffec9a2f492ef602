//! A container's configuration.

use std::collections::BTreeMap;

use gantry_api::engine;

use super::or_null;
use crate::wire::Empty;
use crate::wire::container::{Config, HealthConfig};

/// Converts a client's configuration for the engine.
pub fn to_engine(config: Config) -> engine::ContainerConfig {
    engine::ContainerConfig {
        hostname: config.hostname,
        domainname: config.domainname,
        user: config.user,
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: config.exposed_ports.into_keys().collect(),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: config.env.unwrap_or_default(),
        // Go's clients send an empty list to mean the image's value.
        cmd: config.cmd.filter(|words| !words.is_empty()),
        entrypoint: config.entrypoint.filter(|words| !words.is_empty()),
        healthcheck: config.healthcheck.map(health_to_engine),
        image: config.image,
        volumes: config.volumes.unwrap_or_default().into_keys().collect(),
        working_dir: config.working_dir,
        network_disabled: config.network_disabled,
        mac_address: config.mac_address,
        labels: config.labels.into_iter().collect(),
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        shell: config.shell.unwrap_or_default(),
        on_build: config.on_build.unwrap_or_default(),
    }
}

/// Converts the engine's configuration for a client.
pub fn from_engine(config: engine::ContainerConfig) -> Config {
    let empty = |keys: Vec<String>| keys.into_iter().map(|key| (key, Empty)).collect::<BTreeMap<_, _>>();
    Config {
        hostname: config.hostname,
        domainname: config.domainname,
        user: config.user,
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: empty(config.exposed_ports),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: or_null(config.env),
        cmd: config.cmd,
        healthcheck: config.healthcheck.map(health_from_engine),
        args_escaped: false,
        image: config.image,
        volumes: Some(empty(config.volumes)).filter(|volumes| !volumes.is_empty()),
        working_dir: config.working_dir,
        entrypoint: config.entrypoint,
        network_disabled: config.network_disabled,
        mac_address: config.mac_address,
        on_build: or_null(config.on_build),
        labels: config.labels.into_iter().collect(),
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        shell: or_null(config.shell),
    }
}

fn health_to_engine(health: HealthConfig) -> engine::HealthConfig {
    engine::HealthConfig {
        test: health.test,
        interval: health.interval,
        timeout: health.timeout,
        start_period: health.start_period,
        start_interval: health.start_interval,
        retries: health.retries,
    }
}

fn health_from_engine(health: engine::HealthConfig) -> HealthConfig {
    HealthConfig {
        test: health.test,
        interval: health.interval,
        timeout: health.timeout,
        start_period: health.start_period,
        start_interval: health.start_interval,
        retries: health.retries,
    }
}
