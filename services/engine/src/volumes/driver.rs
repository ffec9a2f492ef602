//! Volume drivers, which keep volumes. The rest of the engine calls a volume's driver and never tests for its name.
//!
//! ```text
//! check → make → mount ⇄ unmount → condemn
//! ```
//!
//! The engine records labels, options and users of a volume; the driver knows its content. Every step succeeds if it
//! is already done, because an interrupted start is repeated.
//!
//! The drivers are [`local`] and every [`plugin`].

pub mod local;
pub mod plugin;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_plugin::{Plugins, interface};
use parking_lot::Mutex;

use super::folders::Condemned;
use crate::error::{Error, Result};
use crate::record::VolumeRecord;
use local::Local;
use plugin::Distant;

/// Whether the user that leaves a volume is its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// The volume has no user any more.
    Yes,
    /// The volume has other users.
    No,
}

/// A volume's present state, as its driver reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Path of the volume's content; empty while it is not mounted.
    pub mountpoint: String,
    /// Time of creation, nanoseconds since 1970, if the driver knows it better than the record.
    pub created_at: Option<i64>,
    /// Further facts from the driver: the text of a JSON object, or empty.
    pub status: String,
}

/// A driver of volumes.
#[tonic::async_trait]
pub trait Driver: Send + Sync {
    /// Its name in records and requests.
    fn name(&self) -> &str;

    /// The scope of its volumes: `local` or `global`.
    fn scope(&self) -> &str;

    /// Whether the driver counts the users of a volume. It is then told of each user, and also of each user's end,
    /// even if the engine was away in between.
    fn counts_users(&self) -> bool {
        false
    }

    /// Refuses a name and options from which no volume can be made.
    fn check(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()>;

    /// Makes a volume. A volume that exists keeps its content.
    async fn make(&self, volume: &VolumeRecord) -> Result<()>;

    /// Removes a volume without users, or moves it to a place from which it is removed after its record.
    async fn condemn(&self, volume: &VolumeRecord) -> Result<Condemned>;

    /// A volume's present state; `None` if the driver has none of that name.
    async fn look(&self, name: &str) -> Result<Option<Seen>>;

    /// All volumes that the driver knows.
    async fn list(&self) -> Result<Vec<Seen>>;

    /// Makes a volume's content available for a user, and returns its path.
    async fn mount(&self, volume: &VolumeRecord, user: &str) -> Result<PathBuf>;

    /// Undoes [`Driver::mount`] for a user.
    async fn unmount(&self, volume: &str, user: &str, last: Last) -> Result<()>;
}

/// The drivers by name. Only this type selects a driver.
pub struct Drivers {
    local: Arc<Local>,
    plugins: Plugins,
    /// Plugins that have answered before. The lock is held for single edits.
    known: Mutex<BTreeMap<String, Arc<Distant>>>,
}

impl Drivers {
    /// The engine's own driver, and plugins.
    pub fn new(local: Local, plugins: Plugins) -> Drivers {
        Drivers { local: Arc::new(local), plugins, known: Mutex::default() }
    }

    /// The engine's own driver.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// The driver of a name; the engine's own for an empty name.
    pub async fn get(&self, name: &str) -> Result<Arc<dyn Driver>, gantry_plugin::Error> {
        if name.is_empty() || name == local::NAME {
            return Ok(self.local.clone());
        }
        let plugin = self.plugins.get(name, interface::VOLUME).await?;
        Ok(self.distant(plugin).await)
    }

    /// As [`Drivers::get`], for a volume that is to be used: waits for a plugin that is about to start.
    pub async fn wait_for(&self, name: &str) -> Result<Arc<dyn Driver>, gantry_plugin::Error> {
        if name == local::NAME {
            return Ok(self.local.clone());
        }
        let plugin = self.plugins.wait_for(name, interface::VOLUME).await?;
        Ok(self.distant(plugin).await)
    }

    /// All plugins that are volume drivers, and separately the errors of plugins that do not answer.
    pub async fn plugins(&self) -> (Vec<Arc<dyn Driver>>, Vec<(String, gantry_plugin::Error)>) {
        let (found, failed) = self.plugins.all(interface::VOLUME).await;
        let mut drivers: Vec<Arc<dyn Driver>> = Vec::with_capacity(found.len());
        for plugin in found {
            drivers.push(self.distant(plugin).await);
        }
        (drivers, failed)
    }

    /// The names of all drivers that have been used since the engine's start.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.plugins.active_names(interface::VOLUME);
        names.push(local::NAME.to_owned());
        names.sort_unstable();
        names
    }

    async fn distant(&self, plugin: gantry_plugin::Plugin) -> Arc<Distant> {
        let name = plugin.name().to_owned();
        let known = self.known.lock().get(&name).cloned();
        match known {
            Some(known) => known,
            None => {
                let met = Arc::new(Distant::meet(plugin).await);
                Arc::clone(self.known.lock().entry(name).or_insert(met))
            }
        }
    }
}

/// Words an error of a plugin with the action that the user knows.
pub(super) fn failed(doing: impl Into<String>) -> impl FnOnce(gantry_plugin::Error) -> Error {
    let doing = doing.into();
    |source| Error::Plugin { doing, source: Box::new(source) }
}
