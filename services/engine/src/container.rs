//! One container: what it is, what has become of it, and what waits for it.
//!
//! What it does, and what may follow upon that, is drawn in [`life`].
//!
//! Transitions are made by whoever holds the container's operation lock; the state itself is published through a watch
//! channel, so that looking (`docker ps`) and waiting (`docker wait`) never take that lock. The order of a transition is:
//! decide, publish, write, tell others.

pub mod attach;
pub mod changes;
pub mod commit;
pub mod create;
pub mod endpoint;
pub mod exit;
pub mod files;
pub mod health;
pub mod hosts;
pub mod image_names;
pub mod join;
pub mod kill;
pub mod life;
pub mod links;
pub mod list;
pub mod mode;
pub mod network;
pub mod pause;
pub mod port;
pub mod prune;
pub mod remove;
pub mod rename;
pub mod shm;
pub mod signal;
pub mod skeleton;
pub mod start;
pub mod stats;
pub mod tombstones;
pub mod top;
pub mod update;
pub mod validate;
pub mod view;
pub mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_api::engine::Status;
use gantry_mount::Mount;
use gantry_rpc::paced::Queue;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use self::life::{Life, Phase};
use self::links::FurtherName;
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::generation::Generation;
use crate::record::Record;
use crate::restart::Backoff;

/// A container.
pub struct Container {
    id: String,
    /// Guards the record against half an update; readers take a copy of the pointer.
    record: RwLock<Arc<Record>>,
    life: watch::Sender<Life>,
    /// Counts its changes, and those of all others.
    generation: Arc<Generation>,
    /// The name that its image was asked for by leads elsewhere by now, or nowhere.
    image_name_lost: AtomicBool,
    /// Names that others have for it, by which it is found too.
    further_names: RwLock<Vec<FurtherName>>,
    /// Held for the length of an operation that changes what the container is or does.
    operation: Arc<tokio::sync::Mutex<()>>,
    /// Those who wait for it.
    queue: Queue,
    /// Callers who want to be connected before the process starts.
    attaching: watch::Sender<usize>,
    /// Execs by id, ended ones too, until the container's run ends.
    pub(crate) execs: Mutex<BTreeMap<String, Arc<Exec>>>,
    /// The delay of automatic restarts.
    pub(crate) backoff: Mutex<Backoff>,
    /// How its root is mounted; asked once, for it never changes.
    pub(crate) mounts: tokio::sync::OnceCell<Vec<Mount>>,
}

/// A turn to change a container, which is given back when it is dropped.
pub(crate) type Turn = tokio::sync::OwnedMutexGuard<()>;

impl Container {
    /// A container as it is recorded, whose changes are counted.
    pub fn new(record: Record, life: Life, generation: &Arc<Generation>) -> Container {
        Container {
            id: record.id.clone(),
            record: RwLock::new(Arc::new(record)),
            life: watch::channel(life).0,
            generation: Arc::clone(generation),
            image_name_lost: AtomicBool::new(false),
            further_names: RwLock::default(),
            operation: Arc::default(),
            queue: Queue::default(),
            attaching: watch::channel(0).0,
            execs: Mutex::new(BTreeMap::new()),
            backoff: Mutex::new(Backoff::default()),
            mounts: tokio::sync::OnceCell::new(),
        }
    }

    /// 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name now.
    pub fn name(&self) -> String {
        self.record.read().name.clone()
    }

    /// Whether its image is to be told by its id.
    pub fn has_lost_image_name(&self) -> bool {
        self.image_name_lost.load(Ordering::Acquire)
    }

    pub(crate) fn set_image_name_lost(&self, lost: bool) {
        if self.image_name_lost.swap(lost, Ordering::AcqRel) != lost {
            self.generation.advance();
        }
    }

    /// The names that others have for it now.
    pub fn further_names(&self) -> Vec<FurtherName> {
        self.further_names.read().clone()
    }

    /// Replaces the names that others have for it.
    pub(crate) fn set_further_names(&self, names: Vec<FurtherName>) {
        let mut place = self.further_names.write();
        if *place != names {
            *place = names;
            self.generation.advance();
        }
    }

    /// Its record now.
    pub fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.read())
    }

    /// Replaces the record; for the holder of the operation lock.
    pub(crate) fn set_record(&self, record: Record) {
        let mut place = self.record.write();
        *place = Arc::new(record);
        self.generation.advance();
    }

    /// What is going on now.
    pub fn life(&self) -> watch::Ref<'_, Life> {
        self.life.borrow()
    }

    /// Follows what is going on.
    pub fn watch(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// Changes what is going on; for the holder of the operation lock, but for what [`life`] says.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Life) -> T) -> T {
        let mut changed = None;
        self.life.send_modify(|life| {
            changed = Some(change(life));
            self.generation.advance();
        });
        changed.expect("the change is made before this returns")
    }

    /// Docker's word for its state.
    pub fn status(&self) -> Status {
        self.life().status()
    }

    /// Waits for its turn to change the container.
    pub(crate) async fn operate(&self) -> tokio::sync::MutexGuard<'_, ()> {
        match self.operation.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                let _waiting = self.queue.enter();
                self.operation.lock().await
            }
        }
    }

    /// Waits for its turn, and takes it along.
    pub(crate) async fn operate_owned(&self) -> Turn {
        let _waiting = self.queue.enter();
        Arc::clone(&self.operation).lock_owned().await
    }

    /// Those who wait for a turn.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Refuses what a container that is being removed cannot do.
    pub(crate) fn refuse_if_removing(&self) -> Result<()> {
        let life = self.life();
        if life.is_removed() {
            return Err(Error::NoSuchContainer(self.id.clone()));
        }
        if life.is_going() || *life.phase() == Phase::Dead {
            return Err(Error::Conflict(format!(
                "container is marked for removal and cannot be started: {}",
                self.id
            )));
        }
        Ok(())
    }

    /// The process id of a container that has to run, paused or not.
    pub(crate) fn running_pid(&self) -> Result<u32> {
        match self.life().running() {
            Some(running) if running.pid != 0 => Ok(running.pid),
            _ => Err(Error::NotRunning(self.id.clone())),
        }
    }
}
