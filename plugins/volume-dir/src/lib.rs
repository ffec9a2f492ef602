//! Volumes in a folder of any file system that is mounted: a disk of its own, a distant file system, whatever is there.
//!
//! ```text
//! ROOT/<name>/data/          what containers see
//! ROOT/<name>/volume.json    what the volume was made with, and the number of its project
//! ROOT/.new-<n>/             one that is being made; not there, as far as anybody sees
//! ROOT/.removed-<n>/         one that is being removed; it goes at the next start if it has not gone yet
//! ```
//!
//! | option | means |
//! | --- | --- |
//! | `size` | how much fits in, as `500m`, `10g`; kept by the file system's project quota |
//! | `inodes` | how many files fit in, by the same |
//! | `mode`, `uid`, `gid` | of the volume's own folder, where an image says nothing else: `0750`, `1000`, `1000` |
//!
//! # Invariants
//!
//! - A volume is there whole or not at all: it is made under another name, written to the disk, and renamed; removal begins with
//!   a rename. Killed at any moment, the plugin goes on with what was left when it starts again.
//! - A name is one component of a path, of letters that cannot mean anything else.
//! - A limit is promised only where the file system keeps it: one without project quotas refuses `size` and says what it lacks.
//! - Nobody but the plugin's user may look into ROOT's own folders; what is in `data` is containers' business.

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
    /// Keeps volumes below `root`, which must be a folder; ends what a predecessor left half done.
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

    /// Nothing is mounted: a volume is reachable as long as it is there.
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
