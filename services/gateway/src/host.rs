//! Facts about this machine and this build, for `docker version` and `docker info`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gantry_api::engine;
use gantry_api::images::Registry;

use crate::authorization::Authorization;
use crate::moment;
use crate::version::ApiVersion;
use crate::wire::system::{
    Commit, Component, Containerd, Firewall, IndexConfig, Info, Namespaces, PlatformName, Plugins,
    RegistryConfig, Runtime, Swarm, Version,
};

/// Docker Hub's name in references.
const DOCKER_HUB: &str = "docker.io";
const GANTRY: &str = env!("CARGO_PKG_VERSION");

/// The answer of `GET /version`.
pub fn version() -> Version {
    let kernel = kernel();
    let details = BTreeMap::from([
        ("ApiVersion", ApiVersion::CURRENT.to_string()),
        ("MinAPIVersion", ApiVersion::OLDEST.to_string()),
        ("Os", "linux".to_owned()),
        ("Arch", go_arch().to_owned()),
        ("KernelVersion", kernel.clone()),
        ("Experimental", "false".to_owned()),
        ("GitCommit", String::new()),
        ("GoVersion", String::new()),
        ("BuildTime", String::new()),
    ]);
    // Clients look for a component of this name.
    let engine = Component { name: "Engine".to_owned(), version: GANTRY.to_owned(), details };
    let shim = Component {
        name: "containerd-shim-gantry-v2".to_owned(),
        version: GANTRY.to_owned(),
        details: BTreeMap::from([("GitCommit", String::new())]),
    };
    Version {
        platform: PlatformName { name: "Gantry".to_owned() },
        components: vec![engine, shim],
        version: GANTRY.to_owned(),
        api_version: ApiVersion::CURRENT.to_string(),
        min_api_version: ApiVersion::OLDEST.to_string(),
        git_commit: String::new(),
        go_version: String::new(),
        os: "linux",
        arch: go_arch(),
        kernel_version: kernel,
        build_time: String::new(),
    }
}

/// The answer of `GET /info`.
pub fn info(
    engine: engine::Info,
    networks: Vec<String>,
    images: usize,
    registries: &[Registry],
    run: &Path,
    authorization: Option<&Authorization>,
    version: ApiVersion,
) -> Info {
    let commit =
        |id: &str| Commit { id: id.to_owned(), expected: (!version.at_least(49)).then(|| id.to_owned()) };
    let mut security_options = Vec::new();
    if engine.apparmor {
        security_options.push("name=apparmor".to_owned());
    }
    if engine.seccomp {
        security_options.push("name=seccomp,profile=builtin".to_owned());
    }
    if engine.cgroup_version == "2" {
        security_options.push("name=cgroupns".to_owned());
    }
    Info {
        id: engine.id,
        containers: engine.containers,
        containers_running: engine.running,
        containers_paused: engine.paused,
        containers_stopped: engine.stopped,
        images,
        driver: engine.snapshotter,
        driver_status: vec![["driver-type".to_owned(), "io.containerd.snapshotter.v1".to_owned()]],
        plugins: Plugins {
            volume: engine.volume_drivers,
            network: networks,
            authorization: authorization.map(|all| all.names().to_vec()),
            log: engine.log_drivers,
        },
        memory_limit: true,
        swap_limit: true,
        kernel_memory_tcp: engine.cgroup_version == "1",
        cpu_cfs_period: true,
        cpu_cfs_quota: true,
        cpu_shares: true,
        cpu_set: true,
        pids_limit: true,
        ipv4_forwarding: flag("/proc/sys/net/ipv4/ip_forward"),
        bridge_nf_iptables: (!version.at_least(50))
            .then(|| flag("/proc/sys/net/bridge/bridge-nf-call-iptables")),
        bridge_nf_ip6tables: (!version.at_least(50))
            .then(|| flag("/proc/sys/net/bridge/bridge-nf-call-ip6tables")),
        debug: false,
        fds: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        oom_kill_disable: engine.cgroup_version == "1",
        goroutines: fs::read_dir("/proc/self/task").map_or(0, Iterator::count),
        system_time: moment::rfc3339_nano(Some(&moment::now())),
        logging_driver: "json-file",
        cgroup_driver: engine.cgroup_driver,
        cgroup_version: engine.cgroup_version,
        events_listeners: 0,
        kernel_version: kernel(),
        operating_system: os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
        os_version: os_release("VERSION_ID").unwrap_or_default(),
        os_type: "linux",
        architecture: std::env::consts::ARCH,
        index_server_address: "https://index.docker.io/v1/",
        registry_config: registry_config(registries),
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        mem_total: memory_total(),
        generic_resources: None,
        docker_root_dir: engine.root,
        http_proxy: String::new(),
        https_proxy: String::new(),
        no_proxy: String::new(),
        name: read("/proc/sys/kernel/hostname"),
        labels: Vec::new(),
        experimental_build: false,
        server_version: GANTRY.to_owned(),
        runtimes: engine.runtimes.into_iter().map(|name| (name.clone(), Runtime { path: name })).collect(),
        default_runtime: engine.default_runtime,
        swarm: Swarm {
            node_id: "",
            node_addr: "",
            local_node_state: "inactive",
            control_available: false,
            error: "",
            remote_managers: None,
        },
        // Containers always go on while services restart.
        live_restore_enabled: true,
        isolation: "",
        init_binary: "docker-init".to_owned(),
        containerd_commit: commit(GANTRY),
        runc_commit: commit(""),
        init_commit: commit(""),
        security_options,
        default_address_pools: Vec::new(),
        firewall_backend: version.at_least(49).then_some(Firewall { driver: "nftables" }),
        cdi_spec_dirs: Vec::new(),
        containerd: version.at_least(46).then(|| Containerd {
            address: run.join("containerd.sock").display().to_string(),
            namespaces: Namespaces { containers: "moby", plugins: "plugins.moby" },
        }),
        warnings: (!engine.warnings.is_empty()).then_some(engine.warnings),
    }
}

/// How `images` reaches registries. Docker Hub is always among them.
fn registry_config(registries: &[Registry]) -> RegistryConfig {
    let config = |host: &str, mirrors: Vec<String>, insecure: bool| {
        let config =
            IndexConfig { mirrors, name: host.to_owned(), official: host == DOCKER_HUB, secure: !insecure };
        (host.to_owned(), config)
    };
    // Docker writes a mirror's address with a slash at its end.
    let slashed = |mirror: &String| format!("{}/", mirror.trim_end_matches('/'));
    let mut index_configs = BTreeMap::from([config(DOCKER_HUB, Vec::new(), false)]);
    index_configs.extend(registries.iter().map(|registry| {
        config(&registry.host, registry.mirrors.iter().map(slashed).collect(), registry.insecure)
    }));
    let mirrors = index_configs[DOCKER_HUB].mirrors.clone();
    RegistryConfig {
        index_configs,
        insecure_registry_cidrs: vec!["::1/128", "127.0.0.0/8"],
        mirrors: (!mirrors.is_empty()).then_some(mirrors),
    }
}

/// The architecture by Go's name.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn kernel() -> String {
    read("/proc/sys/kernel/osrelease")
}

fn flag(path: &str) -> bool {
    read(path) == "1"
}

fn os_release(key: &str) -> Option<String> {
    let text =
        fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

fn memory_total() -> u64 {
    let text = read("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_the_engine_component() {
        let json = serde_json::to_value(version()).expect("json");
        assert_eq!(json["Components"][0]["Name"], "Engine");
        assert_eq!((&json["ApiVersion"], &json["MinAPIVersion"]), (&"1.51".into(), &"1.24".into()));
    }

    #[test]
    fn mirrors_and_insecure_registries_are_shown() {
        let registry = |host: &str, mirrors: &[&str], insecure| Registry {
            host: host.to_owned(),
            mirrors: mirrors.iter().map(|mirror| (*mirror).to_owned()).collect(),
            insecure,
        };
        let config = registry_config(&[
            registry("docker.io", &["https://mirror.example", "http://other.example/"], false),
            registry("registry.local:5000", &[], true),
        ]);
        let json = serde_json::to_value(config).expect("json");
        assert_eq!(json["Mirrors"], serde_json::json!(["https://mirror.example/", "http://other.example/"]));
        assert_eq!(
            json["IndexConfigs"]["registry.local:5000"],
            serde_json::json!({"Mirrors": [], "Name": "registry.local:5000", "Official": false, "Secure": false})
        );
        assert_eq!(json["IndexConfigs"]["docker.io"]["Official"], true);
        assert_eq!(registry_config(&[]).mirrors, None);
    }

    #[test]
    fn the_image_store_is_told_as_containerds() {
        let info = |minor| {
            serde_json::to_value(info(
                engine::Info::default(),
                vec!["bridge".to_owned()],
                3,
                &[],
                Path::new("/run/g"),
                None,
                ApiVersion::v1(minor),
            ))
            .expect("json")
        };
        let new = info(51);
        assert_eq!(new["DriverStatus"], serde_json::json!([["driver-type", "io.containerd.snapshotter.v1"]]));
        assert_eq!(new["Swarm"]["LocalNodeState"], "inactive");
        assert_eq!(new["Images"], 3);
        assert_eq!(new["Plugins"]["Network"], serde_json::json!(["bridge"]));
        assert!(new["MemTotal"].as_u64().is_some_and(|bytes| bytes > 0));
        assert!(new.get("BridgeNfIptables").is_none() && new.get("FirewallBackend").is_some());
        let old = info(41);
        assert!(old.get("BridgeNfIptables").is_some() && old.get("FirewallBackend").is_none());
        assert_eq!(old["ContainerdCommit"]["Expected"], GANTRY);
    }
}
