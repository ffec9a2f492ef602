//! Volumes whose content is elsewhere: mounted at `_data` with their first user, unmounted with the last. So are a
//! container's views of images, each at a place of its own.
//!
//! Users are containers that run, by their ids, and copies into and out of containers. Who has a volume is nowhere on
//! disk: it follows from what runs, and is told by each container's record when the engine starts. What is mounted then
//! stays mounted as long as a container that may run has it.
//!
//! ```text
//! nobody ──hold──> mounted ──hold──> mounted for several
//!    ^── release ─────┘ ^──── release ────┘
//! ```

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gantry_mount::is_mount_point;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::Volumes;
use super::options::FileSystem;
use crate::container::create::blocking;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::MountRecord;
use crate::root::{kernel, mount_at};

/// Who has which volume. Guards single edits; the volume's turn is held around them.
#[derive(Default)]
pub(super) struct Users(Mutex<BTreeMap<String, HashSet<String>>>);

impl Users {
    fn add(&self, volume: &str, user: &str) {
        self.0.lock().entry(volume.to_owned()).or_default().insert(user.to_owned());
    }

    /// Whether nobody is left.
    fn remove(&self, volume: &str, user: &str) -> bool {
        let mut all = self.0.lock();
        let Some(users) = all.get_mut(volume) else { return true };
        users.remove(user);
        let empty = users.is_empty();
        if empty {
            all.remove(volume);
        }
        empty
    }

    fn is_none(&self, volume: &str) -> bool {
        !self.0.lock().contains_key(volume)
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
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let user = format!("copy {}", NEXT.fetch_add(1, Ordering::Relaxed));
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
                None => self.volumes.mount(&one.key).await?,
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
    /// Mounts a volume unless it is; the caller has its turn.
    async fn mount(&self, name: &str) -> Result<()> {
        let Some(source) = FileSystem::parse(&self.get(name)?.options) else { return Ok(()) };
        let data = self.data(name);
        // A server that is away must not cost one of the few threads that all share.
        on_a_thread(move || match is_mount_point(&data).map_err(kernel)? {
            true => Ok(()),
            false => source.mount(&data),
        })
        .await
    }

    /// Says who has volumes that were mounted before the engine started.
    pub fn expect(&self, all: &[Elsewhere], user: &str) {
        all.iter().for_each(|one| self.users.add(&one.key, user));
    }

    /// Unmounts what nobody has any more.
    pub async fn release(&self, all: &[Elsewhere], user: &str) {
        for one in all {
            let _turn = self.turns.lock(one.key.clone()).await;
            if !self.users.remove(&one.key, user) {
                continue;
            }
            let place = one.view.as_ref().map_or_else(|| self.data(&one.key), |(_, place)| place.clone());
            let unmounted = blocking(move || gantry_mount::detach_all(&place).map_err(kernel));
            if let Err(error) = unmounted.await {
                tracing::warn!(volume = one.key, error = %gantry_rpc::chain(&error), "not unmounted");
            }
        }
    }

    /// Names of volumes that are mounted and that nobody has.
    pub async fn left_mounted(&self) -> Vec<String> {
        let volumes = self.all().into_iter();
        let idle = volumes.filter(|volume| self.users.is_none(&volume.name));
        let places: Vec<_> = idle
            .filter(|volume| FileSystem::parse(&volume.options).is_some())
            .map(|volume| (self.data(&volume.name), volume.name))
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
            true => self.unmount(name).await.map(|()| true),
            false => Ok(false),
        }
    }

    /// The caller has the volume's turn.
    pub(super) async fn unmount(&self, name: &str) -> Result<()> {
        let data = self.data(name);
        blocking(move || gantry_mount::detach_all(&data).map_err(kernel)).await
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
