//! Volumes: named directories that outlive containers.
//!
//! ```text
//! state/engine/volumes/<name>/record     a copy of the record, for recovery if the database is lost
//! state/engine/volumes/<name>/_data/     the content that containers see
//! state/engine/volumes/<name>/_filling/  a copy of the image's content, while it is made
//! state/engine/volumes/<name>/_filled/   the same, complete and durable, while it is moved into `_data`
//! state/engine/volumes/.removed/         folders of volumes that are being removed
//! ```
//!
//! A volume's [`driver`] keeps its content; these folders are those of `local`. The engine records the labels,
//! options and age of a volume of any driver. A plugin may have volumes that the engine has not recorded.
//!
//! The file system that a volume's options name is mounted at `_data` while the volume is in use ([`held`]).
//!
//! The record is written after the driver has made the volume and before the client gets its answer. At a removal the
//! folder is moved away before the record is deleted. So a folder in its place without a record has lost the record,
//! and it becomes a volume again ([`folders`]). A volume is in use while a container's record names it. Creation and
//! removal of one volume are serialized by its name.

pub mod copy_up;
pub mod driver;
pub mod folders;
pub mod held;
pub mod images;
pub(crate) mod notation;
pub mod options;
pub mod plan;
pub mod propagation;
pub mod serve;
pub(crate) mod users;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gantry_disk::KeyedLocks;
use gantry_failpoint::failpoint;
use gantry_mount::Mount;
use parking_lot::RwLock;

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::record::{MountRecord, VolumeRecord};
use crate::store::Store;
use crate::{names, time};
use driver::{Driver, Drivers, Seen, failed};
use folders::Folders;

/// The label of a volume that was made for a container without a name of its own.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// All volumes of the engine.
pub struct Volumes {
    drivers: Drivers,
    store: Store,
    /// The records in memory, for readers. The store is changed first.
    known: RwLock<BTreeMap<String, VolumeRecord>>,
    turns: KeyedLocks<String>,
    users: held::Users,
}

/// A request for a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The name; empty for a generated name and an anonymous volume.
    pub name: String,
    /// The driver's name; empty for the driver of an existing volume of this name, or else `local`.
    pub driver: String,
    /// The driver's options.
    pub options: HashMap<String, String>,
    /// The user's labels.
    pub labels: HashMap<String, String>,
    /// Whether the volume is removed with its container.
    pub anonymous: bool,
}

impl Volumes {
    /// Reads the records, and makes volumes from folders that have none.
    pub async fn open(drivers: Drivers, store: Store) -> Result<Volumes> {
        let folders = drivers.local().folders().clone();
        let mut known: BTreeMap<String, VolumeRecord> =
            store.volumes().await?.into_iter().map(|volume| (volume.name.clone(), volume)).collect();
        folders.reprieve(|name| known.contains_key(name))?;
        let unrecorded = folders.unrecorded(|name| known.contains_key(name))?;
        if !unrecorded.is_empty() {
            store.put_volumes(&unrecorded).await?;
        }
        for volume in unrecorded {
            tracing::warn!(volume = volume.name, "a folder without a record is a volume again");
            known.insert(volume.name.clone(), volume);
        }
        let local = known.values().filter(|volume| volume.driver == driver::local::NAME);
        local.into_iter().try_for_each(|volume| folders.describe_once(volume))?;
        Ok(Volumes {
            drivers,
            store,
            known: RwLock::new(known),
            turns: KeyedLocks::new(),
            users: held::Users::default(),
        })
    }

    /// Makes a volume from a folder that has lost its record.
    pub async fn record_folder(&self, name: &str) -> Result<()> {
        let _turn = self.turns.lock(name.to_owned()).await;
        let known = |other: &str| other != name || self.get(name).is_ok();
        let unrecorded = self.folders().unrecorded(known)?;
        self.store.put_volumes(&unrecorded).await?;
        for volume in unrecorded {
            self.known.write().insert(volume.name.clone(), volume);
        }
        Ok(())
    }

    /// Makes the folder of a volume that has lost its folder.
    pub async fn make_folder(&self, name: &str) -> Result<()> {
        let _turn = self.turns.lock(name.to_owned()).await;
        let volume = self.get(name)?;
        self.drivers.local().make(&volume).await
    }

    /// The drivers.
    pub fn drivers(&self) -> &Drivers {
        &self.drivers
    }

    /// The folders of the local driver.
    pub fn folders(&self) -> &Folders {
        self.drivers.local().folders()
    }

    /// The record of a volume, by name.
    pub fn get(&self, name: &str) -> Result<VolumeRecord> {
        let known = self.known.read();
        known.get(name).cloned().ok_or_else(|| Error::NoSuchVolume(name.to_owned()))
    }

    /// The records of all volumes, ordered by name.
    pub fn all(&self) -> Vec<VolumeRecord> {
        self.known.read().values().cloned().collect()
    }

    /// Finds a volume by name, recorded or not, and returns its present state.
    pub async fn find(&self, name: &str) -> Result<(VolumeRecord, Arc<dyn Driver>, Seen)> {
        let Ok(volume) = self.get(name) else {
            return self.find_unrecorded(name).await?.ok_or_else(|| Error::NoSuchVolume(name.to_owned()));
        };
        let driver = self.drivers.get(&volume.driver).await;
        let driver = driver.map_err(failed(lookup("get", name, &volume.driver)))?;
        match driver.look(name).await? {
            Some(seen) => Ok((volume, driver, seen)),
            None => Err(Error::NoSuchVolume(name.to_owned())),
        }
    }

    /// Looks for a volume that only a plugin knows. A plugin that does not answer has none.
    async fn find_unrecorded(&self, name: &str) -> Result<Option<(VolumeRecord, Arc<dyn Driver>, Seen)>> {
        let (drivers, _) = self.drivers.plugins().await;
        for driver in drivers {
            match driver.look(name).await {
                Ok(Some(seen)) => {
                    let volume = VolumeRecord {
                        name: name.to_owned(),
                        driver: driver.name().to_owned(),
                        ..VolumeRecord::default()
                    };
                    return Ok(Some((volume, driver, seen)));
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(error = %gantry_rpc::chain(&error), "not asked for a volume"),
            }
        }
        Ok(None)
    }

    /// Creates a volume, or returns the existing one. The second value says whether it is new.
    pub async fn create(&self, wanted: Wanted) -> Result<(VolumeRecord, bool)> {
        let nameless = wanted.name.is_empty();
        let name = if nameless { names::new_id() } else { wanted.name.clone() };
        let anonymous = wanted.anonymous || nameless;
        let options: BTreeMap<String, String> = wanted.options.into_iter().collect();
        let _turn = self.turns.lock(name.clone()).await;
        if let Some(existing) = self.still_there(&name).await? {
            if !wanted.driver.is_empty() && wanted.driver != existing.driver {
                return Err(Error::VolumeDriver { name, driver: existing.driver });
            }
            if existing.driver == driver::local::NAME {
                options::check(&name, &options)?;
                if !options.is_empty() && options != existing.options {
                    return Err(Error::VolumeOptions(name));
                }
            }
            return Ok((existing, false));
        }
        let mut labels: BTreeMap<String, String> = wanted.labels.into_iter().collect();
        if anonymous {
            labels.insert(ANONYMOUS_LABEL.to_owned(), String::new());
        }
        let mut volume = VolumeRecord {
            name: name.clone(),
            driver: if wanted.driver.is_empty() {
                driver::local::NAME.to_owned()
            } else {
                wanted.driver.clone()
            },
            created_at: time::now(),
            labels,
            options,
            anonymous,
        };
        let found = match wanted.driver.is_empty() && !anonymous {
            true => self.find_unrecorded(&name).await?,
            false => None,
        };
        // A folder that exists may have a user's data, so it is not removed if the creation fails.
        let untouched = !self.folders().home(&name).exists();
        let made = match found {
            Some((known, ..)) => {
                volume = VolumeRecord { created_at: volume.created_at, labels: volume.labels, ..known };
                None
            }
            None => {
                let driver = self.drivers.get(&wanted.driver).await;
                let driver = driver.map_err(failed(lookup("create", &name, &wanted.driver)))?;
                driver.check(&name, &volume.options)?;
                // The local driver accepts every name, so only other drivers are asked.
                let there = driver.name() != driver::local::NAME && driver.look(&name).await?.is_some();
                if there {
                    None
                } else {
                    driver.make(&volume).await?;
                    Some(driver)
                }
            }
        };
        if let Err(error) = self.record_made(&volume).await {
            if let Some(driver) = made.as_ref().filter(|_| untouched) {
                // No client knows the new volume, and no container has written to it, so it can be removed.
                let undone = async {
                    let condemned = driver.condemn(&volume).await?;
                    blocking(move || condemned.execute()).await
                };
                if let Err(error) = undone.await {
                    tracing::warn!(volume = %volume.name, error = %gantry_rpc::chain(&error), "a volume that is not recorded stays");
                }
            }
            return Err(error);
        }
        self.known.write().insert(name, volume.clone());
        Ok((volume, made.is_some()))
    }

    async fn record_made(&self, volume: &VolumeRecord) -> Result<()> {
        failpoint!("engine.volume.made");
        self.store.put_volumes(std::slice::from_ref(volume)).await?;
        failpoint!("engine.volume.recorded", infallible);
        Ok(())
    }

    /// The record of a volume. If its driver no longer has the volume, the record is deleted. The caller must hold
    /// the volume's lock.
    async fn still_there(&self, name: &str) -> Result<Option<VolumeRecord>> {
        let Ok(volume) = self.get(name) else { return Ok(None) };
        let driver = self.drivers.get(&volume.driver).await;
        let driver = driver.map_err(failed(lookup("create", name, &volume.driver)))?;
        match driver.look(name).await? {
            Some(_) => Ok(Some(volume)),
            None => self.forget(name).await.map(|()| None),
        }
    }

    async fn forget(&self, name: &str) -> Result<()> {
        self.store.delete_volume(name).await?;
        self.known.write().remove(name);
        Ok(())
    }

    /// Removes a volume without users. `users` is called while the volume's lock is held. Returns the name of the
    /// driver.
    pub async fn remove(&self, name: &str, users: impl Fn(&str) -> Vec<String>) -> Result<String> {
        let _turn = self.turns.lock(name.to_owned()).await;
        let found = self.find(name).await;
        if let Err(Error::NoSuchVolume(_)) = &found
            && self.get(name).is_ok()
            && users(name).is_empty()
        {
            // The driver has lost the volume, or another program has removed it.
            self.forget(name).await?;
        }
        let (volume, driver, _) = found?;
        let users = users(name);
        if !users.is_empty() {
            return Err(Error::VolumeInUse { name: name.to_owned(), users: users.join(", ") });
        }
        let condemned = driver.condemn(&volume).await?;
        failpoint!("engine.volume.condemned");
        self.store.delete_volume(name).await?;
        failpoint!("engine.volume.forgotten", infallible);
        self.known.write().remove(name);
        // The record is deleted. If this is interrupted, the next start removes what is left.
        blocking(move || condemned.execute()).await?;
        Ok(volume.driver)
    }

    /// Deletes the record of a volume whose driver no longer exists. The content is not touched.
    pub async fn abandon(&self, name: &str, users: impl Fn(&str) -> Vec<String>) -> Result<()> {
        let _turn = self.turns.lock(name.to_owned()).await;
        let users = users(name);
        if !users.is_empty() {
            return Err(Error::VolumeInUse { name: name.to_owned(), users: users.join(", ") });
        }
        self.forget(name).await
    }

    /// Fills the empty volumes among a container's mounts with the image's content, unless the mount says otherwise.
    /// Volumes are filled one at a time under their locks, because several mounts or containers may have the same
    /// volume.
    pub async fn fill(&self, rootfs: &[Mount], mounts: impl Iterator<Item = &MountRecord>) -> Result<()> {
        for mount in mounts.filter(|mount| copy_up::is_fillable(mount)) {
            let _turn = self.turns.lock(mount.point.name.clone()).await;
            let (rootfs, mount) = (rootfs.to_vec(), mount.clone());
            blocking(move || copy_up::fill(&rootfs, &mount)).await?;
        }
        Ok(())
    }

    /// Creates the volumes that a container's mounts name, and enters their paths. `made` is called with those that
    /// are new.
    pub async fn provide(
        &self,
        mounts: &[MountRecord],
        made: impl Fn(&VolumeRecord),
    ) -> Result<Vec<MountRecord>> {
        let mut provided = Vec::with_capacity(mounts.len());
        for mount in mounts {
            let mut mount = mount.clone();
            if mount.point.r#type == "volume" {
                let wanted = Wanted {
                    name: mount.point.name.clone(),
                    driver: mount.point.driver.clone(),
                    options: mount.volume_options.clone().into_iter().collect(),
                    labels: mount.volume_labels.clone().into_iter().collect(),
                    anonymous: mount.anonymous,
                };
                let (volume, new) = self.create(wanted).await?;
                if new {
                    made(&volume);
                }
                match volume.driver == driver::local::NAME {
                    true => {
                        mount.point.source = self.folders().data(&volume.name).display().to_string();
                        if let Some(elsewhere) = options::FileSystem::parse(&volume.options) {
                            mount.elsewhere = true;
                            mount.no_copy |= elsewhere.is_memory();
                        }
                    }
                    // The driver tells each user the path.
                    false => mount.elsewhere = true,
                }
                mount.point.driver = volume.driver;
            }
            provided.push(mount);
        }
        Ok(provided)
    }
}

/// What was being done when a driver could not be found, for the error.
fn lookup(doing: &str, name: &str, driver: &str) -> String {
    format!("{doing} {name}: error looking up volume plugin {driver}")
}
