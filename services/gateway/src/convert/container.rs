//! Containers: list rows, inspection, states.

use std::collections::{BTreeMap, BTreeSet};

use gantry_docker::container::{command, state_name};
use gantry_proto::gantry::engine::v1 as engine;

use super::{config, host_config, network};
use crate::moment;
use crate::version::ApiVersion;
use crate::wire::container::{
    GraphDriver, Health, HealthResult, Inspect, MountPoint, NetworkSettings, Port, State, Status, Summary,
    SummaryHostConfig, SummaryNetworks,
};
use crate::wire::host_config::{PortBinding, PortMap};
use crate::wire::image::Descriptor;
use crate::wire::network::EndpointSettings;

/// A row of the list.
pub fn summary(of: engine::ContainerSummary, version: ApiVersion) -> Summary {
    let state = of.state.unwrap_or_default();
    let descriptor = || descriptor(&of.manifest_media_type, &of.manifest_digest, of.manifest_size);
    let reachable = of.networks.iter().filter_map(|one| one.settings.as_ref()).any(has_way_out);
    let ports = if reachable { ports(state.status(), of.ports, &of.exposed_ports) } else { Vec::new() };
    let networks = of.networks.into_iter().map(|one| (one.network, one.settings.unwrap_or_default()));
    let annotations =
        if version.at_least(46) { of.annotations.into_iter().collect() } else { BTreeMap::new() };
    Summary {
        names: std::iter::once(&of.name).chain(&of.further_names).map(|name| format!("/{name}")).collect(),
        image_manifest_descriptor: version.at_least(48).then(descriptor).flatten(),
        image: of.image,
        command: command(&of.path, &of.args),
        created: moment::unix_seconds(of.created_at.as_ref()),
        ports,
        size_rw: of.size_rw.unwrap_or_default(),
        size_root_fs: of.size_root_fs.unwrap_or_default(),
        labels: of.labels.into_iter().collect(),
        state: state_name(state.status()),
        status: Status(state),
        host_config: SummaryHostConfig { network_mode: of.network_mode, annotations },
        network_settings: SummaryNetworks { networks: network::endpoints_from_engine(networks) },
        mounts: of.mounts.into_iter().map(mount_point).collect(),
        id: of.id,
        image_id: of.image_id,
    }
}

/// The whole of a container.
pub fn inspect(of: engine::Container, version: ApiVersion) -> Inspect {
    let state = of.state.clone().unwrap_or_default();
    let manifest = descriptor(&of.manifest_media_type, &of.manifest_digest, of.manifest_size);
    let mut networks = network::endpoints_from_engine(of.networks.clone());
    if !version.at_least(45) {
        let hostname = of.config.as_ref().map_or("", |config| config.hostname.as_str());
        add_names_to_aliases(&mut networks, &of.id, hostname);
    }
    // The fields outside of `Networks` are those of the default bridge.
    let bridge = networks.get("bridge").cloned().unwrap_or_default();
    let network_settings = NetworkSettings {
        sandbox_id: if of.sandbox_key.is_empty() { String::new() } else { of.id.clone() },
        sandbox_key: of.sandbox_key.clone(),
        ports: port_map(&of, state.status()),
        endpoint_id: bridge.endpoint_id,
        gateway: bridge.gateway,
        global_ipv6_address: bridge.global_ipv6_address,
        global_ipv6_prefix_len: bridge.global_ipv6_prefix_len,
        ip_address: bridge.ip_address,
        ip_prefix_len: bridge.ip_prefix_len,
        ipv6_gateway: bridge.ipv6_gateway,
        mac_address: bridge.mac_address,
        networks,
        ..NetworkSettings::default()
    };
    let mut config = config::from_engine(of.config.unwrap_or_default());
    if version.at_least(44) {
        config.mac_address = String::new();
    }
    Inspect {
        created: moment::rfc3339_nano(of.created_at.as_ref()),
        path: of.path,
        args: of.args,
        state: state_of(state),
        image: of.image_id,
        resolv_conf_path: of.resolv_conf_path,
        hostname_path: of.hostname_path,
        hosts_path: of.hosts_path,
        log_path: of.log_path,
        name: format!("/{}", of.name),
        restart_count: of.restart_count,
        driver: of.snapshotter.clone(),
        platform: of.platform.split('/').next().filter(|os| !os.is_empty()).unwrap_or("linux").to_owned(),
        mount_label: String::new(),
        process_label: String::new(),
        app_armor_profile: of.apparmor_profile,
        exec_ids: super::or_null(of.exec_ids),
        host_config: host_config::from_engine(of.host_config.unwrap_or_default()),
        graph_driver: GraphDriver {
            data: Some(of.graph_data.into_iter().collect::<BTreeMap<_, _>>()).filter(|data| !data.is_empty()),
            name: of.snapshotter,
        },
        size_rw: of.size_rw,
        size_root_fs: of.size_root_fs,
        mounts: of.mounts.into_iter().map(mount_point).collect(),
        config,
        network_settings,
        image_manifest_descriptor: manifest.filter(|_| version.at_least(48)),
        id: of.id,
    }
}

/// Until API 1.44 the aliases in networks with a name service also told the names that it answers to by itself.
fn add_names_to_aliases(networks: &mut BTreeMap<String, EndpointSettings>, id: &str, hostname: &str) {
    let short = id.get(..12).unwrap_or(id);
    for (network, settings) in networks {
        if matches!(network.as_str(), "bridge" | "host" | "none") {
            continue;
        }
        let aliases = settings.aliases.get_or_insert_default();
        for name in [short, hostname] {
            if !name.is_empty() && !aliases.iter().any(|alias| alias == name) {
                aliases.push(name.to_owned());
            }
        }
    }
}

fn descriptor(media_type: &str, digest: &str, size: i64) -> Option<Descriptor> {
    (!digest.is_empty() && size > 0).then(|| Descriptor {
        media_type: media_type.to_owned(),
        digest: digest.to_owned(),
        size,
        ..Descriptor::default()
    })
}

fn state_of(state: engine::State) -> State {
    let status = state.status();
    let active =
        matches!(status, engine::Status::Running | engine::Status::Paused | engine::Status::Restarting);
    State {
        status: state_name(status),
        running: active,
        paused: status == engine::Status::Paused,
        restarting: status == engine::Status::Restarting,
        oom_killed: state.oom_killed,
        dead: status == engine::Status::Dead,
        pid: state.pid,
        exit_code: i64::from(state.exit_code),
        error: state.error,
        started_at: moment::rfc3339_nano(state.started_at.as_ref()),
        finished_at: moment::rfc3339_nano(state.finished_at.as_ref()),
        health: state.health.map(|health| Health {
            status: health.status,
            failing_streak: u32::try_from(health.failing_streak).unwrap_or_default(),
            log: health
                .log
                .into_iter()
                .map(|result| HealthResult {
                    start: moment::rfc3339_nano(result.start.as_ref()),
                    end: moment::rfc3339_nano(result.end.as_ref()),
                    exit_code: i64::from(result.exit_code),
                    output: result.output,
                })
                .collect(),
        }),
    }
}

fn mount_point(mount: engine::MountPoint) -> MountPoint {
    MountPoint {
        kind: mount.r#type,
        name: mount.name,
        source: mount.source,
        destination: mount.destination,
        driver: mount.driver,
        mode: mount.mode,
        rw: mount.rw,
        propagation: mount.propagation,
    }
}

/// Published ports, then those that are only exposed.
fn ports(status: engine::Status, published: Vec<engine::PublishedPort>, exposed: &[String]) -> Vec<Port> {
    if !matches!(status, engine::Status::Running | engine::Status::Paused) {
        return Vec::new();
    }
    let mut ports: BTreeSet<Port> = published
        .into_iter()
        .map(|port| Port {
            ip: port.host_ip,
            private_port: port.container_port,
            public_port: port.host_port,
            protocol: port.protocol,
        })
        .collect();
    for exposed in exposed {
        let (number, protocol) = exposed.split_once('/').unwrap_or((exposed, "tcp"));
        let Ok(number) = number.parse() else { continue };
        if !ports.iter().any(|port| port.private_port == number && port.protocol == protocol) {
            ports.insert(Port {
                ip: String::new(),
                private_port: number,
                public_port: 0,
                protocol: protocol.to_owned(),
            });
        }
    }
    ports.into_iter().collect()
}

/// Ports only count where the container could be reached by them: not on internal networks.
fn has_way_out(settings: &engine::EndpointSettings) -> bool {
    !settings.gateway.is_empty() || !settings.ipv6_gateway.is_empty()
}

fn port_map(of: &engine::Container, status: engine::Status) -> PortMap {
    let mut map = PortMap::new();
    if !matches!(status, engine::Status::Running | engine::Status::Paused | engine::Status::Restarting) {
        return map;
    }
    if !of.networks.values().any(has_way_out) {
        return map;
    }
    for exposed in of.config.iter().flat_map(|config| &config.exposed_ports) {
        map.insert(exposed.clone(), None);
    }
    for port in &of.ports {
        let binding = PortBinding { host_ip: port.host_ip.clone(), host_port: port.host_port.to_string() };
        map.entry(format!("{}/{}", port.container_port, port.protocol))
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    map
}

/// What a list has of a container.
#[cfg(test)]
pub fn listed(of: engine::Container) -> engine::ContainerSummary {
    let (config, host) = (of.config.unwrap_or_default(), of.host_config.unwrap_or_default());
    engine::ContainerSummary {
        id: of.id,
        name: of.name,
        created_at: of.created_at,
        state: of.state,
        image: config.image,
        image_id: of.image_id,
        manifest_digest: of.manifest_digest,
        manifest_size: of.manifest_size,
        manifest_media_type: of.manifest_media_type,
        path: of.path,
        args: of.args,
        labels: config.labels,
        network_mode: host.network_mode,
        annotations: host.annotations,
        networks: of
            .networks
            .into_iter()
            .map(|(network, settings)| engine::NamedEndpoint { network, settings: Some(settings) })
            .collect(),
        mounts: of.mounts,
        ports: of.ports,
        exposed_ports: config.exposed_ports,
        further_names: Vec::new(),
        size_rw: of.size_rw,
        size_root_fs: of.size_root_fs,
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn state(status: engine::Status, exit_code: i32, at: i64) -> engine::State {
        let at = Some(Timestamp { seconds: at, nanos: 0 });
        engine::State {
            status: status.into(),
            exit_code,
            started_at: at,
            finished_at: at,
            ..engine::State::default()
        }
    }

    #[test]
    fn restarting_counts_as_running() {
        let rows = [
            (engine::Status::Running, [true, false, false]),
            (engine::Status::Paused, [true, true, false]),
            (engine::Status::Restarting, [true, false, true]),
            (engine::Status::Exited, [false, false, false]),
        ];
        for (status, flags) in rows {
            let state = state_of(state(status, 0, 1));
            assert_eq!([state.running, state.paused, state.restarting], flags, "{status:?}");
        }
    }

    fn web() -> engine::Container {
        engine::Container {
            id: "c1".into(),
            name: "web".into(),
            state: Some(state(engine::Status::Running, 0, 1)),
            config: Some(engine::ContainerConfig {
                exposed_ports: vec!["80/tcp".into(), "53/udp".into()],
                ..Default::default()
            }),
            ports: vec![engine::PublishedPort {
                protocol: "tcp".into(),
                container_port: 80,
                host_ip: "0.0.0.0".into(),
                host_port: 8080,
            }],
            path: "sh".into(),
            args: vec!["-c".into(), "echo a b".into()],
            networks: [("bridge".to_owned(), with_way_out())].into(),
            ..engine::Container::default()
        }
    }

    fn with_way_out() -> engine::EndpointSettings {
        engine::EndpointSettings { gateway: "172.17.0.1".into(), ..Default::default() }
    }

    #[test]
    fn ports_on_an_internal_network_do_not_count() {
        let internal = [("back".to_owned(), engine::EndpointSettings::default())].into();
        let web = engine::Container { networks: internal, ..web() };
        let row = serde_json::to_value(summary(listed(web.clone()), ApiVersion::CURRENT));
        assert_eq!(row.expect("json")["Ports"], serde_json::json!([]));
        let whole = serde_json::to_value(inspect(web, ApiVersion::CURRENT)).expect("json");
        assert_eq!(whole["NetworkSettings"]["Ports"], serde_json::json!({}));
    }

    #[test]
    fn ports_of_a_running_container() {
        let row = serde_json::to_value(summary(listed(web()), ApiVersion::CURRENT)).expect("json");
        assert_eq!(
            row["Ports"],
            serde_json::json!([
                {"PrivatePort": 53, "Type": "udp"},
                {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            ])
        );
        assert_eq!(row["Command"], "sh -c 'echo a b'");
        assert_eq!(row["Names"], serde_json::json!(["/web"]));
        let whole = serde_json::to_value(inspect(web(), ApiVersion::CURRENT)).expect("json");
        assert_eq!(
            whole["NetworkSettings"]["Ports"],
            serde_json::json!({"53/udp": null, "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]})
        );
    }

    #[test]
    fn older_clients_find_the_short_id_among_the_aliases() {
        let mut of = web();
        of.id = "0123456789abcdef".into();
        of.config.get_or_insert_default().hostname = "0123456789ab".into();
        let given = engine::EndpointSettings { aliases: vec!["db".into()], ..Default::default() };
        of.networks = [("bridge".to_owned(), Default::default()), ("net".to_owned(), given)].into();
        let aliases = |minor| {
            let whole = serde_json::to_value(inspect(of.clone(), ApiVersion::v1(minor))).expect("json");
            let networks = &whole["NetworkSettings"]["Networks"];
            (networks["bridge"]["Aliases"].clone(), networks["net"]["Aliases"].clone())
        };
        assert_eq!(aliases(44), (serde_json::Value::Null, serde_json::json!(["db", "0123456789ab"])));
        assert_eq!(aliases(45), (serde_json::Value::Null, serde_json::json!(["db"])));
    }

    #[test]
    fn a_stopped_container_has_no_ports() {
        let mut stopped = web();
        stopped.state = Some(state(engine::Status::Exited, 0, 1));
        let whole = serde_json::to_value(inspect(stopped.clone(), ApiVersion::CURRENT)).expect("json");
        assert_eq!(whole["NetworkSettings"]["Ports"], serde_json::json!({}));
        let row = serde_json::to_value(summary(listed(stopped), ApiVersion::CURRENT)).expect("json");
        assert_eq!(row["Ports"], serde_json::json!([]));
    }
}
