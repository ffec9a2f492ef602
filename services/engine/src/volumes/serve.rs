//! The calls of the volumes' interface.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gantry_api::engine::volumes::Usage;
use gantry_api::engine::{Filter, Pruned, Volume, VolumeSpec};

use super::driver::{Seen, failed, local};
use super::{Volumes, Wanted, users};
use crate::blocking::blocking;
use crate::container::Container;
use crate::container::list::filters_of;
use crate::containers::Containers;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::filters::Filters;
use crate::record::VolumeRecord;

const KNOWN: [&str; 5] = ["dangling", "driver", "label", "label!", "name"];

/// Creates a volume, or returns the existing one.
pub async fn make(volumes: &Volumes, events: &Events, request: VolumeSpec) -> Result<Volume> {
    let wanted = Wanted {
        name: request.name,
        driver: request.driver,
        options: request.driver_opts,
        labels: request.labels,
        anonymous: false,
    };
    let (volume, new) = volumes.create(wanted).await?;
    if new {
        events.publish_volume(&volume.name, &volume.driver, "create");
    }
    let driver = volumes.drivers().get(&volume.driver).await;
    let driver = driver.map_err(failed(format!("create {}", volume.name)))?;
    // A plugin has further facts about a volume, which it returns only when asked.
    let seen = match new && driver.counts_users() {
        true => Seen::default(),
        false => driver.look(&volume.name).await?.unwrap_or_default(),
    };
    Ok(view(volume, driver.scope(), Seen { status: String::new(), ..seen }))
}

/// Returns one volume.
pub async fn get(volumes: &Volumes, name: &str) -> Result<Volume> {
    let (volume, driver, seen) = volumes.find(name).await?;
    Ok(view(volume, driver.scope(), seen))
}

/// The volumes that match, including those of plugins. If a plugin does not answer, its recorded volumes are
/// listed from the records.
pub async fn list(
    volumes: &Volumes,
    containers: &Containers,
    filters: &[Filter],
    usage: Usage,
) -> Result<Vec<Volume>> {
    let filters = filters_of(filters);
    let passes = pass(containers, &filters, &KNOWN)?;
    let all = all_of(volumes, |driver| filters.any_of("driver", |value| value == driver)).await;
    let users = users::of_all(containers);
    let mut listed = Vec::with_capacity(all.len());
    for mut view in all.into_iter().filter(|view| passes(&filtered(view))) {
        if usage == Usage::Measured {
            view.ref_count = i64::try_from(users.get(&view.name).map_or(0, Vec::len)).unwrap_or(0);
            view.size = size_of(volumes, &view).await;
        }
        listed.push(view);
    }
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
}

/// All volumes of the drivers that `wanted` accepts.
async fn all_of(volumes: &Volumes, wanted: impl Fn(&str) -> bool) -> Vec<Volume> {
    let recorded = |driver: &str| {
        let driver = driver.to_owned();
        volumes.all().into_iter().filter(move |volume| volume.driver == driver)
    };
    let mut all = Vec::new();
    if wanted(local::NAME) {
        let folders = volumes.folders();
        all.extend(recorded(local::NAME).map(|volume| {
            let mountpoint = folders.data(&volume.name).display().to_string();
            view(volume, "local", Seen { mountpoint, ..Seen::default() })
        }));
    }
    let (drivers, absent) = volumes.drivers().plugins().await;
    let drivers: Vec<_> = drivers.into_iter().filter(|driver| wanted(driver.name())).collect();
    let lists = futures::future::join_all(drivers.iter().map(|driver| driver.list())).await;
    let mut untold = plugins_recorded(volumes);
    for (driver, list) in drivers.iter().zip(lists) {
        match list {
            Ok(list) => {
                untold.remove(driver.name());
                for seen in list {
                    let known = recorded(driver.name()).find(|volume| volume.name == seen.name);
                    let volume = known.unwrap_or_else(|| VolumeRecord {
                        name: seen.name.clone(),
                        driver: driver.name().to_owned(),
                        ..VolumeRecord::default()
                    });
                    all.push(view(volume, driver.scope(), Seen { status: String::new(), ..seen }));
                }
            }
            Err(error) => {
                tracing::warn!(error = %gantry_rpc::chain(&error), "volumes are not all listed")
            }
        }
    }
    for driver in untold.iter().filter(|driver| wanted(driver)) {
        if let Some((_, error)) = absent.iter().find(|(name, _)| name == driver) {
            tracing::warn!(driver, error = %gantry_rpc::chain(error), "volumes are told as they are recorded");
        }
        all.extend(recorded(driver).map(|volume| view(volume, "local", Seen::default())));
    }
    all
}

/// The plugins that recorded volumes belong to.
fn plugins_recorded(volumes: &Volumes) -> BTreeSet<String> {
    let drivers = volumes.all().into_iter().map(|volume| volume.driver);
    drivers.filter(|driver| driver != local::NAME).collect()
}

/// Removes a volume. A volume that does not exist is an error only without `force`.
pub async fn remove(
    volumes: &Volumes,
    containers: &Containers,
    events: &Events,
    name: &str,
    force: bool,
) -> Result<()> {
    let users = |name: &str| users::of(containers, name);
    match volumes.remove(name, users).await {
        Ok(driver) => {
            events.publish_volume(name, &driver, "destroy");
            Ok(())
        }
        Err(Error::NoSuchVolume(_)) if force => Ok(()),
        Err(error) if force && error.is_absent_plugin() => volumes.abandon(name, users).await,
        Err(error) => Err(error),
    }
}

/// Removes volumes that no container has: anonymous ones, or with `all` every one.
pub async fn prune(
    volumes: &Volumes,
    containers: &Containers,
    events: &Events,
    filters: &[Filter],
) -> Result<Pruned> {
    let filters = filters_of(filters);
    let all = filters
        .boolean("all")
        .map_err(|text| Error::Invalid(format!("invalid filter 'all={text}'")))?
        .unwrap_or(false);
    let passes = pass(containers, &filters, &["all", "label", "label!"])?;
    let mut answer = Pruned::default();
    // Volumes of plugins are not pruned. Neither are volumes with options: their content is on another file
    // system, so that removing them frees no space.
    let own = all_of(volumes, |driver| driver == local::NAME).await;
    let chosen =
        |volume: &Volume| (all || volume.anonymous) && is_kept_here(volume) && passes(&filtered(volume));
    for volume in own.into_iter().filter(chosen) {
        if !users::of(containers, &volume.name).is_empty() {
            continue;
        }
        let size = size_of(volumes, &volume).await;
        match remove(volumes, containers, events, &volume.name, false).await {
            Ok(()) => {
                answer.deleted.push(volume.name);
                answer.space_reclaimed += u64::try_from(size).unwrap_or(0);
            }
            Err(Error::VolumeInUse { .. } | Error::NoSuchVolume(_)) => {}
            // The failure is logged, and the other volumes are removed all the same.
            Err(error) => {
                tracing::warn!(volume = %volume.name, error = %gantry_rpc::chain(&error), "volume not pruned");
            }
        }
    }
    let attributes = [("reclaimed".to_owned(), answer.space_reclaimed.to_string())].into();
    events.publish("volume", "prune", "", attributes);
    Ok(answer)
}

/// Whether a volume matches the filters.
fn pass<'a>(
    containers: &Containers,
    filters: &'a Filters,
    known: &[&str],
) -> Result<impl Fn(&Filtered<'_>) -> bool + use<'a>> {
    if let Some(unknown) = filters.unknown(known) {
        return Err(Error::Invalid(format!("invalid filter '{unknown}'")));
    }
    let dangling = filters
        .boolean("dangling")
        .map_err(|text| Error::Invalid(format!("invalid filter 'dangling={text}'")))?;
    let users: HashMap<String, Vec<String>> =
        if dangling.is_some() { users::of_all(containers) } else { HashMap::new() };
    Ok(move |volume: &Filtered<'_>| {
        filters.matches("name", volume.name)
            && filters.any_of("driver", |value| value == volume.driver)
            && filters.labels("label", &volume.labels)
            && filters.labels_absent("label!", &volume.labels)
            && dangling.is_none_or(|dangling| dangling != users.contains_key(volume.name))
    })
}

/// Size in bytes; -1 if the content is not in a folder of the local driver.
async fn size_of(volumes: &Volumes, volume: &Volume) -> i64 {
    if !is_kept_here(volume) {
        return -1;
    }
    let data = volumes.folders().data(&volume.name);
    let usage = blocking(move || gantry_rooted::tree::disk_usage(&data).map_err(crate::root::kernel)).await;
    usage.map_or(-1, |usage| i64::try_from(usage.size).unwrap_or(i64::MAX))
}

impl Events {
    /// Sends events for the volumes that a container has mounted.
    pub(crate) fn publish_mounts(&self, container: &Container) {
        let record = container.record();
        for point in record.mounts.iter().map(|mount| &mount.point).filter(|point| point.r#type == "volume") {
            let attributes = BTreeMap::from([
                ("container".to_owned(), container.id().to_owned()),
                ("destination".to_owned(), point.destination.clone()),
                ("driver".to_owned(), point.driver.clone()),
                ("propagation".to_owned(), point.propagation.clone()),
                ("read/write".to_owned(), point.rw.to_string()),
            ]);
            self.publish("volume", "mount", &point.name, attributes);
        }
    }

    /// Sends events for the volumes that a container has unmounted.
    pub(crate) fn publish_unmounts(&self, container: &Container) {
        let record = container.record();
        for point in record.mounts.iter().map(|mount| &mount.point).filter(|point| point.r#type == "volume") {
            let attributes = BTreeMap::from([
                ("container".to_owned(), container.id().to_owned()),
                ("driver".to_owned(), point.driver.clone()),
            ]);
            self.publish("volume", "unmount", &point.name, attributes);
        }
    }

    /// Sends an event for a volume that was created or removed.
    pub(crate) fn publish_volume(&self, name: &str, driver: &str, action: &str) {
        let attributes = BTreeMap::from([("driver".to_owned(), driver.to_owned())]);
        self.publish("volume", action, name, attributes);
    }
}

/// Whether a volume's content is in a folder of the local driver, not a plugin's and not on a file system that its
/// options name.
fn is_kept_here(volume: &Volume) -> bool {
    volume.driver == local::NAME && volume.options.is_empty()
}

/// The facts that filters match.
struct Filtered<'a> {
    name: &'a str,
    driver: &'a str,
    labels: BTreeMap<String, String>,
}

fn filtered(volume: &Volume) -> Filtered<'_> {
    let labels = volume.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
    Filtered { name: &volume.name, driver: &volume.driver, labels: labels.collect() }
}

/// A volume as clients see it.
fn view(volume: VolumeRecord, scope: &str, seen: Seen) -> Volume {
    Volume {
        mountpoint: seen.mountpoint,
        name: volume.name,
        driver: volume.driver,
        created_at: seen.created_at.unwrap_or(volume.created_at),
        labels: volume.labels.into_iter().collect(),
        options: volume.options.into_iter().collect(),
        scope: scope.to_owned(),
        size: -1,
        ref_count: -1,
        anonymous: volume.anonymous,
        status: seen.status,
    }
}
