//! One container: its record, its life, and the callers that wait for it.
//!
//! [`life`] draws the phases and the transitions between them.
//!
//! Only the holder of the container's operation lock makes a transition. The life is published through a watch
//! channel, so that reading it (`docker ps`) and waiting for it (`docker wait`) never take that lock. A transition
//! has four steps in this order: decide, publish, write, send events.

pub mod attach;
pub mod changes;
pub mod commit;
pub mod connect;
pub mod create;
pub mod endpoint;
pub mod exit;
pub mod files;
pub mod health;
pub mod holdings;
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
pub mod pinned;
pub mod port;
pub mod prune;
pub(crate) mod recorded;
pub mod remove;
pub mod rename;
pub mod resize;
pub mod run;
pub mod shm;
pub mod shortage;
pub mod skeleton;
pub mod specs;
pub mod start;
pub mod stats;
pub mod tombstones;
pub mod top;
pub mod update;
pub mod validate;
pub mod view;
pub mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantry_api::engine::Status;
use gantry_mount::Mount;
use gantry_rpc::paced::Queue;
use gantry_types::{ContainerId, ProcessId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use self::life::{Life, Phase};
use self::links::FurtherName;
use crate::error::{Error, Result};
use crate::exec::Known;
use crate::generation::Generation;
use crate::peers::Snapshots;
use crate::record::Record;
use crate::restart::Backoff;

/// A container.
pub struct Container {
    id: ContainerId,
    /// The lock makes an update atomic; readers clone the pointer.
    record: RwLock<Arc<Record>>,
    life: watch::Sender<Life>,
    /// Counts the changes of all containers.
    generation: Arc<Generation>,
    /// Whether the image name that the container was created from no longer leads to its image.
    image_name_lost: AtomicBool,
    /// Names from other containers' links, by which this container is found too.
    further_names: RwLock<Vec<FurtherName>>,
    /// Held for the length of an operation that changes the container.
    operation: Arc<tokio::sync::Mutex<()>>,
    /// The queue of callers that wait for the operation lock.
    queue: Queue,
    /// Callers that attach before the process starts, and for whom the start waits.
    attaching: watch::Sender<usize>,
    /// The container's execs.
    pub(crate) execs: Known,
    /// The delay of automatic restarts.
    pub(crate) backoff: Mutex<Backoff>,
    /// The mounts of the container's root; requested once, because they never change.
    pub(crate) mounts: tokio::sync::OnceCell<Vec<Mount>>,
}

/// The right to change a container; dropping it passes it on.
pub(crate) type Turn = tokio::sync::OwnedMutexGuard<()>;

impl Container {
    /// A container from its record. `generation` counts its changes.
    ///
    /// # Errors
    ///
    /// The record's id is not valid.
    pub fn new(record: Record, life: Life, generation: &Arc<Generation>) -> Result<Container> {
        Ok(Container {
            id: record.id.parse()?,
            record: RwLock::new(Arc::new(record)),
            life: watch::channel(life).0,
            generation: Arc::clone(generation),
            image_name_lost: AtomicBool::new(false),
            further_names: RwLock::default(),
            operation: Arc::default(),
            queue: Queue::default(),
            attaching: watch::channel(0).0,
            execs: Known::default(),
            backoff: Mutex::new(Backoff::default()),
            mounts: tokio::sync::OnceCell::new(),
        })
    }

    /// 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The id of the container's task.
    pub fn task(&self) -> &ContainerId {
        &self.id
    }

    /// The id of the container's first process.
    pub fn init(&self) -> ProcessId {
        ProcessId::init(&self.id)
    }

    /// The present name.
    pub fn name(&self) -> String {
        self.record.read().name.clone()
    }

    /// Whether the image has to be shown by its id, because its name leads elsewhere.
    pub fn has_lost_image_name(&self) -> bool {
        self.image_name_lost.load(Ordering::Acquire)
    }

    pub(crate) fn set_image_name_lost(&self, lost: bool) {
        if self.image_name_lost.swap(lost, Ordering::AcqRel) != lost {
            self.generation.advance();
        }
    }

    /// The present names from links.
    pub fn further_names(&self) -> Vec<FurtherName> {
        self.further_names.read().clone()
    }

    /// Replaces the names from links.
    pub(crate) fn set_further_names(&self, names: Vec<FurtherName>) {
        let mut place = self.further_names.write();
        if *place != names {
            *place = names;
            self.generation.advance();
        }
    }

    /// The present record.
    pub fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record.read())
    }

    /// Replaces the record. Only the holder of the operation lock may call this.
    pub(crate) fn set_record(&self, record: Record) {
        let mut place = self.record.write();
        *place = Arc::new(record);
        self.generation.advance();
    }

    /// The present life.
    pub fn life(&self) -> watch::Ref<'_, Life> {
        self.life.borrow()
    }

    /// Subscribes to changes of the life.
    pub fn watch(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    /// Changes the life. Only the holder of the operation lock may call this, with the exceptions that [`life`]
    /// names.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Life) -> T) -> T {
        let mut changed = None;
        self.life.send_modify(|life| {
            changed = Some(change(life));
            self.generation.advance();
        });
        changed.expect("the change is made before this returns")
    }

    /// Docker's word for the container's state.
    pub fn status(&self) -> Status {
        self.life().status()
    }

    /// Waits for the operation lock.
    pub(crate) async fn operate(&self) -> tokio::sync::MutexGuard<'_, ()> {
        match self.operation.try_lock() {
            Ok(turn) => turn,
            Err(_) => {
                let _waiting = self.queue.enter();
                self.operation.lock().await
            }
        }
    }

    /// As [`Self::operate`], but the lock is not tied to a borrow of the container.
    pub(crate) async fn operate_owned(&self) -> Turn {
        let _waiting = self.queue.enter();
        Arc::clone(&self.operation).lock_owned().await
    }

    /// The queue of callers that wait for the operation lock.
    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The mounts of the container's root.
    pub(crate) async fn root_mounts(&self, snapshots: &Snapshots) -> Result<Vec<Mount>> {
        let snapshotter = self.record().snapshotter.clone();
        let ask = || snapshots.mounts(&snapshotter, self.id());
        self.mounts.get_or_try_init(ask).await.cloned()
    }

    /// Refuses an operation on a container that is being removed.
    pub(crate) fn refuse_if_removing(&self) -> Result<()> {
        let life = self.life();
        if life.is_removed() {
            return Err(Error::NoSuchContainer(self.id.to_string()));
        }
        if life.is_going() || *life.phase() == Phase::Dead {
            return Err(Error::Conflict(format!(
                "container is marked for removal and cannot be started: {}",
                self.id
            )));
        }
        Ok(())
    }

    /// The process id of the container's first process. The container must run; it may be frozen.
    pub(crate) fn running_pid(&self) -> Result<u32> {
        match self.life().running() {
            Some(running) if running.pid != 0 => Ok(running.pid),
            _ => Err(Error::NotRunning(self.id.to_string())),
        }
    }
}
