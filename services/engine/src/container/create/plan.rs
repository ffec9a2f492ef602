//! Checks what a client asks for, and makes the record of the container from it. Except for missing sources of binds
//! and the reserved name, nothing is made.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::engine::{ContainerConfig, CreateSpec};
use gantry_api::images::Image;
use gantry_spec::Facts;
use oci_spec::runtime::Spec;

use super::defaults;
use crate::container::life::Life;
use crate::container::specs::Specs;
use crate::container::{network, port, validate};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::image::ImageConfig;
use crate::logs::driver::Drivers;
use crate::paths::Paths;
use crate::peers::{Images, Networks, Peers};
use crate::record::{Record, Stage};
use crate::{names, time, volumes};

/// How long to wait for a name whose container is being removed.
const UNMADE: Duration = Duration::from_secs(5);

/// Plans new containers. Cheap to clone.
#[derive(Clone)]
pub struct Plans {
    containers: Containers,
    images: Images,
    networks: Networks,
    drivers: Arc<Drivers>,
    specs: Specs,
    facts: Facts,
    paths: Paths,
    snapshotter: String,
}

/// A container that can be made.
pub struct Plan {
    /// Its record, at stage `Creating`. Its name is reserved.
    pub record: Record,
    /// Its specification before its first start.
    pub spec: Spec,
    /// The platform that the client asked for; empty for the host's.
    pub platform: String,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl Plans {
    /// Plans containers beside these, with these log drivers, for this snapshotter.
    pub fn new(
        containers: &Containers,
        peers: &Peers,
        drivers: &Arc<Drivers>,
        specs: &Specs,
        facts: &Facts,
        paths: &Paths,
        snapshotter: &str,
    ) -> Plans {
        Plans {
            containers: containers.clone(),
            images: peers.images.clone(),
            networks: peers.networks.clone(),
            drivers: Arc::clone(drivers),
            specs: specs.clone(),
            facts: facts.clone(),
            paths: paths.clone(),
            snapshotter: snapshotter.to_owned(),
        }
    }

    /// Plans a container.
    pub(super) async fn plan(&self, request: CreateSpec) -> Result<Plan> {
        let asked = request.config;
        let mut host = request.host;
        if asked.image.is_empty() {
            return Err(Error::Invalid("no image specified".to_owned()));
        }
        defaults::default_network(&asked, &mut host);
        let (image, networks) = tokio::join!(
            self.images.resolve(&asked.image, &request.platform),
            network::asked_for(&self.networks, &asked, &host, request.networks),
        );
        // A missing image is reported first, because the client then pulls it and tries again.
        let image = image?;
        let image_config = ImageConfig::parse(&image.config_json)?;
        let id = names::new_id();
        let mut warnings = validate::check(&asked, &host, &self.drivers)?;
        self.drivers.find(host.log_config.as_ref()).await?;
        validate::cgroup_parent(&host, &self.facts)?;
        let links = self.containers.take_links(&mut host)?;
        warnings.extend(defaults::ignored(&asked, &host, api_at_least(&request.api_version, 44)));
        let config = image_config.merge(asked);
        let mut config = defaults::with_hostname(config, &host, &id, &self.containers, &self.facts);
        config.working_dir = cleaned(&config.working_dir);
        config.exposed_ports = port::expand(&config.exposed_ports);
        defaults::fill(&mut host, &mut warnings, &self.containers, &self.facts).map_err(not_the_image)?;
        let networks = networks?;
        let command = command_of(&config)?;
        let mut mounts = volumes::plan::plan(&self.containers, &config, &host, &id).map_err(not_the_image)?;
        if volumes::images::find(&self.images, &self.paths, &self.snapshotter, &mut mounts, &id).await? {
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
        match self.specs.preliminary(&record) {
            Ok(spec) => Ok(Plan { record, spec, platform: request.platform, warnings }),
            Err(error) => {
                self.containers.index.release(&record.name, &id);
                Err(error)
            }
        }
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
}

/// A client that gets "not found" pulls the image and tries again, so only a missing image may have that code.
fn not_the_image(error: Error) -> Error {
    match error {
        Error::NoSuchContainer(name) => Error::Invalid(Error::NoSuchContainer(name).to_string()),
        other => other,
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
