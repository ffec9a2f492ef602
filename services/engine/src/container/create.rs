//! Creates a container: first all checks, then the steps, each of which succeeds if it is already done.
//!
//! 1. The intent is written (stage `Creating`) under a reserved name.
//! 2. The tasks service gets the container record, and the root that the record keeps is prepared.
//! 3. The root gets what every root has; volumes are created and filled.
//! 4. The record becomes `Ready`, and the client gets the id.
//!
//! If a step fails, or the engine crashes, a container that has not become `Ready` is removed by the same code that
//! removes containers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gantry_api::engine::{ContainerConfig, CreateSpec, Created, HostConfig};
use gantry_api::images::Image;
use gantry_failpoint::failpoint;
use gantry_mount::Mount;
use gantry_spec::{Namespace, masked};
use oci_spec::runtime::Spec;

use crate::blocking::blocking;
use crate::container::Container;
use crate::container::life::Life;
use crate::container::mode::{IpcMode, NetworkMode, PidMode, container_of};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::ImageConfig;
use crate::record::{MountRecord, Record, Stage, VolumeRecord};
use crate::{names, spec, time};

/// How long to wait for a name whose container is being removed.
const UNMADE: std::time::Duration = std::time::Duration::from_secs(5);

impl Engine {
    /// Creates a container, which is durable when this returns.
    pub async fn create(&self, request: CreateSpec) -> Result<Created> {
        let asked = request.config;
        let mut host = request.host;
        if asked.image.is_empty() {
            return Err(Error::Invalid("no image specified".to_owned()));
        }
        default_network(&asked, &mut host);
        let (image, networks) = tokio::join!(
            self.peers.images.resolve(&asked.image, &request.platform),
            self.networks(&asked, &host, request.networks),
        );
        // A missing image is reported first, because the client then pulls it and tries again.
        let image = image?;
        let image_config = ImageConfig::parse(&image.config_json)?;
        let id = names::new_id();
        let mut warnings = super::validate::check(&asked, &host, &self.logs.drivers)?;
        self.logs.drivers.find(host.log_config.as_ref()).await?;
        super::validate::cgroup_parent(&host, &self.facts)?;
        let links = self.containers.take_links(&mut host)?;
        warnings.extend(ignored(&asked, &host, api_at_least(&request.api_version, 44)));
        let config = image_config.merge(asked);
        let mut config = self.with_hostname(config, &host, &id);
        config.working_dir = cleaned(&config.working_dir);
        config.exposed_ports = super::port::expand(&config.exposed_ports);
        self.fill_defaults(&mut host, &mut warnings).map_err(not_the_image)?;
        let networks = networks?;
        let command = command_of(&config)?;
        let mut mounts = self.plan_mounts(&config, &host, &id).map_err(not_the_image)?;
        if self.find_images(&mut mounts, &id).await? {
            warnings.push("Image mount is an experimental feature".to_owned());
        }
        check_platform(&image, &request.platform, &mut warnings);

        let manifest = image.manifest.clone();
        let record = Record {
            name: self.take_name(&request.name, &id).await?,
            id: id.clone(),
            stage: Stage::Creating,
            created_at: time::now(),
            networks,
            mounts,
            image_name: image_name(&config.image, &image),
            image_id: image.id().to_string(),
            manifest_digest: manifest.digest.to_string(),
            manifest_size: i64::try_from(manifest.size).unwrap_or(i64::MAX),
            manifest_media_type: manifest.media_type,
            command,
            platform: "linux".to_owned(),
            snapshotter: self.snapshotter.clone(),
            chain_id: image.chain_id().map(|chain| chain.to_string()).unwrap_or_default(),
            recursive_read_only: api_at_least(&request.api_version, 44),
            keep_volumes: false,
            links,
            config,
            host,
        };
        // A configuration that cannot be started is refused now.
        let spec = match self.preliminary_spec(&record) {
            Ok(spec) => spec,
            Err(error) => {
                self.containers.index.release(&record.name, &id);
                return Err(error);
            }
        };
        match self.make(record, &spec, &request.platform).await {
            Ok(container) => {
                failpoint!("engine.create.ready", infallible);
                self.events.publish_container(&container, "create", BTreeMap::new());
                Ok(Created { id, warnings })
            }
            Err(error) => Err(error),
        }
    }

    async fn make(&self, record: Record, spec: &Spec, platform: &str) -> Result<Arc<Container>> {
        let life = Life::default();
        let state = life.recorded();
        let container = Container::new(record.clone(), life, self.containers.index.generation());
        let container = container.inspect_err(|_| self.containers.index.release(&record.name, &record.id))?;
        let container = Arc::new(container);
        if let Err(error) = self.containers.store.put(&record, &state).await {
            self.containers.index.release(&record.name, &record.id);
            return Err(error);
        }
        // The container can be found from here on (its volumes are in use), but changes wait for the lock.
        let turn = container.operate().await;
        self.containers.index.insert(Arc::clone(&container));
        self.containers.rename_children(&record.links);
        let made = match self.make_steps(&container, spec, platform).await {
            Ok(mounts) => {
                let ready = Record { stage: Stage::Ready, mounts, ..record };
                let written = self.containers.store.put(&ready, &state).await;
                written.map(|()| container.set_record(ready))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            if let Err(undo) = self.unmake(&container, super::remove::Volumes::Anonymous).await {
                tracing::warn!(container = %container.id(), error = %gantry_rpc::chain(&undo), "half-made container is unmade later");
                self.unmake_later(&container);
            }
            return Err(error);
        }
        drop(turn);
        Ok(container)
    }

    async fn make_steps(
        &self,
        container: &Container,
        spec: &Spec,
        platform: &str,
    ) -> Result<Vec<MountRecord>> {
        failpoint!("engine.create.recorded");
        let record = &container.record();
        let labels = containerd_labels(record);
        let directory = self.paths.container(&record.id);
        let (rootfs, made) = tokio::join!(
            self.make_root(record, labels, spec, platform),
            blocking(move || {
                std::fs::create_dir_all(&directory)
                    .map_err(|source| Error::io("create directory", directory.clone(), source))
            }),
        );
        made?;
        let rootfs = rootfs?;
        failpoint!("engine.create.rooted");
        let (mounts, of) = (rootfs.clone(), container.record());
        let places = blocking(move || super::skeleton::prepare(&mounts, &of)).await?;
        failpoint!("engine.create.laid");
        self.view_images(record).await?;
        let made = |volume: &VolumeRecord| self.events.publish_volume(&volume.name, &volume.driver, "create");
        let mounts = self.volumes.provide(&record.mounts, made).await?;
        failpoint!("engine.create.provided");
        // If the image has nothing at the place, there is nothing to copy.
        let filled = mounts.iter().filter(|mount| !places.contains(&mount.point.destination));
        let filled: Vec<MountRecord> = filled.cloned().collect();
        let fillable: Vec<MountRecord> =
            filled.iter().filter(|mount| crate::volumes::copy_up::is_fillable(mount)).cloned().collect();
        let held = self.hold_for_now(&fillable).await?;
        self.volumes.fill(&rootfs, self.volumes.placed(&filled).iter()).await?;
        drop(held);
        failpoint!("engine.create.filled");
        // A client that inspected the container meanwhile may have set it already.
        let _ = container.mounts.set(rootfs);
        Ok(mounts)
    }

    /// Reserves a name. If the name's container is being removed, as after a crash during its creation, this waits
    /// for the removal, because users cannot see that container.
    async fn take_name(&self, wanted: &str, id: &str) -> Result<String> {
        let taken = match self.containers.index.reserve(wanted, id) {
            Err(Error::NameInUse { name, id }) => Error::NameInUse { name, id },
            result => return result,
        };
        let Error::NameInUse { id: owner, .. } = &taken else { return Err(taken) };
        if let Ok(container) = self.containers.find(owner) {
            if !container.life().is_going() {
                return Err(taken);
            }
            let mut watch = container.watch();
            // The next reservation shows whether the removal was in time.
            let _ = tokio::time::timeout(UNMADE, watch.wait_for(Life::is_removed)).await;
        }
        self.containers.index.reserve(wanted, id)
    }

    /// Makes the container record and then the root that it keeps: in this order no garbage collection finds the root
    /// without its keeper. Only if the root cannot be made, this checks that the image is unpacked.
    async fn make_root(
        &self,
        record: &Record,
        labels: HashMap<String, String>,
        spec: &Spec,
        platform: &str,
    ) -> Result<Vec<Mount>> {
        let image = if record.image_name.is_empty() { &record.image_id } else { &record.image_name };
        self.peers.records.create(&record.id, image, labels, &record.snapshotter, spec).await?;
        let prepare = || self.peers.snapshots.prepare(&record.snapshotter, &record.id, &record.chain_id);
        match prepare().await {
            Err(error) if error.peer_code() == Some(tonic::Code::NotFound) => {
                self.peers.images.unpack(&record.config.image, platform, &record.snapshotter).await?;
                prepare().await
            }
            prepared => prepared,
        }
    }

    /// Sets the host name of a container that has none: its short id, the host's name, or that of the container whose
    /// network it shares.
    fn with_hostname(&self, mut config: ContainerConfig, host: &HostConfig, id: &str) -> ContainerConfig {
        match NetworkMode::of(&host.network_mode) {
            NetworkMode::Container(other) => {
                // Another check refuses a container that does not exist.
                if let Ok(other) = self.containers.find(other) {
                    config.hostname.clone_from(&other.record().config.hostname);
                }
            }
            _ if !config.hostname.is_empty() => {}
            NetworkMode::Host => config.hostname.clone_from(&self.facts.hostname),
            NetworkMode::None | NetworkMode::Network(_) => names::short(id).clone_into(&mut config.hostname),
        }
        config
    }

    /// Fills the request's missing values with those that Docker shows.
    fn fill_defaults(&self, host: &mut HostConfig, warnings: &mut Vec<String>) -> Result<()> {
        // Replaced by the id, because the other container may be renamed.
        for mode in [&mut host.pid_mode, &mut host.ipc_mode, &mut host.network_mode] {
            if let Some(other) = container_of(mode) {
                let id = self.containers.find(other)?.id().to_owned();
                *mode = format!("container:{id}");
            }
        }
        if host.ipc_mode.is_empty() {
            host.ipc_mode = "private".to_owned();
        }
        if host.cgroupns_mode.is_empty() {
            host.cgroupns_mode = if self.facts.cgroup_v2 { "private" } else { "host" }.to_owned();
        }
        if host.shm_size == 0 {
            host.shm_size = gantry_spec::DEFAULT_SHM;
        }
        if host.runtime.is_empty() {
            host.runtime = "runc".to_owned();
        }
        let log = host.log_config.get_or_insert_default();
        if log.r#type.is_empty() {
            log.r#type = "json-file".to_owned();
        }
        let restart = host.restart_policy.get_or_insert_default();
        if restart.name.is_empty() {
            restart.name = "no".to_owned();
        }
        // A container that shares these namespaces with the host has no SELinux label of its own.
        let shares = host.privileged
            || PidMode::of(&host.pid_mode) == PidMode::Host
            || IpcMode::of(&host.ipc_mode) == IpcMode::Host;
        if shares && host.security_opt.is_empty() {
            host.security_opt.push("label=disable".to_owned());
        }
        for (paths, default) in [
            (&mut host.masked_paths, masked::hidden as fn() -> Vec<String>),
            (&mut host.readonly_paths, masked::read_only),
        ] {
            if paths.is_none() && !host.privileged {
                *paths = Some(default());
            }
        }
        let resources = host.resources.get_or_insert_default();
        if resources.memory > 0 && resources.memory_swap == 0 {
            resources.memory_swap = resources.memory.saturating_mul(2);
        }
        if resources.memory_swap > 0 && !self.facts.swap_limit {
            warnings.push("Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.".to_owned());
        }
        if resources.pids_limit.is_some_and(|limit| limit <= 0) {
            resources.pids_limit = None;
        }
        resources.oom_kill_disable.get_or_insert(false);
        if resources.memory_swappiness == Some(-1) {
            resources.memory_swappiness = None;
        }
        if host.oom_score_adj < 0 {
            warnings.push("Lowering the OOM score needs CAP_SYS_RESOURCE: where Gantry does not have it, the container will not start.".to_owned());
        }
        if !self.facts.apparmor && host.security_opt.iter().any(|option| option.starts_with("apparmor")) {
            warnings.push("This machine has no AppArmor: the profile is not applied.".to_owned());
        }
        Ok(())
    }

    pub(crate) fn preliminary_spec(&self, record: &Record) -> Result<Spec> {
        let around = spec::Surroundings {
            host: &self.facts,
            netns: Namespace::Path(self.peers.networks.netns_path(&record.id)),
            shared: spec::Shared::default(),
            files: None,
            init: &self.init,
            shm: None,
            variables: Vec::new(),
        };
        spec::build(record, &around)
    }
}

/// A container's labels for containerd, which limits their length. The engine alone keeps longer ones.
pub(crate) fn containerd_labels(record: &Record) -> HashMap<String, String> {
    let short = |(key, value): &(&String, &String)| key.len() + value.len() <= 4096;
    let labels = record.config.labels.iter().filter(short).map(|(key, value)| (key.clone(), value.clone()));
    labels.chain(crate::volumes::images::references(record)).collect()
}

/// A client that gets "not found" pulls the image and tries again, so only a missing image may have that code.
fn not_the_image(error: Error) -> Error {
    match error {
        Error::NoSuchContainer(name) => Error::Invalid(Error::NoSuchContainer(name).to_string()),
        other => other,
    }
}

/// Warnings for fields that Docker accepts from old clients and ignores.
fn ignored(config: &ContainerConfig, host: &HostConfig, is_new: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if is_new && !config.mac_address.is_empty() {
        warnings.push("The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.".to_owned());
    }
    if NetworkMode::of(&host.network_mode) == NetworkMode::Host && !host.port_bindings.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    warnings
}

/// The network of a container whose configuration names none.
fn default_network(config: &ContainerConfig, host: &mut HostConfig) {
    if config.network_disabled {
        host.network_mode = "none".to_owned();
    } else if host.network_mode.is_empty() || host.network_mode == "default" {
        host.network_mode = "bridge".to_owned();
    }
}

/// The program and its arguments.
fn command_of(config: &ContainerConfig) -> Result<Vec<String>> {
    let command = [&config.entrypoint, &config.cmd].into_iter().flatten().flatten().cloned();
    let command: Vec<String> = command.collect();
    if command.is_empty() {
        return Err(Error::Invalid("no command specified".to_owned()));
    }
    Ok(command)
}

/// The canonical name that the user meant; empty if the image was named by its id.
fn image_name(asked: &str, image: &Image) -> String {
    match gantry_types::Reference::parse_normalized(asked) {
        Ok(reference) => {
            let name = reference.with_default_tag().to_string();
            if image.names.contains(&name) || image.digests.contains(&name) { name } else { String::new() }
        }
        Err(_) => String::new(),
    }
}

fn check_platform(image: &Image, asked: &str, warnings: &mut Vec<String>) {
    let (found, host) = (&image.platform, gantry_types::Platform::host());
    let same = host.to_string().starts_with(&format!("{}/{}", found.os(), found.architecture()));
    if asked.is_empty() && !same {
        warnings.push(format!(
            "The requested image's platform ({found}) does not match the detected host platform ({host}) and no specific platform was requested"
        ));
    }
}

/// Whether a client's API version is at least 1.`minor`; an empty version is the newest.
fn api_at_least(version: &str, minor: u32) -> bool {
    match version.split_once('.') {
        Some(("1", text)) => text.parse::<u32>().is_ok_and(|found| found >= minor),
        _ => true,
    }
}

/// An absolute path without `.`, `..` and doubled slashes; an empty path stays empty.
fn cleaned(directory: &str) -> String {
    if directory.is_empty() { String::new() } else { gantry_rooted::clean(directory).display().to_string() }
}
