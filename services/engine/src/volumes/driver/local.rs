//! The driver `local`: folders of the engine, and file systems that the kernel mounts there
//! ([`options`](crate::volumes::options)).

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantry_mount::{detach_all, is_mount_point};

use super::{Driver, Last, Seen};
use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::names;
use crate::record::VolumeRecord;
use crate::root::kernel;
use crate::volumes::folders::{Condemned, Folders};
use crate::volumes::options::{self, FileSystem};

/// The driver's name.
pub const NAME: &str = "local";

/// The driver.
pub struct Local {
    folders: Folders,
}

impl Local {
    /// A driver that keeps volumes in these folders.
    pub fn new(folders: Folders) -> Local {
        Local { folders }
    }

    /// The folders.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Unmounts whatever is mounted for a volume.
    pub async fn detach(&self, name: &str) -> Result<()> {
        let data = self.folders.data(name);
        blocking(move || detach_all(&data).map_err(kernel)).await
    }
}

#[tonic::async_trait]
impl Driver for Local {
    fn name(&self) -> &str {
        NAME
    }

    fn scope(&self) -> &str {
        "local"
    }

    fn check(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        if name.len() < 2 {
            return Err(Error::Invalid(format!(
                "create {name}: volume name is too short, names should be at least two alphanumeric characters"
            )));
        }
        if !names::is_valid(name) {
            return Err(Error::Invalid(format!(
                "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
            )));
        }
        options::check(name, options)
    }

    async fn make(&self, volume: &VolumeRecord) -> Result<()> {
        // A folder that exists keeps its data.
        let (folders, made) = (self.folders.clone(), volume.clone());
        blocking(move || folders.make(&made)).await
    }

    async fn condemn(&self, volume: &VolumeRecord) -> Result<Condemned> {
        // A mounted file system is not part of the volume's folder, so it is unmounted before the folder is removed.
        self.detach(&volume.name).await?;
        let (folders, name) = (self.folders.clone(), volume.name.clone());
        blocking(move || folders.condemn(&name)).await
    }

    /// Every recorded volume has its folder, or will get it.
    async fn look(&self, name: &str) -> Result<Option<Seen>> {
        let mountpoint = self.folders.data(name).display().to_string();
        Ok(Some(Seen { name: name.to_owned(), mountpoint, ..Seen::default() }))
    }

    /// The records list all volumes, so there is nothing to add.
    async fn list(&self) -> Result<Vec<Seen>> {
        Ok(Vec::new())
    }

    async fn mount(&self, volume: &VolumeRecord, _user: &str) -> Result<PathBuf> {
        let data = self.folders.data(&volume.name);
        let Some(source) = FileSystem::parse(&volume.options) else { return Ok(data) };
        let place = data.clone();
        // A thread of its own, because a server that does not answer would block one of the shared threads.
        on_a_thread(move || match is_mount_point(&place).map_err(kernel)? {
            true => Ok(()),
            false => source.mount(&place),
        })
        .await?;
        Ok(data)
    }

    async fn unmount(&self, volume: &str, _user: &str, last: Last) -> Result<()> {
        match last {
            Last::Yes => self.detach(volume).await,
            Last::No => Ok(()),
        }
    }
}

async fn on_a_thread(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let (sender, done) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("mount a volume".to_owned());
    thread
        .spawn(move || drop(sender.send(work())))
        .map_err(|error| Error::Broken(format!("no thread to mount a volume: {error}")))?;
    done.await.unwrap_or_else(|_| Err(Error::Broken("mounting a volume panicked".to_owned())))
}
