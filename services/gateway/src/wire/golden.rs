//! Compares Gantry's models with replies of dockerd 28: they have the same keys at every level.

use std::collections::BTreeSet;
use std::path::Path;

use gantry_api::engine;
use gantry_api::network::{Endpoint, Ipam, Network, NetworkSpec, Subnet};
use serde::Serialize;
use serde_json::Value;

use super::container::TopResponse;
use super::stats::Stats;
use crate::convert::image::RowOptions;
use crate::convert::network::Containers;
use crate::convert::volume::Usage;
use crate::convert::{container, image, network as networks, volume};
use crate::host;
use crate::version::ApiVersion;

/// Objects whose keys are names, not members.
const MAPS: [&str; 13] = [
    "Networks",
    "Ports",
    "PortBindings",
    "ExposedPorts",
    "Labels",
    "Options",
    "Data",
    "Containers",
    "stats",
    "networks",
    "Runtimes",
    "Details",
    "IndexConfigs",
];

fn collect(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            let is_map = path.rsplit('.').next().is_some_and(|last| MAPS.contains(&last));
            for (key, member) in members {
                let path = if is_map { format!("{path}.*") } else { format!("{path}.{key}") };
                into.insert(path.clone());
                collect(member, &path, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, &format!("{path}[]"), into)),
        _ => {}
    }
}

fn keys(value: &Value) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    collect(value, "", &mut keys);
    keys
}

/// Compares with dockerd's reply; `ours` and `theirs` are the keys that only one side may have.
fn compare(golden: &str, response: &impl Serialize, ours: &[&str], theirs: &[&str]) {
    let golden: Value = serde_json::from_str(golden).expect("golden JSON");
    let (golden, response) = (keys(&golden), keys(&serde_json::to_value(response).expect("JSON")));
    let unless = |known: &[&str], key: &String| !known.iter().any(|prefix| key.starts_with(prefix));
    let extra: Vec<_> = response.difference(&golden).filter(|key| unless(ours, key)).collect();
    let missing: Vec<_> = golden.difference(&response).filter(|key| unless(theirs, key)).collect();
    assert!(extra.is_empty() && missing.is_empty(), "extra {extra:?}, missing {missing:?}");
}

fn busy() -> engine::Container {
    engine::Container {
        id: "c".into(),
        name: "gw1".into(),
        state: engine::State { status: engine::Status::Running, ..engine::State::default() },
        config: engine::ContainerConfig { exposed_ports: vec!["80/tcp".into()], ..Default::default() },
        host: engine::HostConfig {
            network_mode: "bridge".into(),
            runtime: "runc".into(),
            port_bindings: [("80/tcp".to_owned(), vec![engine::PortBinding::default()])].into(),
            ..Default::default()
        },
        networks: [(
            "bridge".to_owned(),
            engine::EndpointSettings { gateway: "172.17.0.1".into(), ..Default::default() },
        )]
        .into(),
        mounts: vec![engine::MountPoint {
            r#type: "volume".into(),
            name: "v".into(),
            driver: "local".into(),
            ..Default::default()
        }],
        ports: vec![engine::PublishedPort {
            protocol: "tcp".into(),
            container_port: 80,
            host_ip: "0.0.0.0".into(),
            host_port: 18080,
        }],
        graph_data: [("UpperDir".to_owned(), "/".to_owned())].into(),
        ..engine::Container::default()
    }
}

#[test]
fn containers() {
    compare(
        include_str!("golden/container.json"),
        &container::inspect(busy(), ApiVersion::CURRENT),
        &[],
        &[],
    );
    compare(
        include_str!("golden/container_row.json"),
        &container::summary(container::listed(busy()), ApiVersion::CURRENT),
        &[],
        &[],
    );
    let top = TopResponse { processes: vec![], titles: vec![] };
    compare(include_str!("golden/top.json"), &top, &[], &[]);
}

#[test]
fn stats() {
    let sample = engine::Sample {
        cpu_per_cpu: vec![1],
        pids_current: 1,
        system_cpu: 1,
        online_cpus: 1,
        memory_usage: 1,
        memory_max_usage: 1,
        memory_limit: 1,
        memory_stats: [("cache".to_owned(), 1)].into(),
        interfaces: [("eth0".to_owned(), engine::Interface::default())].into(),
        ..Default::default()
    };
    let stats = engine::Stats {
        id: "c".into(),
        name: "n".into(),
        current: Some(sample.clone()),
        previous: Some(sample),
    };
    compare(include_str!("golden/stats.json"), &Stats::from(stats), &[], &[]);
}

#[test]
fn networks() {
    let subnet = Subnet { subnet: "172.17.0.0/16".into(), gateway: "172.17.0.1".into(), ..Subnet::default() };
    let spec = NetworkSpec {
        name: "bridge".into(),
        ipam: Ipam { subnets: vec![subnet], ..Ipam::default() },
        options: [("o".to_owned(), "1".to_owned())].into(),
        ..NetworkSpec::default()
    };
    let endpoints = vec![Endpoint { netns: "c".into(), ..Endpoint::default() }];
    let bridge = Network { endpoints, ..gantry_fakes::network(spec) };
    compare(
        include_str!("golden/network.json"),
        &networks::from_network(bridge, Containers::Shown),
        &[],
        &[],
    );
}

#[test]
fn volumes() {
    let of = gantry_api::engine::Volume { name: "v".into(), created_at: 1_000_000_000, ..Default::default() };
    compare(include_str!("golden/volume.json"), &volume::from_engine(of, Usage::Hidden), &[], &[]);
}

/// Gantry answers as dockerd with containerd's image store, which adds the descriptor.
#[test]
fn images() {
    let of = gantry_api::images::Image {
        names: vec!["docker.io/library/x:1".into()],
        config_json: br#"{"created":"2024-01-01T00:00:00Z","rootfs":{"type":"layers","diff_ids":["sha256:a"]},"history":[{}]}"#.as_slice().into(),
        ..gantry_fakes::image()
    };
    compare(
        include_str!("golden/image.json"),
        &image::inspect(&of, ApiVersion::CURRENT, false),
        &[".Descriptor"],
        &[".GraphDriver.Data.*"],
    );
    let options =
        RowOptions { version: ApiVersion::CURRENT, manifests: false, containers: None, shared_size: None };
    compare(include_str!("golden/image_row.json"), &image::summary(&of, options), &[".Descriptor"], &[]);
    compare(include_str!("golden/history.json"), &image::history(&of)[0], &[], &[]);
}

#[test]
fn system() {
    let info = engine::Info {
        runtimes: vec!["io.containerd.gantry.v2".into()],
        cgroup_version: "1".into(),
        cgroup_driver: "cgroupfs".into(),
        ..Default::default()
    };
    let info = host::info(
        info,
        vec!["bridge".to_owned()],
        0,
        &[],
        Path::new("/run/gantry"),
        None,
        ApiVersion::CURRENT,
    );
    // Gantry has no TCP memory limit and no address pools of its own, and names containerd's socket in one more place.
    compare(
        include_str!("golden/info.json"),
        &info,
        &[".Containerd"],
        &[".KernelMemoryTCP", ".DefaultAddressPools"],
    );
    compare(include_str!("golden/version.json"), &host::version(), &[], &[]);
}
