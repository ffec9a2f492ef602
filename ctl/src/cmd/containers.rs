//! `gantry ps`, `stop`, `rm`.

use std::collections::BTreeMap;

use anyhow::Result;
use gantry_proto::gantry::engine::v1::{
    Container, ContainerSummary, EndpointSettings, ListRequest, MountPoint, PublishedPort, RemoveRequest,
    State, Status, StopRequest,
};
use serde_json::{Value, json};

use crate::cmd::{FAILED, Session};
use crate::output::{self, Format};

pub async fn list(session: &Session, all: bool, quiet: bool) -> Result<()> {
    let request = ListRequest { all, ..ListRequest::default() };
    let containers = session.peers.containers().list(request).await?.into_inner();
    let containers: Vec<_> = containers.summaries().collect::<Result<_, _>>()?;
    if quiet {
        for container in &containers {
            output::line(output::short(&container.id))?;
        }
        return Ok(());
    }
    match session.format {
        Format::Json => output::json(&containers.iter().map(row_as_json).collect::<Vec<_>>()),
        Format::Table => {
            let rows: Vec<_> = containers.iter().map(row).collect();
            output::table(["CONTAINER", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAME"], &rows)
        }
    }
}

pub async fn stop(session: &Session, containers: &[String], timeout: Option<i64>) -> Result<u8> {
    let mut client = session.peers.containers();
    let mut code = 0;
    for container in containers {
        let request = StopRequest { container: container.clone(), timeout, ..StopRequest::default() };
        code = report(container, client.stop(request).await)?.max(code);
    }
    Ok(code)
}

pub async fn remove(session: &Session, containers: &[String], force: bool, volumes: bool) -> Result<u8> {
    let mut client = session.peers.containers();
    let mut code = 0;
    for container in containers {
        let request = RemoveRequest { container: container.clone(), force, volumes, link: false };
        code = report(container, client.remove(request).await)?.max(code);
    }
    Ok(code)
}

/// Prints the name, or why it went wrong; the exit code.
fn report<T>(name: &str, result: Result<T, tonic::Status>) -> Result<u8> {
    match result {
        Ok(_) => output::line(name).map(|()| 0),
        Err(status) => {
            eprintln!("gantry: {}", status.message());
            Ok(FAILED)
        }
    }
}

fn status(container: &ContainerSummary) -> String {
    let state = container.state.clone().unwrap_or_default();
    match state.status() {
        Status::Exited => {
            format!("exited ({}) {}", state.exit_code, output::ago(state.finished_at.as_ref()))
        }
        Status::Running => format!("up {}", output::ago(state.started_at.as_ref()).trim_end_matches(" ago")),
        other => other.as_str_name().to_lowercase(),
    }
}

fn row(container: &ContainerSummary) -> [String; 7] {
    let ports: Vec<_> = container
        .ports
        .iter()
        .map(|port| format!("{}:{}->{}/{}", port.host_ip, port.host_port, port.container_port, port.protocol))
        .collect();
    let command =
        std::iter::once(&container.path).chain(&container.args).cloned().collect::<Vec<_>>().join(" ");
    [
        output::short(&container.id).to_owned(),
        container.image.clone(),
        command.chars().take(24).collect(),
        output::ago(container.created_at.as_ref()),
        status(container),
        ports.join(", "),
        container.name.clone(),
    ]
}

/// A row as JSON: what it says, and more.
fn row_as_json(container: &ContainerSummary) -> Value {
    let mut row = json!({
        "id": container.id,
        "name": container.name,
        "image": container.image,
        "image_id": container.image_id,
        "path": container.path,
        "args": container.args,
        "created_at": container.created_at.as_ref().map(ToString::to_string),
        "labels": container.labels,
        "mounts": mounts(&container.mounts),
        "networks": networks(
            container.networks.iter().filter_map(|one| Some((&one.network, one.settings.as_ref()?))),
        ),
        "ports": ports(&container.ports),
    });
    add_state(&mut row, container.state.as_ref());
    row
}

/// A container as JSON.
pub fn as_json(container: &Container) -> Value {
    let config = container.config.clone().unwrap_or_default();
    let mut whole = json!({
        "id": container.id,
        "name": container.name,
        "image": config.image,
        "image_id": container.image_id,
        "path": container.path,
        "args": container.args,
        "env": config.env,
        "restart_count": container.restart_count,
        "created_at": container.created_at.as_ref().map(ToString::to_string),
        "labels": config.labels,
        "mounts": mounts(&container.mounts),
        "networks": networks(container.networks.iter()),
        "ports": ports(&container.ports),
        "log_path": container.log_path,
    });
    add_state(&mut whole, container.state.as_ref());
    whole
}

fn add_state(object: &mut Value, state: Option<&State>) {
    let state = state.cloned().unwrap_or_default();
    object["status"] = json!(state.status().as_str_name().to_lowercase());
    object["pid"] = json!(state.pid);
    object["exit_code"] = json!(state.exit_code);
    object["error"] = json!(state.error);
    object["started_at"] = json!(state.started_at.as_ref().map(ToString::to_string));
    object["finished_at"] = json!(state.finished_at.as_ref().map(ToString::to_string));
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
    let object = |endpoint: &EndpointSettings| json!({"address": endpoint.ip_address, "gateway": endpoint.gateway, "mac": endpoint.mac_address});
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
