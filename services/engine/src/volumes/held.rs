//! Volumes whose content is elsewhere: mounted with their first user, unmounted with the last. So are a container's views of
//! images, each at a place of its own.
//!
//! Users are containers that run, by their ids, and copies into and out of containers. Who has a volume of the engine's own driver
//! is nowhere on disk: it follows from what runs, and is told by each container's record when the engine starts. What is
//! mounted then stays mounted as long as a container that may run has it.
//!
//! ```text
//! nobody ──hold──> mounted ──hold──> mounted for several
//!    ^── release ─────┘ ^──── release ────┘
//! ```
//!
//! A driver that counts users is told of each of them and of each one's end, by the same id. What it was told is on record before
//! it is told, and until it has heard of the end: an engine that dies in between tells it at its next start.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_mount::is_mount_point;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::Volumes;
use super::driver::{Driver, Last, failed, local};
use super::options::FileSystem;
use crate::container::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::names;
use crate::record::{HeldRecord, MountRecord, Record};
use crate::root::{kernel, mount_at};

/// Who has which volume, and where others' volumes are meanwhile. Guards single edits; the volume's turn is held around them.
#[derive(Default)]
pub(super) struct Users(Mutex<State>);

#[derive(Default)]
struct State {
    users: BTreeMap<String, HashSet<String>>,
    places: BTreeMap<String, PathBuf>,
}

impl Users {
    fn add(&self, volume: &str, user: &str) {
        self.0.lock().users.entry(volume.to_owned()).or_default().insert(user.to_owned());
    }

    fn has(&self, volume: &str, user: &str) -> bool {
        self.0.lock().users.get(volume).is_some_and(|users| users.contains(user))
    }

    fn remove(&self, volume: &str, user: &str) -> Last {
        let mut state = self.0.lock();
        let Some(users) = state.users.get_mut(volume) else { return Last::Yes };
        users.remove(user);
        if !users.is_empty() {
            return Last::No;
        }
        state.users.remove(volume);
        state.places.remove(volume);
        Last::Yes
    }

    fn is_none(&self, volume: &str) -> bool {
        !self.0.lock().users.contains_key(volume)
    }

    fn put(&self, volume: &str, place: PathBuf) {
        self.0.lock().places.insert(volume.to_owned(), place);
    }

    fn place(&self, volume: &str) -> Option<PathBuf> {
        self.0.lock().places.get(volume).cloned()
    }
}

/// Volumes that are held for something that passes; released when it is dropped.
pub struct Held {
    engine: Engine,
    /// Also where it is dropped on a thread of an archive's own.
    runtime: Handle,
    volumes: Vec<Elsewhere>,
    user: String,
}

/// What is mounted while it is used.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// The volume's name, or the view's.
    key: String,
    /// Who has the view, and where it goes; none for a volume.
    view: Option<(String, PathBuf)>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let engine = self.engine.clone();
        let (volumes, user) = (std::mem::take(&mut self.volumes), std::mem::take(&mut self.user));
        if !volumes.is_empty() {
            let _entered = self.runtime.enter();
            self.engine
                .spawn("release volumes", async move { engine.volumes.release(&volumes, &user).await });
        }
    }
}

impl Engine {
    /// Holds what is elsewhere of these mounts until the guard is dropped.
    pub(crate) async fn hold_for_now(&self, mounts: &[MountRecord]) -> Result<Held> {
        // Unlike that of any other, also after a restart.
        let user = names::new_id();
        let volumes = elsewhere(mounts);
        // First the guard: what was mounted before one fails is released, too.
        let runtime = Handle::current();
        let held = Held { engine: self.clone(), runtime, volumes: volumes.clone(), user: user.clone() };
        self.hold(&volumes, &user).await?;
        Ok(held)
    }

    /// Mounts what nobody has yet. Who calls it releases it, whether it fails or not.
    pub(crate) async fn hold(&self, all: &[Elsewhere], user: &str) -> Result<()> {
        for one in all {
            let _turn = self.volumes.turns.lock(one.key.clone()).await;
            match &one.view {
                None => self.volumes.mount(&one.key, user).await?,
                Some((snapshotter, place)) => {
                    let (mounts, place) = (self.peers.mounts(snapshotter, &one.key).await?, place.clone());
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

/// What of a container's mounts is to be mounted.
pub fn elsewhere(mounts: &[MountRecord]) -> Vec<Elsewhere> {
    let view = |mount: &MountRecord| (mount.snapshotter.clone(), PathBuf::from(&mount.point.source));
    let one = |mount: &MountRecord| match mount.snapshot.is_empty() {
        true => Elsewhere { key: mount.point.name.clone(), view: None },
        false => Elsewhere { key: mount.snapshot.clone(), view: Some(view(mount)) },
    };
    mounts.iter().filter(|mount| mount.elsewhere).map(one).collect()
}

impl Volumes {
    /// Mounts a volume for a user, unless it has it; the caller has the volume's turn.
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
                // It has said no: nothing is mounted. Of all else nobody knows, and the release says that it is over.
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

    /// Says who has volumes that were mounted before the engine started.
    pub fn expect(&self, all: &[Elsewhere], user: &str) -> Result<()> {
        for one in all {
            self.users.add(&one.key, user);
            if let Some(held) = self.store.held(user, &one.key)?.filter(|held| !held.place.is_empty()) {
                self.users.put(&one.key, PathBuf::from(held.place));
            }
        }
        Ok(())
    }

    /// The mounts with the places that others' volumes have now; their users have them.
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

    /// The same record where no mount is of others, which is nearly always.
    pub fn placed_in(&self, record: Arc<Record>) -> Arc<Record> {
        match record.mounts.iter().any(MountRecord::is_of_plugin) {
            true => Arc::new(Record { mounts: self.placed(&record.mounts), ..(*record).clone() }),
            false => record,
        }
    }

    /// Unmounts what nobody has any more.
    pub async fn release(&self, all: &[Elsewhere], user: &str) {
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

    /// The caller has the volume's turn.
    async fn release_one(&self, name: &str, user: &str, last: Last) -> Result<()> {
        if let Some(held) = self.store.held(user, name)? {
            return self.end(&held, last).await;
        }
        // A driver that counts was not told, or has heard of the end. Without a record it was the engine's own.
        match self.get(name) {
            Ok(volume) if volume.driver != local::NAME => Ok(()),
            _ => self.drivers.local().unmount(name, user, last).await,
        }
    }

    /// Tells a driver that counts of a user's end. One that cannot be told is told at the next start.
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

    /// Tells drivers that count of users that are no more; `lives` knows which are.
    pub async fn end_strays(&self, lives: impl Fn(&str) -> bool) -> Result<()> {
        for held in self.store.all_held()?.into_iter().filter(|held| !lives(&held.user)) {
            let _turn = self.turns.lock(held.volume.clone()).await;
            // It may have come back meanwhile.
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

    /// Names of volumes that are mounted and that nobody has.
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

    /// Unmounts a volume that was left; false when somebody has it by now.
    pub async fn unmount_left(&self, name: &str) -> Result<bool> {
        let _turn = self.turns.lock(name.to_owned()).await;
        match self.users.is_none(name) {
            true => self.drivers.local().detach(name).await.map(|()| true),
            false => Ok(false),
        }
    }
}
