//! Combines `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's volumes into one list of mounts with unique
//! destinations. [`super::notation`] parses the single mounts.
//!
//! Binds and mounts override `--volumes-from`; the image's volumes apply only to destinations without any other
//! mount. Two mounts of the user's own at the same destination are refused.

use std::collections::BTreeMap;

use gantry_api::engine::{ContainerConfig, HostConfig, MountPoint};

use super::notation::{checked_destination, parse_bind, parse_mount, parse_tmpfs};
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::names;
use crate::record::MountRecord;

/// Plans the mounts of a container. Creates missing sources of binds where that is allowed.
pub(crate) fn plan(
    containers: &Containers,
    config: &ContainerConfig,
    host: &HostConfig,
    id: &str,
) -> Result<Vec<MountRecord>> {
    let mut plan: BTreeMap<String, MountRecord> = BTreeMap::new();
    for from in &host.volumes_from {
        if from.is_empty() {
            return Err(Error::Invalid("volumes-from specification cannot be an empty string".to_owned()));
        }
        let (name, mode) = from.split_once(':').unwrap_or((from, "rw"));
        if !matches!(mode, "rw" | "ro" | "z" | "Z" | "rw,z" | "ro,z") {
            return Err(Error::Invalid(format!("invalid mode: {mode}")));
        }
        let other = containers.find(name)?.record();
        for mount in other.mounts.iter().filter(|mount| may_be_shared(mount)) {
            let mut mount = mount.clone();
            mount.point.rw &= !mode.starts_with("ro");
            mount.no_copy = true;
            plan.insert(mount.point.destination.clone(), mount);
        }
    }
    let mut own: BTreeMap<String, MountRecord> = BTreeMap::new();
    for bind in &host.binds {
        add(&mut own, parse_bind(bind, &host.volume_driver)?)?;
    }
    for mount in &host.mounts {
        add(&mut own, parse_mount(mount)?)?;
    }
    for (destination, options) in &host.tmpfs {
        add(&mut own, parse_tmpfs(destination, options)?)?;
    }
    plan.extend(own);
    for destination in &config.volumes {
        let (source, destination) = match destination.split_once(':') {
            Some((source, destination)) => (source, destination),
            None => ("", destination.as_str()),
        };
        if !source.is_empty() {
            return Err(Error::Invalid(format!("invalid volume spec {source}:{destination}")));
        }
        let destination = checked_destination(destination)?;
        plan.entry(destination.clone()).or_insert_with(|| anonymous(destination, &host.volume_driver));
    }
    for mount in plan.values_mut() {
        if mount.point.r#type == "volume" && mount.point.name.is_empty() {
            mount.point.name = names::new_id();
            mount.anonymous = true;
        }
        if mount.point.r#type == "bind" {
            check_bind(mount)?;
        }
    }
    tracing::trace!(container = id, mounts = plan.len(), "mounts planned");
    Ok(plan.into_values().collect())
}

/// A tmpfs and a view of an image belong to one container only.
fn may_be_shared(mount: &MountRecord) -> bool {
    mount.snapshot.is_empty() && (!mount.is_tmpfs() || mount.tmpfs_volume)
}

fn add(plan: &mut BTreeMap<String, MountRecord>, mount: MountRecord) -> Result<()> {
    let destination = mount.point.destination.clone();
    if plan.insert(destination.clone(), mount).is_some() {
        return Err(Error::Invalid(format!("Duplicate mount point: {destination}")));
    }
    Ok(())
}

fn anonymous(destination: String, driver: &str) -> MountRecord {
    MountRecord {
        point: MountPoint {
            r#type: "volume".to_owned(),
            destination,
            driver: driver.to_owned(),
            rw: true,
            ..Default::default()
        },
        anonymous: true,
        ..Default::default()
    }
}

/// A bind's source must exist; `-v` creates a missing one as a directory.
fn check_bind(mount: &MountRecord) -> Result<()> {
    let source = mount.source();
    if source.exists() {
        return Ok(());
    }
    if !mount.make_source {
        return Err(Error::Invalid(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            source.display()
        )));
    }
    std::fs::create_dir_all(&source).map_err(|error| {
        Error::Invalid(format!("error while creating mount source path '{}': {error}", source.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_used_once() {
        let mut plan = BTreeMap::new();
        add(&mut plan, parse_bind("one:/x", "").expect("valid")).expect("free");
        assert!(add(&mut plan, parse_bind("two:/x/", "").expect("valid")).is_err());
    }
}
