//! Volumes: directories with names that outlive containers.
//!
//! ```text
//! state/engine/volumes/<name>/record     what the record says, for the day on which that is lost
//! state/engine/volumes/<name>/_data/     what containers see
//! state/engine/volumes/<name>/_filling/  a copy of what an image has there, while it is made
//! state/engine/volumes/<name>/_filled/   the same, whole and durable, while it is moved into `_data`
//! state/engine/volumes/.removed/         folders of volumes whose removal was under way
//! ```
//!
//! Who keeps a volume is its [`driver`]: these folders are those of `local`. What is recorded of a volume, whatever its driver, is
//! its labels, options and age, and that it exists for the engine; a plugin may know of others.
//!
//! A volume whose options name a file system has that one mounted at `_data` while somebody uses it ([`held`]).
//!
//! The record is written before a volume is acknowledged, after its driver has made it; before it is deleted, the folder is
//! moved away. So a folder that is in its place and has no record has lost it: it becomes a volume again ([`folders`]). A volume
//! is in use while a container's record names it. Making and removing the same volume take turns by its name.

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

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gantry_disk::KeyedLocks;
use gantry_failpoint::failpoint;
use gantry_mount::Mount;
use parking_lot::RwLock;

use crate::container::create::blocking;
use crate::error::{Error, Result};
use crate::record::{MountRecord, VolumeRecord};
use crate::store::Store;
use crate::{names, time};
use driver::{Driver, Drivers, Seen, failed};
use folders::Folders;

/// Marks a volume that was made for a container without a name of its own.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// All volumes.
pub struct Volumes {
    drivers: Drivers,
    store: Store,
    /// What is recorded, for readers; changed after the store is.
    known: RwLock<BTreeMap<String, VolumeRecord>>,
    turns: KeyedLocks<String>,
    users: held::Users,
}

/// What a volume is asked to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Empty: made up, and the volume is anonymous.
    pub name: String,
    /// Empty: that of a volume of this name, wherever there is one; else `local`.
    pub driver: String,
    /// The driver's.
    pub options: HashMap<String, String>,
    /// The user's.
    pub labels: HashMap<String, String>,
    /// It goes with its container.
    pub anonymous: bool,
}

impl Volumes {
    /// Reads the records, and makes volumes of the folders that have none.
    pub async fn open(drivers: Drivers, store: Store) -> Result<Volumes> {
        let folders = drivers.local().folders().clone();
        let mut known: BTreeMap<String, VolumeRecord> =
            store.volumes()?.into_iter().map(|volume| (volume.name.clone(), volume)).collect();
        folders.reprieve(|name| known.contains_key(name))?;
        let adopted = folders.unrecorded(|name| known.contains_key(name))?;
        if !adopted.is_empty() {
            store.put_volumes(&adopted).await?;
        }
        for volume in adopted {
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

    /// Makes a volume of a folder that has lost its record.
    pub async fn adopt(&self, name: &str) -> Result<()> {
        let _turn = self.turns.lock(name.to_owned()).await;
        let known = |other: &str| other != name || self.get(name).is_ok();
        let adopted = self.folders().unrecorded(known)?;
        self.store.put_volumes(&adopted).await?;
        for volume in adopted {
            self.known.write().insert(volume.name.clone(), volume);
        }
        Ok(())
    }

    /// Makes the folder of a volume that has lost it.
    pub async fn make_folder(&self, name: &str) -> Result<()> {
        let _turn = self.turns.lock(name.to_owned()).await;
        let volume = self.get(name)?;
        self.drivers.local().make(&volume).await
    }

    /// Who keeps them.
    pub fn drivers(&self) -> &Drivers {
        &self.drivers
    }

    /// Where the engine's own are.
    pub fn folders(&self) -> &Folders {
        self.drivers.local().folders()
    }

    /// A volume by its name, as far as it is recorded.
    pub fn get(&self, name: &str) -> Result<VolumeRecord> {
        let known = self.known.read();
        known.get(name).cloned().ok_or_else(|| Error::NoSuchVolume(name.to_owned()))
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<VolumeRecord> {
        self.known.read().values().cloned().collect()
    }

    /// A volume by its name, wherever it is, as it is now.
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

    /// A volume that only a plugin knows. One that cannot be asked has none.
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

    /// Makes a volume, or finds it made. The second value tells whether it is new.
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
        let new = match found {
            Some((known, ..)) => {
                volume = VolumeRecord { created_at: volume.created_at, labels: volume.labels, ..known };
                false
            }
            None => {
                let driver = self.drivers.get(&wanted.driver).await;
                let driver = driver.map_err(failed(lookup("create", &name, &wanted.driver)))?;
                driver.check(&name, &volume.options)?;
                // The engine's own driver takes every name for its own.
                let there = driver.name() != driver::local::NAME && driver.look(&name).await?.is_some();
                if !there {
                    driver.make(&volume).await?;
                }
                !there
            }
        };
        failpoint!("engine.volume.made");
        self.store.put_volumes(std::slice::from_ref(&volume)).await?;
        failpoint!("engine.volume.recorded", infallible);
        self.known.write().insert(name, volume.clone());
        Ok((volume, new))
    }

    /// What is recorded of a volume, unless its driver has it no more: then the record goes. The caller has its turn.
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

    /// Removes a volume that nobody has; `users` are asked while its turn is held. Answers with the name of its driver.
    pub async fn remove(&self, name: &str, users: impl Fn(&str) -> Vec<String>) -> Result<String> {
        let _turn = self.turns.lock(name.to_owned()).await;
        let found = self.find(name).await;
        if let Err(Error::NoSuchVolume(_)) = &found
            && self.get(name).is_ok()
            && users(name).is_empty()
        {
            // Its driver has lost it, or somebody else has removed it.
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
        // The record is gone: if this is cut short, the next start removes what is left.
        blocking(move || condemned.execute()).await?;
        Ok(volume.driver)
    }

    /// Forgets a volume whose driver is no more; what it was is left to whoever kept it.
    pub async fn abandon(&self, name: &str, users: impl Fn(&str) -> Vec<String>) -> Result<()> {
        let _turn = self.turns.lock(name.to_owned()).await;
        let users = users(name);
        if !users.is_empty() {
            return Err(Error::VolumeInUse { name: name.to_owned(), users: users.join(", ") });
        }
        self.forget(name).await
    }

    /// Fills the volumes among a container's mounts that are empty and wanted filled with what the image has there.
    /// One at a time, in its turn: several mounts, and containers that are made at once, may have the same volume.
    pub async fn fill(&self, rootfs: &[Mount], mounts: impl Iterator<Item = &MountRecord>) -> Result<()> {
        for mount in mounts.filter(|mount| copy_up::is_fillable(mount)) {
            let _turn = self.turns.lock(mount.point.name.clone()).await;
            let (rootfs, mount) = (rootfs.to_vec(), mount.clone());
            blocking(move || copy_up::fill(&rootfs, &mount)).await?;
        }
        Ok(())
    }

    /// Makes the volumes that a container's mounts name, and says where each is. `made` hears of those that are new.
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
                    // Where it is, is told to each user.
                    false => mount.elsewhere = true,
                }
                mount.point.driver = volume.driver;
            }
            provided.push(mount);
        }
        Ok(provided)
    }
}

/// What was being done when a driver could not be had.
fn lookup(doing: &str, name: &str, driver: &str) -> String {
    format!("{doing} {name}: error looking up volume plugin {driver}")
}
