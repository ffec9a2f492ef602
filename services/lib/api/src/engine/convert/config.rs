//! What a container is.

use gantry_proto::gantry::engine::v1 as pb;

use super::words;
use crate::engine::{ContainerConfig, HealthConfig};

impl From<ContainerConfig> for pb::ContainerConfig {
    fn from(config: ContainerConfig) -> Self {
        pb::ContainerConfig {
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
            labels: config.labels,
            stop_signal: config.stop_signal,
            stop_timeout: config.stop_timeout,
            shell: config.shell,
            on_build: config.on_build,
        }
    }
}

impl From<pb::ContainerConfig> for ContainerConfig {
    fn from(config: pb::ContainerConfig) -> Self {
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
            cmd: config.cmd.map(|words| words.values),
            entrypoint: config.entrypoint.map(|words| words.values),
            healthcheck: config.healthcheck.map(Into::into),
            image: config.image,
            volumes: config.volumes,
            working_dir: config.working_dir,
            network_disabled: config.network_disabled,
            mac_address: config.mac_address,
            labels: config.labels,
            stop_signal: config.stop_signal,
            stop_timeout: config.stop_timeout,
            shell: config.shell,
            on_build: config.on_build,
        }
    }
}

impl From<HealthConfig> for pb::HealthConfig {
    fn from(health: HealthConfig) -> Self {
        pb::HealthConfig {
            test: health.test,
            interval: health.interval,
            timeout: health.timeout,
            start_period: health.start_period,
            start_interval: health.start_interval,
            retries: health.retries,
        }
    }
}

impl From<pb::HealthConfig> for HealthConfig {
    fn from(health: pb::HealthConfig) -> Self {
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
