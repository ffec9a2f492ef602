//! `gantry ps`, and containers as JSON.

use std::collections::BTreeMap;

use anyhow::Result;
use gantry_api::engine::containers::Inspect as _;
use gantry_api::engine::{
    Container, ContainerSummary, EndpointSettings, Filter, ListQuery, MountPoint, PublishedPort, State,
    Status,
};
use gantry_api::time::timestamp;
use gantry_docker::container::{command, status};
use gantry_docker::{Filters, moment};
use serde_json::{Value, json};

use crate::cli::command::Ps;
use crate::cmd::{Session, said};
use crate::output::listing::{self, Field, Listing, Row};
use crate::output::{self, Format};

/// The filters of the list.
const FILTERS: [&str; 14] = [
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network",
    "publish", "since", "status", "volume",
];

const FIELDS: &[Field] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Health", "HEALTH"),
    ("Ports", "PORTS"),
    ("Names", "NAMES"),
    ("Networks", "NETWORKS"),
    ("Mounts", "MOUNTS"),
    ("Labels", "LABELS"),
    ("Size", "SIZE"),
];

pub async fn run(session: &Session, arguments: &Ps) -> Result<()> {
    let listed = &arguments.listed;
    let mut columns = vec!["ID", "Image", "Command", "RunningFor", "Status", "Health", "Ports", "Names"];
    columns.extend(arguments.size.then_some("Size"));
    let printer = Listing { fields: FIELDS, columns }.printer(session.format, listed.format.as_deref())?;
    let filters = Filters::pairs(&listed.filters, &FILTERS)?;
    let size = arguments.size || listed.format.as_deref().is_some_and(|format| format.contains(".Size"));
    let query = ListQuery {
        all: arguments.all,
        limit: if arguments.latest { 1 } else { arguments.last.unwrap_or_default().max(0) },
        size,
        filters: filters.into_pairs().map(|(key, values)| Filter { key, values }).collect(),
        newer_than: 0,
    };
    let containers = session.containers().containers(query).await.map_err(said)?.containers;
    let id = |container: &ContainerSummary| {
        let id = container.id.as_str();
        if listed.no_trunc { id.to_owned() } else { output::short(id).to_owned() }
    };
    if listed.quiet && session.format == Format::Table {
        return listing::names(containers.iter().map(id).collect::<Vec<_>>().iter().map(String::as_str));
    }
    let rows: Vec<_> = containers
        .iter()
        .map(|container| Row {
            cells: cells(container, id(container), listed.no_trunc),
            whole: row_as_json(container),
        })
        .collect();
    printer.print(&rows)
}

/// The name of an image, or a short form of its id.
fn image_name(image: &str) -> &str {
    image.strip_prefix("sha256:").map_or(image, output::short)
}

fn cells(container: &ContainerSummary, id: String, whole: bool) -> Vec<String> {
    let now = moment::now();
    let mut state = container.state.clone();
    let health = health(&state).unwrap_or_default().to_owned();
    // Health has a column of its own.
    state.health = None;
    let command = command(&container.path, &container.args);
    let networks: Vec<_> = container.networks.iter().map(|one| one.network.as_str()).collect();
    let mounts: Vec<_> = container
        .mounts
        .iter()
        .map(
            |mount| {
                if mount.name.is_empty() { mount.source.as_str() } else { output::short_name(&mount.name) }
            },
        )
        .collect();
    let created = timestamp(container.created_at);
    let age = moment::unix_seconds(Some(&now)) - moment::unix_seconds(created.as_ref());
    vec![
        id,
        image_name(&container.image).to_owned(),
        format!("\"{}\"", if whole { command } else { output::shorten(&command, 20) }),
        moment::rfc3339(created.as_ref()),
        format!("{} ago", moment::in_words(age)),
        state.status.name().to_owned(),
        status(&state, &now),
        health,
        ports_in_words(container),
        container.name.clone(),
        networks.join(","),
        mounts.join(","),
        output::pairs(&container.labels),
        container.size_rw.map_or_else(
            || "-".to_owned(),
            |size| {
                let virtual_size = container.size_root_fs.unwrap_or_default();
                format!(
                    "{} (virtual {})",
                    output::bytes(size.unsigned_abs()),
                    output::bytes(virtual_size.unsigned_abs())
                )
            },
        ),
    ]
}

/// Published ports, then those that are only exposed; none of a container that does not run.
fn ports_in_words(container: &ContainerSummary) -> String {
    let state = container.state.status;
    if !matches!(state, Status::Running | Status::Paused) {
        return String::new();
    }
    let address = |port: &PublishedPort| {
        if port.host_ip.contains(':') { format!("[{}]", port.host_ip) } else { port.host_ip.clone() }
    };
    let mut words: Vec<_> = container
        .ports
        .iter()
        .map(|port| {
            format!("{}:{}->{}/{}", address(port), port.host_port, port.container_port, port.protocol)
        })
        .collect();
    let is_published = |exposed: &&String| {
        container.ports.iter().any(|port| **exposed == format!("{}/{}", port.container_port, port.protocol))
    };
    words.extend(container.exposed_ports.iter().filter(|exposed| !is_published(exposed)).cloned());
    words.join(", ")
}

/// `starting`, `healthy` or `unhealthy`, for a running container with a probe.
fn health(state: &State) -> Option<&str> {
    let runs = matches!(state.status, Status::Running | Status::Paused);
    let health = state.health.as_ref().map(|health| health.status.as_str());
    health.filter(|health| runs && !matches!(*health, "" | "none"))
}

/// A row as JSON, with more fields than the table.
fn row_as_json(container: &ContainerSummary) -> Value {
    let mut row = json!({
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "image_id": container.image_id,
        "path": container.path,
        "args": container.args,
        "created_at": output::time(timestamp(container.created_at).as_ref()),
        "labels": container.labels,
        "mounts": mounts(&container.mounts),
        "networks": networks(container.networks.iter().map(|one| (&one.network, &one.settings))),
        "ports": ports(&container.ports),
        "exposed_ports": container.exposed_ports,
    });
    if let Some(size) = container.size_rw {
        row["size_bytes"] = json!(size);
        row["size_root_bytes"] = json!(container.size_root_fs);
    }
    add_state(&mut row, &container.state);
    row
}

/// A container as JSON.
pub fn as_json(container: &Container) -> Value {
    let (config, host) = (container.config.clone(), container.host.clone());
    let restart = host.restart_policy.unwrap_or_default();
    let resources = host.resources.unwrap_or_default();
    let mut whole = json!({
        "kind": "container",
        "id": container.id,
        "name": container.name,
        "image": config.image,
        "image_id": container.image_id,
        "platform": container.platform,
        "path": container.path,
        "args": container.args,
        "env": config.env,
        "user": config.user,
        "working_dir": config.working_dir,
        "hostname": config.hostname,
        "tty": config.tty,
        "stop_signal": config.stop_signal,
        "stop_timeout": config.stop_timeout,
        "restart_policy": { "name": restart.name, "maximum_retry_count": restart.maximum_retry_count },
        "restart_count": container.restart_count,
        "auto_remove": host.auto_remove,
        "privileged": host.privileged,
        "init": host.init,
        "cap_add": host.cap_add,
        "cap_drop": host.cap_drop,
        "security_opt": host.security_opt,
        "network_mode": host.network_mode,
        "limits": {
            "memory_bytes": resources.memory,
            "memory_swap_bytes": resources.memory_swap,
            "memory_reservation_bytes": resources.memory_reservation,
            "nano_cpus": resources.nano_cpus,
            "cpu_shares": resources.cpu_shares,
            "cpuset_cpus": resources.cpuset_cpus,
            "pids": resources.pids_limit,
        },
        "created_at": output::time(timestamp(container.created_at).as_ref()),
        "labels": config.labels,
        "mounts": mounts(&container.mounts),
        "networks": networks(container.networks.iter()),
        "ports": ports(&container.ports),
        "exposed_ports": config.exposed_ports,
        "log_driver": host.log_config.unwrap_or_default().r#type,
        "log_path": container.log_path,
        "exec_ids": container.exec_ids,
    });
    if let Some(probe) = config.healthcheck {
        whole["healthcheck"] = json!({
            "test": probe.test, "interval_ns": probe.interval, "timeout_ns": probe.timeout,
            "start_period_ns": probe.start_period, "start_interval_ns": probe.start_interval, "retries": probe.retries,
        });
    }
    add_state(&mut whole, &container.state);
    whole
}

fn add_state(object: &mut Value, state: &State) {
    let at = |nanoseconds| output::time(timestamp(nanoseconds).as_ref());
    object["status"] = json!(state.status.name());
    object["pid"] = json!(state.pid);
    object["exit_code"] = json!(state.exit_code);
    object["error"] = json!(state.error);
    object["oom_killed"] = json!(state.oom_killed);
    object["started_at"] = json!(at(state.started_at));
    object["finished_at"] = json!(at(state.finished_at));
    object["health"] = match &state.health {
        Some(health) => json!({
            "status": health.status,
            "failing_streak": health.failing_streak,
            "log": health.log.iter().map(|probe| json!({
                "start": at(probe.start), "end": at(probe.end),
                "exit_code": probe.exit_code, "output": probe.output,
            })).collect::<Vec<_>>(),
        }),
        None => Value::Null,
    };
}

fn mounts(mounts: &[MountPoint]) -> Vec<Value> {
    let object = |mount: &MountPoint| {
        json!({
            "type": mount.r#type, "name": mount.name, "source": mount.source,
            "destination": mount.destination, "writable": mount.rw,
        })
    };
    mounts.iter().map(object).collect()
}

fn networks<'a>(
    endpoints: impl Iterator<Item = (&'a String, &'a EndpointSettings)>,
) -> BTreeMap<&'a str, Value> {
    let object = |endpoint: &EndpointSettings| {
        json!({
            "address": endpoint.ip_address, "gateway": endpoint.gateway, "mac": endpoint.mac_address,
            "aliases": endpoint.aliases,
        })
    };
    endpoints.map(|(name, endpoint)| (name.as_str(), object(endpoint))).collect()
}

fn ports(ports: &[PublishedPort]) -> Vec<Value> {
    let object = |port: &PublishedPort| {
        json!({
            "host_ip": port.host_ip, "host_port": port.host_port,
            "container_port": port.container_port, "protocol": port.protocol,
        })
    };
    ports.iter().map(object).collect()
}
