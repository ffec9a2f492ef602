//! Volume drivers: who keeps volumes. The rest of the engine asks a volume's driver, and never tests for its name.
//!
//! ```text
//! check → make → mount ⇄ unmount → condemn
//! ```
//!
//! What is recorded of a volume (labels, options, who has it) the engine keeps; what a volume is, its driver knows. Every step
//! finds itself already done: a start that was cut short is repeated.
//!
//! The drivers that there are: [`local`], and what [`plugin`]s there are.

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

/// Whether a user of a volume was the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Nobody has it any more.
    Yes,
    /// Others have it.
    No,
}

/// How a driver sees a volume now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Where its content is; empty while it is nowhere.
    pub mountpoint: String,
    /// Nanoseconds since 1970, where the driver knows better than the record.
    pub created_at: Option<i64>,
    /// What else the driver tells: the text of a JSON object, or empty.
    pub status: String,
}

/// A driver of volumes.
#[tonic::async_trait]
pub trait Driver: Send + Sync {
    /// Its name in records and requests.
    fn name(&self) -> &str;

    /// Whose its volumes are: `local` or `global`.
    fn scope(&self) -> &str;

    /// Whether the driver is told of each user of a volume, and counts them itself: then it is also told of their ends, whatever
    /// happens to the engine in between.
    fn counts_users(&self) -> bool {
        false
    }

    /// Refuses what no volume can be made of.
    fn check(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()>;

    /// Makes a volume; one that is there keeps its content.
    async fn make(&self, volume: &VolumeRecord) -> Result<()>;

    /// Removes a volume that nobody has, or moves it to where it goes when its record has gone.
    async fn condemn(&self, volume: &VolumeRecord) -> Result<Condemned>;

    /// A volume as it is now; nothing where there is none of that name.
    async fn look(&self, name: &str) -> Result<Option<Seen>>;

    /// All volumes that it knows.
    async fn list(&self) -> Result<Vec<Seen>>;

    /// Makes a volume's content reachable for a user, and says where.
    async fn mount(&self, volume: &VolumeRecord, user: &str) -> Result<PathBuf>;

    /// Ends what [`Driver::mount`] did for a user.
    async fn unmount(&self, volume: &str, user: &str, last: Last) -> Result<()>;
}

/// The drivers by name: the one place where they are chosen.
pub struct Drivers {
    local: Arc<Local>,
    plugins: Plugins,
    /// Plugins that have said what they are. Guards single edits.
    known: Mutex<BTreeMap<String, Arc<Distant>>>,
}

impl Drivers {
    /// The engine's own driver, and plugins.
    pub fn new(local: Local, plugins: Plugins) -> Drivers {
        Drivers { local: Arc::new(local), plugins, known: Mutex::default() }
    }

    /// The engine's own.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// The driver of a name; the engine's own for an empty one.
    pub async fn get(&self, name: &str) -> Result<Arc<dyn Driver>, gantry_plugin::Error> {
        if name.is_empty() || name == local::NAME {
            return Ok(self.local.clone());
        }
        let plugin = self.plugins.get(name, interface::VOLUME).await?;
        Ok(self.distant(plugin).await)
    }

    /// The same for a volume that is to be used: a plugin that is about to come is waited for.
    pub async fn wait_for(&self, name: &str) -> Result<Arc<dyn Driver>, gantry_plugin::Error> {
        if name == local::NAME {
            return Ok(self.local.clone());
        }
        let plugin = self.plugins.wait_for(name, interface::VOLUME).await?;
        Ok(self.distant(plugin).await)
    }

    /// All plugins that keep volumes; those that there are and that do not answer are told of apart.
    pub async fn plugins(&self) -> (Vec<Arc<dyn Driver>>, Vec<(String, gantry_plugin::Error)>) {
        let (found, failed) = self.plugins.all(interface::VOLUME).await;
        let mut drivers: Vec<Arc<dyn Driver>> = Vec::with_capacity(found.len());
        for plugin in found {
            drivers.push(self.distant(plugin).await);
        }
        (drivers, failed)
    }

    /// The names of all drivers that were in use since the start.
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

/// What went wrong with a plugin while something was done that the user knows by these words.
pub(super) fn failed(doing: impl Into<String>) -> impl FnOnce(gantry_plugin::Error) -> Error {
    let doing = doing.into();
    |source| Error::Plugin { doing, source: Box::new(source) }
}
