//! The plugins that were used.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::error::{Error, Result};
use crate::folders::Folders;
use crate::patience::Patience;
use crate::plugin::Plugin;

/// How long a plugin may take to activate when it is not called by its name.
const GLANCE: Duration = Duration::from_secs(5);

/// The plugins of a service. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Plugins {
    folders: Folders,
    patience: Patience,
    /// The plugins that were found; each is activated once. Guards single edits.
    known: Arc<Mutex<BTreeMap<String, Arc<OnceCell<Plugin>>>>>,
}

impl Plugins {
    /// The plugins in these directories, which are found when they are used.
    pub fn new(folders: Folders) -> Plugins {
        Plugins { folders, ..Plugins::default() }
    }

    /// The same plugins with other pauses than Docker's.
    pub fn with_patience(self, patience: Patience) -> Plugins {
        Plugins { patience, ..self }
    }

    /// The plugin of a name, which has to implement `interface` (one of [`interface`](crate::interface)).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], at once; or [`Error::Unusable`].
    pub async fn get(&self, name: &str, interface: &'static str) -> Result<Plugin> {
        let unusable = |error: Error| match error {
            Error::NotFound(_) => error,
            other => Error::Unusable(Box::new(other)),
        };
        let plugin = self.active(name, self.patience).await.map_err(unusable)?;
        match plugin.is(interface) {
            true => Ok(plugin),
            false => Err(unusable(Error::NotImplemented { name: name.to_owned(), interface })),
        }
    }

    /// Whether there is a socket or a file of this name. Calls no plugin.
    pub fn is_there(&self, name: &str) -> bool {
        self.folders.find(name).is_ok()
    }

    /// As [`Plugins::get`] for a plugin that is about to start, such as at boot: waits for it as for one that does
    /// not answer.
    pub async fn wait_for(&self, name: &str, interface: &'static str) -> Result<Plugin> {
        let mut waiting = self.patience.begin();
        loop {
            match self.get(name, interface).await {
                Err(Error::NotFound(_)) if waiting.pause().await => {}
                done => return done,
            }
        }
    }

    /// All plugins that implement `interface` (one of [`interface`](crate::interface)), sorted by name, and the
    /// errors of those that cannot be reached, for which it does not wait.
    pub async fn all(&self, interface: &'static str) -> (Vec<Plugin>, Vec<(String, Error)>) {
        let impatient = Patience { most: Duration::ZERO, ..self.patience };
        let mut names = self.folders.names();
        names.extend(self.known.lock().keys().cloned());
        names.sort_unstable();
        names.dedup();
        let asked = names.into_iter().map(|name| async move {
            let active = tokio::time::timeout(GLANCE, self.active(&name, impatient)).await;
            let late = || Error::Late { url: format!("{name}/Plugin.Activate"), patience: GLANCE };
            (active.unwrap_or_else(|_| Err(late())), name)
        });
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        for (active, name) in futures::future::join_all(asked).await {
            match active {
                Ok(plugin) if plugin.is(interface) => found.push(plugin),
                Ok(_) => {}
                Err(error) => failed.push((name, error)),
            }
        }
        (found, failed)
    }

    /// The names of the used plugins that implement `interface` (one of [`interface`](crate::interface)).
    pub fn active_names(&self, interface: &str) -> Vec<String> {
        let known = self.known.lock();
        let active = known.iter().filter(|(_, cell)| cell.get().is_some_and(|plugin| plugin.is(interface)));
        active.map(|(name, _)| name.clone()).collect()
    }

    async fn active(&self, name: &str, patience: Patience) -> Result<Plugin> {
        let known = self.known.lock().get(name).cloned();
        let cell = match known {
            Some(cell) => cell,
            None => {
                // Only existing plugins are remembered, because callers may ask for any name.
                self.folders.find(name)?;
                Arc::clone(self.known.lock().entry(name.to_owned()).or_default())
            }
        };
        let activated = cell.get_or_try_init(|| Plugin::activate(name, &self.folders, patience)).await;
        activated.map(|plugin| plugin.patient(self.patience))
    }
}
