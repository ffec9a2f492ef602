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
//! A volume whose options name a file system has that one mounted at `_data` while somebody uses it ([`held`]).
//!
//! The record is written before a volume is acknowledged, after its folder exists; before it is deleted, the folder is
//! moved away. So a folder that is in its place and has no record has lost it: it becomes a volume again ([`folders`]). A volume is in use while a container's record names it. Making and removing the same volume take
//! turns by its name.

pub mod copy_up;
pub mod folders;
pub mod held;
pub mod images;
pub(crate) mod notation;
pub mod options;
pub mod plan;
pub mod propagation;
pub mod serve;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use gantry_disk::KeyedLocks;
use gantry_failpoint::failpoint;
use gantry_mount::Mount;
use parking_lot::RwLock;

use crate::container::create::blocking;
use crate::error::{Error, Result};
use crate::record::{MountRecord, VolumeRecord};
use crate::store::Store;
use crate::{names, time};
use folders::Folders;

/// The only driver there is.
pub const DRIVER: &str = "local";
/// Marks a volume that was made for a container without a name of its own.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// All volumes.
pub struct Volumes {
    folders: Folders,
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
    /// Empty: the only one.
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
    pub async fn open(directory: PathBuf, store: Store) -> Result<Volumes> {
        let folders = Folders::open(directory)?;
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
        known.values().try_for_each(|volume| folders.describe_once(volume))?;
        Ok(Volumes {
            folders,
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
        let adopted = self.folders.unrecorded(known)?;
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
        let folders = self.folders.clone();
        blocking(move || folders.make(&volume)).await
    }

    /// Where they are.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// What containers see of a volume.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folders.data(name)
    }

    /// A volume by its name.
    pub fn get(&self, name: &str) -> Result<VolumeRecord> {
        let known = self.known.read();
        known.get(name).cloned().ok_or_else(|| Error::NoSuchVolume(name.to_owned()))
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<VolumeRecord> {
        self.known.read().values().cloned().collect()
    }

    /// Makes a volume, or finds it made. The second value tells whether it is new.
    pub async fn create(&self, wanted: Wanted) -> Result<(VolumeRecord, bool)> {
        let name = if wanted.name.is_empty() { names::new_id() } else { wanted.name.clone() };
        let driver = if wanted.driver.is_empty() { DRIVER } else { &wanted.driver };
        if driver != DRIVER {
            return Err(Error::Invalid(format!(
                "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
            )));
        }
        if name.len() < 2 {
            return Err(Error::Invalid(format!(
                "create {name}: volume name is too short, names should be at least two alphanumeric characters"
            )));
        }
        if !names::is_valid(&name) {
            return Err(Error::Invalid(format!(
                "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
            )));
        }
        options::check(&name, &wanted.options)?;
        let _turn = self.turns.lock(name.clone()).await;
        if let Ok(existing) = self.get(&name) {
            let differs = !wanted.options.is_empty()
                && wanted.options.iter().map(|(k, v)| (k.clone(), v.clone())).collect::<BTreeMap<_, _>>()
                    != existing.options;
            if differs {
                return Err(Error::VolumeDriver {
                    name,
                    driver: format!("{} and other options", existing.driver),
                });
            }
            return Ok((existing, false));
        }
        let mut labels: BTreeMap<String, String> = wanted.labels.into_iter().collect();
        if wanted.anonymous || wanted.name.is_empty() {
            labels.insert(ANONYMOUS_LABEL.to_owned(), String::new());
        }
        let volume = VolumeRecord {
            name: name.clone(),
            driver: DRIVER.to_owned(),
            created_at: time::now(),
            labels,
            options: wanted.options.into_iter().collect(),
            anonymous: wanted.anonymous || wanted.name.is_empty(),
        };
        // A folder that is there already is somebody's: its data are the volume's.
        let (folders, made) = (self.folders.clone(), volume.clone());
        blocking(move || folders.make(&made)).await?;
        failpoint!("engine.volume.made");
        self.store.put_volumes(std::slice::from_ref(&volume)).await?;
        failpoint!("engine.volume.recorded", infallible);
        self.known.write().insert(name, volume.clone());
        Ok((volume, true))
    }

    /// Removes a volume that nobody has; `users` are asked while its turn is held.
    pub async fn remove(&self, name: &str, users: impl Fn(&str) -> Vec<String>) -> Result<()> {
        let _turn = self.turns.lock(name.to_owned()).await;
        self.get(name)?;
        let users = users(name);
        if !users.is_empty() {
            return Err(Error::VolumeInUse { name: name.to_owned(), users: users.join(", ") });
        }
        // What is mounted there is not the volume's to remove.
        self.unmount(name).await?;
        let (folders, owned) = (self.folders.clone(), name.to_owned());
        let condemned = blocking(move || folders.condemn(&owned)).await?;
        failpoint!("engine.volume.condemned");
        self.store.delete_volume(name).await?;
        failpoint!("engine.volume.forgotten", infallible);
        self.known.write().remove(name);
        // The record is gone: if this is cut short, the next start removes what is left.
        blocking(move || condemned.execute()).await
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
                mount.point.source = self.data(&volume.name).display().to_string();
                mount.point.driver = volume.driver;
                if let Some(elsewhere) = options::FileSystem::parse(&volume.options) {
                    mount.elsewhere = true;
                    mount.no_copy |= elsewhere.is_memory();
                }
            }
            provided.push(mount);
        }
        Ok(provided)
    }
}
