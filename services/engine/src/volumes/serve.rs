//! Volumes as callers ask for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gantry_api::engine::volumes::Usage;
use gantry_api::engine::{Filter, Pruned, Volume, VolumeSpec};

use super::Wanted;
use super::driver::{Seen, failed, local};
use super::plan::users_of;
use crate::container::Container;
use crate::container::create::blocking;
use crate::container::list::filters_of;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::filters::Filters;
use crate::record::VolumeRecord;

const KNOWN: [&str; 5] = ["dangling", "driver", "label", "label!", "name"];

impl Engine {
    /// Makes a volume, or finds it made.
    pub async fn make_volume(&self, request: VolumeSpec) -> Result<Volume> {
        let wanted = Wanted {
            name: request.name,
            driver: request.driver,
            options: request.driver_opts,
            labels: request.labels,
            anonymous: false,
        };
        let (volume, new) = self.volumes.create(wanted).await?;
        if new {
            self.publish_volume(&volume.name, &volume.driver, "create");
        }
        let driver = self.volumes.drivers().get(&volume.driver).await;
        let driver = driver.map_err(failed(format!("create {}", volume.name)))?;
        // A plugin's tells more when it is asked for.
        let seen = match new && driver.counts_users() {
            true => Seen::default(),
            false => driver.look(&volume.name).await?.unwrap_or_default(),
        };
        Ok(view(volume, driver.scope(), Seen { status: String::new(), ..seen }))
    }

    /// One volume.
    pub async fn get_volume(&self, name: &str) -> Result<Volume> {
        let (volume, driver, seen) = self.volumes.find(name).await?;
        Ok(view(volume, driver.scope(), seen))
    }

    /// The volumes that pass, those of plugins too: what a plugin does not tell is told as far as it is recorded.
    pub async fn list_volumes(&self, filters: &[Filter], usage: Usage) -> Result<Vec<Volume>> {
        let filters = filters_of(filters);
        let passes = self.pass(&filters, &KNOWN)?;
        let all = self.all_volumes(|driver| filters.any_of("driver", |value| value == driver)).await;
        let users = users_of(self);
        let mut volumes = Vec::with_capacity(all.len());
        for mut view in all.into_iter().filter(|view| passes(&filtered(view))) {
            if usage == Usage::Measured {
                view.ref_count = i64::try_from(users.get(&view.name).map_or(0, Vec::len)).unwrap_or(0);
                view.size = self.volume_size(&view).await;
            }
            volumes.push(view);
        }
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    /// All volumes of the drivers that are wanted.
    async fn all_volumes(&self, wanted: impl Fn(&str) -> bool) -> Vec<Volume> {
        let recorded = |driver: &str| {
            let driver = driver.to_owned();
            self.volumes.all().into_iter().filter(move |volume| volume.driver == driver)
        };
        let mut all = Vec::new();
        if wanted(local::NAME) {
            let folders = self.volumes.folders();
            all.extend(recorded(local::NAME).map(|volume| {
                let mountpoint = folders.data(&volume.name).display().to_string();
                view(volume, "local", Seen { mountpoint, ..Seen::default() })
            }));
        }
        let (drivers, absent) = self.volumes.drivers().plugins().await;
        let drivers: Vec<_> = drivers.into_iter().filter(|driver| wanted(driver.name())).collect();
        let lists = futures::future::join_all(drivers.iter().map(|driver| driver.list())).await;
        let mut untold = self.plugins_recorded();
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

    /// The plugins that recorded volumes are of.
    fn plugins_recorded(&self) -> BTreeSet<String> {
        let drivers = self.volumes.all().into_iter().map(|volume| volume.driver);
        drivers.filter(|driver| driver != local::NAME).collect()
    }

    /// Removes a volume; one that does not exist is only an error without force.
    pub async fn unmake_volume(&self, name: &str, force: bool) -> Result<()> {
        match self.volumes.remove(name, |name| self.volume_users(name)).await {
            Ok(driver) => {
                self.publish_volume(name, &driver, "destroy");
                Ok(())
            }
            Err(Error::NoSuchVolume(_)) if force => Ok(()),
            Err(error) if force && error.is_absent_plugin() => {
                self.volumes.abandon(name, |name| self.volume_users(name)).await
            }
            Err(error) => Err(error),
        }
    }

    /// Removes volumes that no container has: anonymous ones, or with `all` every one.
    pub async fn sweep_volumes(&self, filters: &[Filter]) -> Result<Pruned> {
        let filters = filters_of(filters);
        let all = filters
            .boolean("all")
            .map_err(|text| Error::Invalid(format!("invalid filter 'all={text}'")))?
            .unwrap_or(false);
        let passes = self.pass(&filters, &["all", "label", "label!"])?;
        let mut answer = Pruned::default();
        // What plugins keep is theirs to be pruned.
        let own = self.all_volumes(|driver| driver == local::NAME).await;
        for volume in own.into_iter().filter(|volume| (all || volume.anonymous) && passes(&filtered(volume)))
        {
            if !self.volume_users(&volume.name).is_empty() {
                continue;
            }
            let size = self.volume_size(&volume).await;
            match self.unmake_volume(&volume.name, false).await {
                Ok(()) => {
                    answer.deleted.push(volume.name);
                    answer.space_reclaimed += u64::try_from(size).unwrap_or(0);
                }
                Err(Error::VolumeInUse { .. } | Error::NoSuchVolume(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let attributes = [("reclaimed".to_owned(), answer.space_reclaimed.to_string())].into();
        self.events.publish("volume", "prune", "", attributes);
        Ok(answer)
    }

    /// What filters say of volumes.
    fn pass<'a>(
        &self,
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
            if dangling.is_some() { users_of(self) } else { HashMap::new() };
        Ok(move |volume: &Filtered<'_>| {
            filters.matches("name", volume.name)
                && filters.any_of("driver", |value| value == volume.driver)
                && filters.labels("label", &volume.labels)
                && filters.labels_absent("label!", &volume.labels)
                && dangling.is_none_or(|dangling| dangling != users.contains_key(volume.name))
        })
    }

    async fn volume_size(&self, volume: &Volume) -> i64 {
        if volume.driver != local::NAME {
            return -1;
        }
        let data = self.volumes.folders().data(&volume.name);
        let usage =
            blocking(move || gantry_rooted::tree::disk_usage(&data).map_err(crate::root::kernel)).await;
        usage.map_or(-1, |usage| i64::try_from(usage.size).unwrap_or(i64::MAX))
    }

    /// A container that runs no more has no volumes mounted.
    pub(crate) async fn release_volumes(&self, container: &Container) {
        let volumes = super::held::elsewhere(&container.record().mounts);
        self.volumes.release(&volumes, container.id()).await;
    }

    /// Events of the volumes that a container has mounted.
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
            self.events.publish("volume", "mount", &point.name, attributes);
        }
    }

    /// Events of the volumes that a container had mounted.
    pub(crate) fn publish_unmounts(&self, container: &Container) {
        let record = container.record();
        for point in record.mounts.iter().map(|mount| &mount.point).filter(|point| point.r#type == "volume") {
            let attributes = BTreeMap::from([
                ("container".to_owned(), container.id().to_owned()),
                ("driver".to_owned(), point.driver.clone()),
            ]);
            self.events.publish("volume", "unmount", &point.name, attributes);
        }
    }

    /// An event of a volume that was made or removed.
    pub(crate) fn publish_volume(&self, name: &str, driver: &str, action: &str) {
        let attributes = BTreeMap::from([("driver".to_owned(), driver.to_owned())]);
        self.events.publish("volume", action, name, attributes);
    }
}

/// What filters look at.
struct Filtered<'a> {
    name: &'a str,
    driver: &'a str,
    labels: BTreeMap<String, String>,
}

fn filtered(volume: &Volume) -> Filtered<'_> {
    let labels = volume.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
    Filtered { name: &volume.name, driver: &volume.driver, labels: labels.collect() }
}

/// A volume as callers see it.
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
