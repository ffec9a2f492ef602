//! Volumes: directories with names that outlive containers.
//!
//! ```text
//! state/engine/volumes/<name>/_data/     what containers see
//! state/engine/volumes/<name>/_filling/  a copy of what an image has there, while it is made
//! state/engine/volumes/<name>/_filled/   the same, whole and durable, while it is moved into `_data`
//! ```
//!
//! The record is the truth: it is written before a volume is acknowledged, after its directory exists; it is deleted before
//! the directory is. A volume is in use while a container's record names it. Making and removing the same volume take
//! turns by its name.

pub mod copy_up;
pub mod options;
pub mod plan;
pub mod serve;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use gantry_disk::KeyedLocks;
use gantry_proto::containerd::types::Mount;
use parking_lot::RwLock;

use crate::container::create::blocking;
use crate::error::{Error, Result};
use crate::record::{MountRecord, VolumeRecord};
use crate::store::Store;
use crate::{names, time};

/// The only driver there is.
pub const DRIVER: &str = "local";
/// Marks a volume that was made for a container without a name of its own.
pub const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// All volumes.
pub struct Volumes {
    directory: PathBuf,
    store: Store,
    /// What is recorded, for readers; changed after the store is.
    known: RwLock<BTreeMap<String, VolumeRecord>>,
    turns: KeyedLocks<String>,
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
    /// Reads the records and removes directories that have none.
    pub fn open(directory: PathBuf, store: Store) -> Result<Volumes> {
        std::fs::create_dir_all(&directory)
            .map_err(|source| Error::io("create directory", &directory, source))?;
        let known: BTreeMap<String, VolumeRecord> =
            store.volumes()?.into_iter().map(|volume| (volume.name.clone(), volume)).collect();
        let entries = std::fs::read_dir(&directory)
            .map_err(|source| Error::io("read directory", &directory, source))?;
        for entry in entries.flatten() {
            if !entry.file_name().to_str().is_some_and(|name| known.contains_key(name)) {
                tracing::info!(volume = ?entry.file_name(), "removing a volume's directory that has no record");
                gantry_host::fs::remove_tree(&entry.path()).map_err(crate::root::kernel)?;
            }
        }
        Ok(Volumes { directory, store, known: RwLock::new(known), turns: KeyedLocks::new() })
    }

    /// What containers see of a volume.
    pub fn data(&self, name: &str) -> PathBuf {
        self.directory.join(name).join("_data")
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
        let driver = if wanted.driver.is_empty() { DRIVER } else { &wanted.driver };
        if driver != DRIVER {
            return Err(Error::Invalid(format!(
                "error looking up volume plugin {driver}: plugin \"{driver}\" not found"
            )));
        }
        let name = if wanted.name.is_empty() { names::new_id() } else { wanted.name.clone() };
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
        let (directory, data) = (self.directory.join(&name), self.data(&name));
        blocking(move || {
            // Left by a removal that failed half-way: no part of the new one.
            if directory.exists() {
                gantry_host::fs::remove_tree(&directory).map_err(crate::root::kernel)?;
            }
            gantry_disk::atomic::create_dir_all(&data)
                .map_err(|source| Error::Database { doing: "make a volume's directory", source })
        })
        .await?;
        self.store.put_volumes(std::slice::from_ref(&volume)).await?;
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
        self.store.delete_volume(name).await?;
        self.known.write().remove(name);
        let directory = self.directory.join(name);
        // The record is gone: if this is cut short, the next start removes what is left.
        blocking(move || gantry_host::fs::remove_tree(&directory).map_err(crate::root::kernel)).await
    }

    /// Fills the volumes among a container's mounts that are empty and wanted filled with what the image has there.
    /// One at a time, in its turn: several mounts, and containers that are made at once, may have the same volume.
    pub async fn fill(&self, rootfs: &[Mount], mounts: &[MountRecord]) -> Result<()> {
        for mount in mounts.iter().filter(|mount| copy_up::is_fillable(mount)) {
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
                match options::Source::parse(&volume.options.into_iter().collect())? {
                    options::Source::Directory => {}
                    options::Source::Bind(device) => mount.device = device,
                    options::Source::Tmpfs(options) => {
                        mount.options = options;
                        mount.tmpfs_volume = true;
                    }
                }
            }
            provided.push(mount);
        }
        Ok(provided)
    }
}
