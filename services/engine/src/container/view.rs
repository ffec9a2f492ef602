//! Containers as clients see them.

use std::path::Path;
use std::sync::Arc;

use gantry_api::engine as api;
use gantry_api::engine::{
    ContainerSummary, EndpointSettings, HealthResult, HostConfig, MountPoint, NamedEndpoint, PublishedPort,
    State,
};
use gantry_api::network::{Address, Endpoint, Netns};
use gantry_mount::Overlay;
use gantry_spec::Facts;

use super::Container;
use super::files::Files;
use super::life::{Life, Memory};
use super::network::is_predefined;
use crate::containers::Containers;
use crate::error::Result;
use crate::health::Health;
use crate::logs::Logs;
use crate::peers::Snapshots;
use crate::record::Record;
use crate::spec;
use crate::volumes::Volumes;

/// Sizes of a container's root.
pub(crate) struct Sizes {
    /// Bytes in the container's own layer.
    pub own: i64,
    /// Bytes in the container's layer and its image.
    pub whole: i64,
}

/// Shows containers to the engine's callers. Cheap to clone.
#[derive(Clone)]
pub struct Views {
    containers: Containers,
    snapshots: Snapshots,
    volumes: Arc<Volumes>,
    files: Files,
    logs: Logs,
    facts: Facts,
}

impl Views {
    /// Shows these containers with their volumes, files and logs.
    pub fn new(
        containers: &Containers,
        snapshots: &Snapshots,
        volumes: &Arc<Volumes>,
        files: &Files,
        logs: &Logs,
        facts: &Facts,
    ) -> Views {
        Views {
            containers: containers.clone(),
            snapshots: snapshots.clone(),
            volumes: Arc::clone(volumes),
            files: files.clone(),
            logs: logs.clone(),
            facts: facts.clone(),
        }
    }

    /// Returns one container, with the sizes of its root if `size` is set.
    pub async fn get(&self, name: &str, size: bool) -> Result<api::Container> {
        let container = self.containers.find(name)?;
        let mut view = self.view(&container);
        if size && let Some(sizes) = sizes(&self.snapshots, &view.snapshotter, &view.id).await {
            view.size_rw = Some(sizes.own);
            view.size_root_fs = Some(sizes.whole);
        }
        if let Ok(mounts) = container.root_mounts(&self.snapshots).await
            && let Some(overlay) = mounts.iter().find_map(Overlay::of)
        {
            let lower: Vec<String> = overlay.lower.iter().map(|layer| layer.display().to_string()).collect();
            view.graph_data.insert("LowerDir".to_owned(), lower.join(":"));
            if let Some(upper) = overlay.upper {
                view.graph_data.insert("UpperDir".to_owned(), upper.files.display().to_string());
                view.graph_data.insert("WorkDir".to_owned(), upper.work.display().to_string());
            }
        }
        Ok(view)
    }

    /// The AppArmor profile of a container since its start; before the first start, the requested one.
    fn apparmor_of(&self, record: &Record, life: &Life) -> String {
        let host = &record.host;
        let profile = if life.past().started_at == 0 {
            gantry_spec::Security::parse(&host.security_opt, host.privileged)
                .ok()
                .map(|security| security.apparmor)
        } else {
            spec::apparmor_profile(host, &self.facts).ok().flatten()
        };
        profile.unwrap_or_default()
    }

    /// The user's host configuration, with the present links.
    fn shown_host(&self, record: &Record) -> HostConfig {
        let name = |id: &str| self.containers.find(id).ok().map(|child| child.name());
        HostConfig { links: super::links::shown(record, name), ..record.host.clone() }
    }

    /// The container without facts that other services have.
    fn view(&self, container: &Container) -> api::Container {
        let record = container.record();
        let life = container.life().clone();
        let health = life.health.as_ref().map(health);
        let files = self.files.of(&record).unwrap_or_else(|_| self.files.paths.files(&record.id));
        let (path, args) = command(&record);
        // What a start makes is not shown before the first start.
        let begun = life.past().started_at != 0 || !life.past().error.is_empty();
        let path_of = |path: &Path| if begun { path.display().to_string() } else { String::new() };
        let shown = self.logs.drivers.of(&record).is_ok_and(|driver| driver.is_shown());
        api::Container {
            id: record.id.clone(),
            name: record.name.clone(),
            created_at: record.created_at,
            state: State { health, ..state(&life) },
            config: record.config.clone(),
            host: self.shown_host(&record),
            networks: networks(&record, &life).collect(),
            mounts: mounts(&self.volumes.placed_in(Arc::clone(&record))),
            image_id: record.image_id.clone(),
            manifest_digest: record.manifest_digest.clone(),
            manifest_size: record.manifest_size,
            manifest_media_type: record.manifest_media_type.clone(),
            path,
            args,
            restart_count: life.past().restart_count,
            platform: record.platform.clone(),
            log_path: if shown { path_of(&self.logs.paths.log(&record.id)) } else { String::new() },
            hosts_path: path_of(&files.hosts),
            hostname_path: path_of(&files.hostname),
            resolv_conf_path: path_of(&files.resolv_conf),
            exec_ids: container.execs.running(),
            ports: ports(life.netns().map(AsRef::as_ref)),
            sandbox_key: life.netns().map(|netns| netns.path.display().to_string()).unwrap_or_default(),
            snapshotter: record.snapshotter.clone(),
            apparmor_profile: self.apparmor_of(&record, &life),
            ..Default::default()
        }
    }
}

/// The sizes of a container's root; `None` if they cannot be measured.
pub(crate) async fn sizes(snapshots: &Snapshots, snapshotter: &str, id: &str) -> Option<Sizes> {
    let own = snapshots.usage(snapshotter, id).await.ok()?;
    let mut whole = own;
    let mut key = id.to_owned();
    while let Ok(parent) = snapshots.parent(snapshotter, &key).await {
        if parent.is_empty() {
            break;
        }
        whole += snapshots.usage(snapshotter, &parent).await.unwrap_or(0);
        key = parent;
    }
    Some(Sizes { own, whole })
}

/// What a list shows of a container, without sizes.
pub(crate) fn summary(container: &Container) -> ContainerSummary {
    let record = container.record();
    let life = container.life();
    let (path, args) = command(&record);
    let health = life
        .health
        .as_ref()
        .map(|health| api::Health { status: health.status.as_str().to_owned(), ..api::Health::default() });
    ContainerSummary {
        id: record.id.clone(),
        name: record.name.clone(),
        created_at: record.created_at,
        state: State { health, ..state(&life) },
        image: if container.has_lost_image_name() { &record.image_id } else { &record.config.image }.clone(),
        image_id: record.image_id.clone(),
        manifest_digest: record.manifest_digest.clone(),
        manifest_size: record.manifest_size,
        manifest_media_type: record.manifest_media_type.clone(),
        path,
        args,
        labels: record.config.labels.clone(),
        network_mode: record.host.network_mode.clone(),
        annotations: record.host.annotations.clone(),
        networks: networks(&record, &life)
            .map(|(network, settings)| NamedEndpoint { network, settings })
            .collect(),
        mounts: mounts(&record),
        ports: ports(life.netns().map(AsRef::as_ref)),
        exposed_ports: record.config.exposed_ports.clone(),
        further_names: container
            .further_names()
            .iter()
            .map(|name| format!("{}/{}", name.parent, name.alias))
            .collect(),
        size_rw: None,
        size_root_fs: None,
    }
}

fn command(record: &Record) -> (String, Vec<String>) {
    match record.command.split_first() {
        Some((path, args)) => (path.clone(), args.to_vec()),
        None => (String::new(), Vec::new()),
    }
}

fn mounts(record: &Record) -> Vec<MountPoint> {
    record.mounts.iter().filter(|mount| !mount.hidden).map(|mount| mount.point.clone()).collect()
}

/// The state without health.
fn state(life: &Life) -> State {
    let past = life.past();
    State {
        status: life.status(),
        oom_killed: past.memory != Memory::Sufficed,
        pid: life.running().map_or(0, |running| running.pid),
        exit_code: past.exit_code,
        error: past.error.clone(),
        started_at: past.started_at,
        finished_at: past.finished_at,
        health: None,
    }
}

/// The health in the interface's form.
pub fn health(health: &Health) -> api::Health {
    let log = health.log.iter().map(|probe| HealthResult {
        start: probe.start,
        end: probe.end,
        exit_code: probe.exit_code,
        output: probe.output.clone(),
    });
    api::Health {
        status: health.status.as_str().to_owned(),
        failing_streak: i64::from(health.failing_streak),
        log: log.collect(),
    }
}

/// The requested endpoint settings, with the network service's values.
fn networks(record: &Record, life: &Life) -> impl Iterator<Item = (String, EndpointSettings)> {
    record.networks.iter().map(move |(name, asked)| {
        let mut settings = asked.clone();
        life.network_id(name, asked).clone_into(&mut settings.network_id);
        let endpoint =
            life.netns().and_then(|netns| netns.endpoints.iter().find(|one| one.network_name == *name));
        if let Some(endpoint) = endpoint {
            take_endpoint(&mut settings, endpoint);
        } else if life.past().started_at != 0 && !is_predefined(name) {
            settings.dns_names = dns_names(record, asked);
        }
        (name.clone(), settings)
    })
}

/// The names that the name service on a user-defined network answers for a container while it runs.
fn dns_names(record: &Record, asked: &EndpointSettings) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let all = std::iter::once(record.name.as_str())
        .chain(asked.aliases.iter().map(String::as_str))
        .chain([crate::names::short(&record.id), &record.config.hostname]);
    for name in all {
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn take_endpoint(settings: &mut EndpointSettings, endpoint: &Endpoint) {
    settings.network_id.clone_from(&endpoint.network_id);
    settings.endpoint_id.clone_from(&endpoint.id);
    (settings.ip_address, settings.ip_prefix_len, settings.gateway) = parts(endpoint.ipv4);
    (settings.global_ipv6_address, settings.global_ipv6_prefix_len, settings.ipv6_gateway) =
        parts(endpoint.ipv6);
    settings.mac_address.clone_from(&endpoint.mac);
    settings.dns_names.clone_from(&endpoint.dns_names);
}

/// Address, prefix length and gateway, as Docker shows them.
fn parts(own: Option<Address>) -> (String, u32, String) {
    let Some(own) = own else { return Default::default() };
    let gateway = own.gateway.map(|gateway| gateway.to_string());
    (own.address.to_string(), own.prefix.into(), gateway.unwrap_or_default())
}

fn ports(netns: Option<&Netns>) -> Vec<PublishedPort> {
    netns
        .iter()
        .flat_map(|netns| &netns.ports)
        .map(|port| PublishedPort {
            protocol: port.protocol.to_string(),
            container_port: port.container_port.into(),
            host_ip: port.host.to_string(),
            host_port: port.host_port.into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    async fn views(stage: &Stage) -> Views {
        let paths = stage.paths();
        let drivers = crate::app::volume_drivers(paths.volumes(), gantry_plugin::Plugins::default());
        let volumes =
            Volumes::open(drivers.expect("made"), stage.containers.store.clone()).await.expect("read");
        let files = Files::new(&stage.containers, &stage.peers.networks, &paths);
        let logs = Logs::new(crate::app::own_log_drivers(), &paths, "host", &stage.context());
        let facts = Facts::detect();
        Views::new(&stage.containers, &stage.peers.snapshots, &Arc::new(volumes), &files, &logs, &facts)
    }

    /// The snapshots service is away, too.
    #[tokio::test]
    async fn what_only_a_start_makes_is_not_shown_before_it() {
        let stage = Stage::new();
        let (made, ran) = (stage.made("web").await, stage.made("db").await);
        ran.change(|life| life.fail("no such program".to_owned(), 127)).expect("at rest");
        let views = views(&stage).await;
        let shown = views.get("web", true).await.expect("shown");
        assert_eq!((shown.id.as_str(), shown.hosts_path.as_str()), (made.id(), ""));
        assert_eq!((shown.log_path.as_str(), shown.size_rw), ("", None), "nobody can measure it");
        let shown = views.get("db", false).await.expect("shown");
        assert!(
            shown.hosts_path.ends_with(&format!("containers/{}/hosts", ran.id())),
            "{}",
            shown.hosts_path
        );
        assert_eq!((shown.state.error.as_str(), shown.state.exit_code), ("no such program", 127));
    }
}
