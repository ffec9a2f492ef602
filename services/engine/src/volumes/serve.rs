//! Volumes as callers ask for them.

use std::collections::{BTreeMap, HashMap};

use gantry_api::engine::volumes::Usage;
use gantry_api::engine::{Filter, Pruned, Volume, VolumeSpec};

use super::Wanted;
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
            self.publish_volume(&volume.name, "create");
        }
        Ok(self.volume_view(volume))
    }

    /// One volume.
    pub fn get_volume(&self, name: &str) -> Result<Volume> {
        Ok(self.volume_view(self.volumes.get(name)?))
    }

    /// The volumes that pass.
    pub async fn list_volumes(&self, filters: &[Filter], usage: Usage) -> Result<Vec<Volume>> {
        let filters = filters_of(filters);
        let passing = self.passing(&filters, &KNOWN)?;
        let users = users_of(self);
        let mut views = Vec::with_capacity(passing.len());
        for volume in passing {
            let name = volume.name.clone();
            let mut view = self.volume_view(volume);
            if usage == Usage::Measured {
                view.ref_count = i64::try_from(users.get(&name).map_or(0, Vec::len)).unwrap_or(0);
                view.size = self.volume_size(&name).await;
            }
            views.push(view);
        }
        Ok(views)
    }

    /// Removes a volume; one that does not exist is only an error without force.
    pub async fn unmake_volume(&self, name: &str, force: bool) -> Result<()> {
        match self.volumes.remove(name, |name| self.volume_users(name)).await {
            Ok(()) => {
                self.publish_volume(name, "destroy");
                Ok(())
            }
            Err(Error::NoSuchVolume(_)) if force => Ok(()),
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
        let passing = self.passing(&filters, &["all", "label", "label!"])?;
        let mut answer = Pruned::default();
        for volume in passing.into_iter().filter(|volume| all || volume.anonymous) {
            if !self.volume_users(&volume.name).is_empty() {
                continue;
            }
            let size = self.volume_size(&volume.name).await;
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

    fn passing(&self, filters: &Filters, known: &[&str]) -> Result<Vec<VolumeRecord>> {
        if let Some(unknown) = filters.unknown(known) {
            return Err(Error::Invalid(format!("invalid filter '{unknown}'")));
        }
        let dangling = filters
            .boolean("dangling")
            .map_err(|text| Error::Invalid(format!("invalid filter 'dangling={text}'")))?;
        let users: HashMap<String, Vec<String>> =
            if dangling.is_some() { users_of(self) } else { HashMap::new() };
        let volumes = self.volumes.all().into_iter();
        Ok(volumes
            .filter(|volume| {
                filters.matches("name", &volume.name)
                    && filters.any_of("driver", |value| value == volume.driver)
                    && filters.labels("label", &volume.labels)
                    && filters.labels_absent("label!", &volume.labels)
                    && dangling.is_none_or(|dangling| dangling != users.contains_key(&volume.name))
            })
            .collect())
    }

    fn volume_view(&self, volume: VolumeRecord) -> Volume {
        Volume {
            mountpoint: self.volumes.data(&volume.name).display().to_string(),
            name: volume.name,
            driver: volume.driver,
            created_at: volume.created_at,
            labels: volume.labels.into_iter().collect(),
            options: volume.options.into_iter().collect(),
            scope: "local".to_owned(),
            size: -1,
            ref_count: -1,
            anonymous: volume.anonymous,
        }
    }

    async fn volume_size(&self, name: &str) -> i64 {
        let data = self.volumes.data(name);
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
    pub(crate) fn publish_volume(&self, name: &str, action: &str) {
        let attributes = BTreeMap::from([("driver".to_owned(), super::DRIVER.to_owned())]);
        self.events.publish("volume", action, name, attributes);
    }
}
