//! Volumes: the trait of a volume driver, and the methods that serve it.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use gantry_plugin::wire::volume::Volume;
use gantry_plugin::wire::volume::{
    Capabilities, CapabilitiesResponse, CreateRequest, GetResponse, ListResponse, MountRequest, Mountpoint,
    Named,
};
use gantry_plugin::{interface, wire::Nothing};

use crate::error::{Error, Result};
use crate::server::Server;

/// On which machines a volume exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// On this machine only.
    #[default]
    Local,
    /// On all machines: the same name means the same volume.
    Global,
}

/// A volume driver.
///
/// ```text
/// create ──> mount(user 1) ──> mount(user 2) ──> unmount(1) ──> unmount(2) ──> remove
/// ```
///
/// Every call may be repeated, because an engine may die before it gets the answer. Names and options are as the user
/// typed them, and the driver refuses those that are not valid.
pub trait Driver: Send + Sync + 'static {
    /// The scope of its volumes.
    fn scope(&self) -> Scope {
        Scope::Local
    }

    /// Makes a volume. Succeeds if it exists, unless it was made with other options.
    fn create(
        &self,
        name: &str,
        options: &BTreeMap<String, String>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Removes a volume with its content.
    fn remove(&self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Makes a volume's content available and returns its path. The content stays there until the last `user` has
    /// unmounted it.
    fn mount(&self, name: &str, user: &str) -> impl Future<Output = Result<PathBuf>> + Send;

    /// Ends the use by this `user`. Succeeds if the user has not mounted the volume.
    fn unmount(&self, name: &str, user: &str) -> impl Future<Output = Result<()>> + Send;

    /// Returns the present state of a volume.
    fn get(&self, name: &str) -> impl Future<Output = Result<Volume>> + Send;

    /// Returns all volumes.
    fn list(&self) -> impl Future<Output = Result<Vec<Volume>>> + Send;
}

impl Server {
    /// Adds a volume driver to the server.
    #[must_use]
    pub fn volumes<D: Driver>(self, driver: D) -> Server {
        let driver = Arc::new(driver);
        let each = |driver: &Arc<D>| Arc::clone(driver);
        let (create, remove, mount, unmount) = (each(&driver), each(&driver), each(&driver), each(&driver));
        let (path, get, list) = (each(&driver), each(&driver), each(&driver));
        self.implements(interface::VOLUME)
            .method("VolumeDriver.Create", move |asked: CreateRequest| {
                let driver = each(&create);
                async move {
                    driver.create(&asked.name, &asked.opts.unwrap_or_default()).await?;
                    Ok(Nothing {})
                }
            })
            .method("VolumeDriver.Remove", move |asked: Named| {
                let driver = each(&remove);
                async move { driver.remove(&asked.name).await.map(|()| Nothing {}) }
            })
            .method("VolumeDriver.Mount", move |asked: MountRequest| {
                let driver = each(&mount);
                async move { told(&driver.mount(&asked.name, &asked.id).await?) }
            })
            .method("VolumeDriver.Unmount", move |asked: MountRequest| {
                let driver = each(&unmount);
                async move { driver.unmount(&asked.name, &asked.id).await.map(|()| Nothing {}) }
            })
            .method("VolumeDriver.Path", move |asked: Named| {
                let driver = each(&path);
                async move { Ok(Mountpoint { mountpoint: driver.get(&asked.name).await?.mountpoint }) }
            })
            .method("VolumeDriver.Get", move |asked: Named| {
                let driver = each(&get);
                async move { Ok(GetResponse { volume: Some(driver.get(&asked.name).await?) }) }
            })
            .method("VolumeDriver.List", move |_: Nothing| {
                let driver = each(&list);
                async move { Ok(ListResponse { volumes: driver.list().await? }) }
            })
            .method("VolumeDriver.Capabilities", move |_: Nothing| {
                let scope = match driver.scope() {
                    Scope::Local => "local",
                    Scope::Global => "global",
                };
                async move { Ok(CapabilitiesResponse { capabilities: Capabilities { scope: scope.to_owned() } }) }
            })
    }
}

fn told(mountpoint: &Path) -> Result<Mountpoint> {
    match mountpoint.to_str() {
        Some(path) => Ok(Mountpoint { mountpoint: path.to_owned() }),
        None => Err(Error::about(mountpoint.display(), "not a path that JSON can tell")),
    }
}
