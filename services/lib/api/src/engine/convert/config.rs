//! Conversions of container configurations.

use gantry_proto::gantry::engine::v1 as pb;

use super::{values, words};
use crate::engine::{ContainerConfig, HealthConfig};

alike!(
    ContainerConfig,
    pb::ContainerConfig {
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
        labels,
        stop_signal,
        stop_timeout,
        shell,
        on_build,
    }
);

alike!(HealthConfig, pb::HealthConfig { test, interval, timeout, start_period, start_interval, retries });
