//! Volumes whose content has to be mounted: it is mounted for the first user and unmounted after the last. The same
//! applies to a container's views of images, each of which has its own mount point.
//!
//! A user is a running container, by its id, or a copy into or out of a container. The users of the local driver's
//! volumes are not recorded: when the engine starts, it derives them from the records of the containers that run. A
//! volume stays mounted while a container that may run has it.
//!
//! ```text
//! nobody ──hold──> mounted ──hold──> mounted for several
//!    ^── release ─────┘ ^──── release ────┘
//! ```
//!
//! A driver that counts users is told of each user and of each user's end, with the same id. The engine records a
//! user before it tells the driver, and deletes the record after the driver has been told of the end: if an engine
//! dies in between, the next one tells the driver.

mod users;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_daemon::Context;
use gantry_mount::is_mount_point;
use tokio::runtime::Handle;

pub(super) use self::users::Users;
use super::Volumes;
use super::driver::{Driver, Last, failed, local};
use super::options::FileSystem;
use crate::blocking::blocking;
use crate::container::Container;
use crate::error::{Error, Result};
use crate::names;
use crate::peers::Snapshots;
use crate::record::{HeldRecord, MountRecord, Record};
use crate::root::{kernel, mount_at};

/// Mounts what containers use: volumes, and views of images. Cheap to clone.
#[derive(Clone)]
pub struct Mounts {
    volumes: Arc<Volumes>,
    snapshots: Snapshots,
    context: Context,
}

/// Volumes that are in use until this value is dropped.
pub struct Held {
    mounts: Mounts,
    /// Needed because the value may be dropped on an archive's own thread.
    runtime: Handle,
    volumes: Vec<Elsewhere>,
    user: String,
}

/// Something that is mounted while it is in use.
#[derive(Clone, Debug)]
struct Elsewhere {
    /// The name of the volume, or the key of the view.
    key: String,
    /// The snapshotter of a view and its mount point; `None` for a volume.
    view: Option<(String, PathBuf)>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let all = Arc::clone(&self.mounts.volumes);
        let (volumes, user) = (std::mem::take(&mut self.volumes), std::mem::take(&mut self.user));
        if !volumes.is_empty() {
            let _entered = self.runtime.enter();
            self.mounts.context.spawn("release volumes", async move { all.release(&volumes, &user).await });
        }
    }
}

impl Mounts {
    /// The mounts of these volumes and of views in this service. Work in the background ends with the service of
    /// `context`.
    pub fn new(volumes: &Arc<Volumes>, snapshots: &Snapshots, context: &Context) -> Mounts {
        Mounts { volumes: Arc::clone(volumes), snapshots: snapshots.clone(), context: context.clone() }
    }

    /// Takes into use what has to be mounted for a container, and returns its record with the present paths of
    /// plugins' volumes. The caller must release it ([`Self::release`]), even if this fails.
    pub(crate) async fn hold(&self, record: Arc<Record>) -> Result<Arc<Record>> {
        self.hold_all(&elsewhere(&record.mounts), &record.id).await?;
        Ok(self.placed_in(record))
    }

    /// A record with the present paths of plugins' volumes, of which the caller must be a user.
    pub(crate) fn placed_in(&self, record: Arc<Record>) -> Arc<Record> {
        self.volumes.placed_in(record)
    }

    /// Ends the use by a container that no longer runs.
    pub(crate) async fn release(&self, container: &Container) {
        self.volumes.release(&elsewhere(&container.record().mounts), container.id()).await;
    }

    /// Enters a container that was found running as a user of what is mounted for it.
    pub(crate) fn expect(&self, record: &Record) -> Result<()> {
        self.volumes.expect(&elsewhere(&record.mounts), &record.id)
    }

    /// Takes into use what has to be mounted for these mounts, until the guard is dropped.
    pub(crate) async fn hold_for_now(&self, mounts: &[MountRecord]) -> Result<Held> {
        // A random name, which is unique even across restarts of the engine.
        let user = names::new_id();
        let volumes = elsewhere(mounts);
        // The guard is made first, so that if one mount fails, the others are released.
        let runtime = Handle::current();
        let held = Held { mounts: self.clone(), runtime, volumes: volumes.clone(), user: user.clone() };
        self.hold_all(&volumes, &user).await?;
        Ok(held)
    }

    /// Mounts what has no user yet. The caller must release it, even if this fails.
    async fn hold_all(&self, all: &[Elsewhere], user: &str) -> Result<()> {
        for one in all {
            let _turn = self.volumes.turns.lock(one.key.clone()).await;
            match &one.view {
                None => self.volumes.mount(&one.key, user).await?,
                Some((snapshotter, place)) => {
                    let (mounts, place) =
                        (self.snapshots.mounts(snapshotter, &one.key).await?, place.clone());
                    let mounted = move || match is_mount_point(&place).map_err(kernel)? {
                        true => Ok(()),
                        false => mount_at(&mounts, &place),
                    };
                    blocking(mounted).await?;
                }
            }
            self.volumes.users.add(&one.key, user);
        }
        Ok(())
    }
}

/// The parts of a container's mounts that have to be mounted.
fn elsewhere(mounts: &[MountRecord]) -> Vec<Elsewhere> {
    let view = |mount: &MountRecord| (mount.snapshotter.clone(), PathBuf::from(&mount.point.source));
    let one = |mount: &MountRecord| match mount.snapshot.is_empty() {
        true => Elsewhere { key: mount.point.name.clone(), view: None },
        false => Elsewhere { key: mount.snapshot.clone(), view: Some(view(mount)) },
    };
    mounts.iter().filter(|mount| mount.elsewhere).map(one).collect()
}

impl Volumes {
    /// Mounts a volume for a user, unless the user already has it. The caller must hold the volume's lock.
    async fn mount(&self, name: &str, user: &str) -> Result<()> {
        if self.users.has(name, user) {
            return Ok(());
        }
        let volume = self.get(name)?;
        let driver = self.drivers.wait_for(&volume.driver).await;
        let driver = driver.map_err(failed(super::lookup("get", name, &volume.driver)))?;
        if !driver.counts_users() {
            return driver.mount(&volume, user).await.map(drop);
        }
        let mut held = HeldRecord {
            volume: name.to_owned(),
            driver: volume.driver.clone(),
            user: user.to_owned(),
            place: String::new(),
        };
        self.store.put_held(&held).await?;
        let place = match driver.mount(&volume, user).await {
            Ok(place) if place.is_absolute() => place,
            Ok(place) => {
                let why = format!(
                    "plugin {:?} says that it is at {:?}",
                    volume.driver,
                    place.display().to_string()
                );
                return Err(Error::Path(format!("error while mounting volume '': {why}")));
            }
            Err(error) => {
                // The driver has refused, so nothing is mounted. After any other error the volume may be mounted, and
                // the release tells the driver that the use is over.
                if error.is_refusal() {
                    self.store.delete_held(&held).await?;
                }
                return Err(error);
            }
        };
        held.place = place.display().to_string();
        self.store.put_held(&held).await?;
        self.users.put(name, place);
        Ok(())
    }

    /// Enters a user of volumes that were mounted before the engine started.
    fn expect(&self, all: &[Elsewhere], user: &str) -> Result<()> {
        for one in all {
            self.users.add(&one.key, user);
            if let Some(held) = self.store.held(user, &one.key)?.filter(|held| !held.place.is_empty()) {
                self.users.put(&one.key, PathBuf::from(held.place));
            }
        }
        Ok(())
    }

    /// The mounts with the present paths of plugins' volumes. The caller must be a user of them.
    pub fn placed(&self, mounts: &[MountRecord]) -> Vec<MountRecord> {
        let placed = |mount: &MountRecord| {
            let mut mount = mount.clone();
            if mount.is_of_plugin()
                && let Some(place) = self.users.place(&mount.point.name)
            {
                mount.point.source = place.display().to_string();
            }
            mount
        };
        mounts.iter().map(placed).collect()
    }

    /// Returns the same record if no mount is of a plugin's volume, which is the common case.
    pub fn placed_in(&self, record: Arc<Record>) -> Arc<Record> {
        match record.mounts.iter().any(MountRecord::is_of_plugin) {
            true => Arc::new(Record { mounts: self.placed(&record.mounts), ..(*record).clone() }),
            false => record,
        }
    }

    /// Ends a use, and unmounts what has no user any more.
    async fn release(&self, all: &[Elsewhere], user: &str) {
        for one in all {
            let _turn = self.turns.lock(one.key.clone()).await;
            let last = self.users.remove(&one.key, user);
            let released = match &one.view {
                Some((_, place)) if last == Last::Yes => {
                    let place = place.clone();
                    blocking(move || gantry_mount::detach_all(&place).map_err(kernel)).await
                }
                Some(_) => Ok(()),
                None => self.release_one(&one.key, user, last).await,
            };
            if let Err(error) = released {
                tracing::warn!(volume = one.key, error = %gantry_rpc::chain(&error), "not unmounted");
            }
        }
    }

    /// Ends the use of one volume. The caller must hold the volume's lock.
    async fn release_one(&self, name: &str, user: &str, last: Last) -> Result<()> {
        if let Some(held) = self.store.held(user, name)? {
            return self.end(&held, last).await;
        }
        // A driver that counts users has already been told, or never was. Without a record, the volume was the local
        // driver's.
        match self.get(name) {
            Ok(volume) if volume.driver != local::NAME => Ok(()),
            _ => self.drivers.local().unmount(name, user, last).await,
        }
    }

    /// Tells a driver that counts users of a user's end. If that fails, the next start tells it.
    async fn end(&self, held: &HeldRecord, last: Last) -> Result<()> {
        let driver = self.drivers.get(&held.driver).await;
        let driver = driver.map_err(failed(super::lookup("get", &held.volume, &held.driver)))?;
        match driver.unmount(&held.volume, &held.user, last).await {
            Err(error) if !error.is_refusal() => Err(error),
            told => {
                self.store.delete_held(held).await?;
                told
            }
        }
    }

    /// Tells drivers that count users of users that no longer exist, as `lives` decides.
    pub async fn end_strays(&self, lives: impl Fn(&str) -> bool) -> Result<()> {
        for held in self.store.all_held().await?.into_iter().filter(|held| !lives(&held.user)) {
            let _turn = self.turns.lock(held.volume.clone()).await;
            // The user may have returned meanwhile.
            if self.users.has(&held.volume, &held.user) {
                continue;
            }
            let last = if self.users.is_none(&held.volume) { Last::Yes } else { Last::No };
            if let Err(error) = self.end(&held, last).await {
                tracing::warn!(volume = held.volume, error = %gantry_rpc::chain(&error), "its plugin was not told that a user has gone");
            }
        }
        Ok(())
    }

    /// Names of volumes that are mounted and have no user.
    pub async fn left_mounted(&self) -> Vec<String> {
        let volumes = self.all().into_iter();
        let idle = volumes.filter(|volume| self.users.is_none(&volume.name));
        let places: Vec<_> = idle
            .filter(|volume| volume.driver == local::NAME && FileSystem::parse(&volume.options).is_some())
            .map(|volume| (self.folders().data(&volume.name), volume.name))
            .collect();
        let mounted = |path: &Path| is_mount_point(path).unwrap_or(false);
        let left = blocking(move || {
            Ok(places.into_iter().filter(|(path, _)| mounted(path)).map(|(_, name)| name).collect())
        });
        left.await.unwrap_or_default()
    }

    /// Unmounts such a volume; returns false if it has a user by now.
    pub async fn unmount_left(&self, name: &str) -> Result<bool> {
        let _turn = self.turns.lock(name.to_owned()).await;
        match self.users.is_none(name) {
            true => self.drivers.local().detach(name).await.map(|()| true),
            false => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests;
