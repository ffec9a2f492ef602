//! Containers: list rows, inspection, states.

use std::collections::BTreeMap;

use gantry_api::{engine, time};
use gantry_docker::container::command;

use super::{config, host_config, network, ports};
use crate::moment;
use crate::version::ApiVersion;
use crate::wire::container::{
    GraphDriver, Health, HealthResult, Inspect, MountPoint, NetworkSettings, State, Status, Summary,
    SummaryHostConfig, SummaryNetworks,
};
use crate::wire::image::Descriptor;
use crate::wire::network::EndpointSettings;

/// A row of the list.
pub fn summary(of: engine::ContainerSummary, version: ApiVersion) -> Summary {
    let state = of.state;
    let descriptor = || descriptor(&of.manifest_media_type, &of.manifest_digest, of.manifest_size);
    let reachable = of.networks.iter().map(|one| &one.settings).any(ports::has_way_out);
    let ports = if reachable { ports::listed(state.status, of.ports, &of.exposed_ports) } else { Vec::new() };
    let networks = of.networks.into_iter().map(|one| (one.network, one.settings));
    let annotations =
        if version.at_least(46) { of.annotations.into_iter().collect() } else { BTreeMap::new() };
    Summary {
        names: std::iter::once(&of.name).chain(&of.further_names).map(|name| format!("/{name}")).collect(),
        image_manifest_descriptor: version.at_least(48).then(descriptor).flatten(),
        image: of.image,
        command: command(&of.path, &of.args),
        created: moment::unix_seconds(time::timestamp(of.created_at).as_ref()),
        ports,
        size_rw: of.size_rw.unwrap_or_default(),
        size_root_fs: of.size_root_fs.unwrap_or_default(),
        labels: of.labels.into_iter().collect(),
        state: state.status.name(),
        status: Status(state),
        host_config: SummaryHostConfig { network_mode: of.network_mode, annotations },
        network_settings: SummaryNetworks { networks: network::endpoints_from_engine(networks) },
        mounts: of.mounts.into_iter().map(mount_point).collect(),
        id: of.id,
        image_id: of.image_id,
    }
}

/// A container's inspection.
pub fn inspect(of: engine::Container, version: ApiVersion) -> Inspect {
    let state = of.state.clone();
    let manifest = descriptor(&of.manifest_media_type, &of.manifest_digest, of.manifest_size);
    let mut networks = network::endpoints_from_engine(of.networks.clone());
    if !version.at_least(45) {
        add_names_to_aliases(&mut networks, &of.id, &of.config.hostname);
    }
    // Docker fills the fields outside of `Networks` from the default bridge.
    let bridge = networks.get("bridge").cloned().unwrap_or_default();
    let network_settings = NetworkSettings {
        sandbox_id: if of.sandbox_key.is_empty() { String::new() } else { of.id.clone() },
        sandbox_key: of.sandbox_key.clone(),
        ports: ports::shown(&of, state.status),
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
    let mut config = config::from_engine(of.config);
    if version.at_least(44) {
        config.mac_address = String::new();
    }
    Inspect {
        created: written(of.created_at),
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
        host_config: host_config::from_engine(of.host),
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

/// Until API 1.44 the aliases in a network with DNS also contained the names that Docker gives each container.
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

/// A time as Docker writes it; 0 is never.
fn written(nanoseconds: i64) -> String {
    moment::rfc3339_nano(time::timestamp(nanoseconds).as_ref())
}

fn state_of(state: engine::State) -> State {
    let status = state.status;
    let active =
        matches!(status, engine::Status::Running | engine::Status::Paused | engine::Status::Restarting);
    State {
        status: status.name(),
        running: active,
        paused: status == engine::Status::Paused,
        restarting: status == engine::Status::Restarting,
        oom_killed: state.oom_killed,
        dead: status == engine::Status::Dead,
        pid: state.pid,
        exit_code: i64::from(state.exit_code),
        error: state.error,
        started_at: written(state.started_at),
        finished_at: written(state.finished_at),
        health: state.health.map(|health| Health {
            status: health.status,
            failing_streak: u32::try_from(health.failing_streak).unwrap_or_default(),
            log: health
                .log
                .into_iter()
                .map(|result| HealthResult {
                    start: written(result.start),
                    end: written(result.end),
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

/// A container's row in a list.
#[cfg(test)]
pub fn listed(of: engine::Container) -> engine::ContainerSummary {
    let (config, host) = (of.config, of.host);
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
            .map(|(network, settings)| engine::NamedEndpoint { network, settings })
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
    use super::*;

    fn state(status: engine::Status, exit_code: i32, at: i64) -> engine::State {
        let at = at * 1_000_000_000;
        engine::State { status, exit_code, started_at: at, finished_at: at, ..engine::State::default() }
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
            state: state(engine::Status::Running, 0, 1),
            config: engine::ContainerConfig {
                exposed_ports: vec!["80/tcp".into(), "53/udp".into()],
                ..Default::default()
            },
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
        of.config.hostname = "0123456789ab".into();
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
        stopped.state = state(engine::Status::Exited, 0, 1);
        let whole = serde_json::to_value(inspect(stopped.clone(), ApiVersion::CURRENT)).expect("json");
        assert_eq!(whole["NetworkSettings"]["Ports"], serde_json::json!({}));
        let row = serde_json::to_value(summary(listed(stopped), ApiVersion::CURRENT)).expect("json");
        assert_eq!(row["Ports"], serde_json::json!([]));
    }
}
