//! Volumes in a folder of any mounted file system: a disk of its own, a network file system, or the root.
//!
//! ```text
//! ROOT/<name>/data/          what containers see
//! ROOT/<name>/volume.json    the volume's options, and the number of its project
//! ROOT/.new-<n>/             a volume that is being made, which no call shows
//! ROOT/.removed-<n>/         a volume that is being removed; the next start removes what is left
//! ```
//!
//! | option | means |
//! | --- | --- |
//! | `size` | most bytes in the volume, as `500m`, `10g`; enforced by the file system's project quota |
//! | `inodes` | most files in the volume; enforced in the same way |
//! | `mode`, `uid`, `gid` | of the volume's folder, unless an image sets others: `0750`, `1000`, `1000` |
//!
//! # Invariants
//!
//! - A volume exists completely or not at all: it is made under another name, synced to disk, and renamed; its
//!   removal begins with a rename. If the plugin is killed at any moment, its next start finishes what is left.
//! - A name is one component of a path, from a limited set of characters.
//! - A limit is accepted only if the file system enforces it: without project quotas the plugin refuses `size` and
//!   says what is missing.
//! - Only the plugin's user can look into ROOT; containers control the content of `data`.

mod folder;
mod name;
mod options;
mod project;
mod quota;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_plugin_sdk::volume::{Driver, Scope, Volume};
use gantry_plugin_sdk::{Error, Result, blocking};

pub use folder::Folder;
use name::Name;
use options::Options;

/// The driver.
#[derive(Clone, Debug)]
pub struct Dir {
    folder: Arc<Folder>,
    scope: Scope,
}

impl Dir {
    /// Keeps volumes below `root`, which must be a folder. Finishes what an earlier process left half done.
    ///
    /// # Errors
    ///
    /// The folder cannot be used.
    pub fn open(root: &Path, scope: Scope) -> Result<Dir> {
        Ok(Dir { folder: Arc::new(Folder::open(root)?), scope })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = Arc::clone(&self.folder);
        blocking(move || work(&folder)).await
    }
}

impl Driver for Dir {
    fn scope(&self) -> Scope {
        self.scope
    }

    async fn create(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        let (name, options) = (Name::parse(name)?, Options::parse(options)?);
        self.with(move |folder| folder.create(&name, &options)).await
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let name = Name::parse(name)?;
        self.with(move |folder| folder.remove(&name)).await
    }

    async fn mount(&self, name: &str, _user: &str) -> Result<PathBuf> {
        let name = Name::parse(name)?;
        self.with(move |folder| folder.open_volume(&name)).await
    }

    /// Nothing has to be unmounted: a volume's content is available as long as the volume exists.
    async fn unmount(&self, _name: &str, _user: &str) -> Result<()> {
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<Volume> {
        let name = Name::parse(name)?;
        self.with(move |folder| folder.look(&name)?.ok_or_else(|| Error::about(&name, "no such volume")))
            .await
    }

    async fn list(&self) -> Result<Vec<Volume>> {
        self.with(Folder::list).await
    }
}
